"""Typed dependencies for an application's own routes.

    @app.get("/orders")
    async def orders(user: Annotated[User, Depends(require(scope="orders"))]) -> list[Order]: ...

They read what the middleware found, and cost no query. Each works with every credential that the application takes, on HTTP and
on WebSockets, and OpenAPI says what it takes. A refusal closes a WebSocket with 1008, and so does the end of the credential that
opened it, see `_middleware/sockets.py`. A cookie opens one only from a page of this site, as the header `ClientInfo` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, Literal, get_args, get_origin, overload

from fastapi import Depends
from starlette.requests import HTTPConnection
from typing_extensions import TypeVar

from crossauth_backend.api_keys.rules import checked_scopes
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.users.record import User
from crossauth_fastapi._http.openapi import Guarded
from crossauth_fastapi._middleware.decision import CLAIMS, RouteDemand, credential_of, decide
from crossauth_fastapi._middleware.identity import PRECEDENCE, ClaimedUser
from crossauth_fastapi._middleware.refusals import reject
from crossauth_fastapi._middleware.sentusers import NeverSent
from crossauth_fastapi._middleware.state import RequestState, state_of

__all__: Final = [
    "AdminUser",
    "Credential",
    "CurrentUser",
    "OptionalUser",
    "Principal",
    "Requirement",
    "current_user",
    "optional_user",
    "require",
    "require_admin",
]

Credential = Literal["session", "bearer", "api_key", "id_token"]
U = TypeVar("U", bound=User, default=User)
# What a route is given: a user, or a principal.
R = TypeVar("R")
_MAX_MINUTES: Final = 366 * 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal(NeverSent, Generic[U]):
    """Who a request is made in the name of: a user, or a client that acts for itself. `Principal[Shopper]` has such users.

    Parameters:
        user: the user; `None` for a client that acts for itself.
        auth_type: as `request.state.auth_type`: `cookie`, `oauth`, `apiKey`, `oidc`; `session` for those of another framework.
        credential: what said so: `session`, `bearer`, `api_key` or `id_token`.
        scopes: what the credential is limited to, `()` where it has none; `None` where nothing limits it.
        client_id: the OAuth client that an access token was issued to.
        key_id: the id of an API key.
        sub: whom an access token says that it is for (RFC 9068 §2.2).
        claims: all claims of an access token; not in the `repr`.
    """

    user: U | None
    auth_type: str
    credential: Credential
    scopes: tuple[str, ...] | None = None
    client_id: str | None = None
    key_id: str | None = None
    sub: str | None = None
    claims: Mapping[str, Any] | None = field(default=None, repr=False)


class Requirement(Guarded, Generic[R]):
    """What a route requires, as a dependency; made by `require`. Two that require the same are equal.

    Parameters:
        kind: what the route is given: `User` or a subclass of it, or `Principal`.
        demand: what is asked for.
        required: whether nobody is refused; otherwise the route is given `None`.
    """

    def __init__(self, kind: Any, demand: RouteDemand, required: bool = True) -> None:
        super().__init__(demand.scopes, _logins(demand), required)
        self._demand = demand
        self._is_principal = kind is Principal or get_origin(kind) is Principal
        self._user_class: type[User] = next(iter(get_args(kind)), User) if self._is_principal else kind
        self._key = (kind, demand, required)
        # FastAPI looks dependencies up in dictionaries, for every request.
        self._hash = hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requirement) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        kind, demand, required = self._key
        return f"{type(self).__name__}({getattr(kind, '__name__', kind)}, {demand}, required={required})"

    async def __call__(self, connection: HTTPConnection) -> R:
        """The user, or the principal, of a request that may pass.

        Raises:
            CrossauthError: with 401, 403 or 503, see `docs/dependencies.md`; `Configuration` where the user is of another class.
            WebSocketException: instead, on a WebSocket.
        """
        state = state_of(connection)
        found: Any = None
        if self.required or state["user"] is not None:
            try:
                user = await decide(state, self._demand)
                if self._user_class is not User and user is not None:
                    self._check_class(user)
            except CrossauthError as e:
                raise reject(connection, e) from None
            if state.socket is not None:
                state.socket.add(self._demand)
            found = _principal(state, user) if self._is_principal else user
        result: R = found
        return result

    def _check_class(self, user: User) -> None:
        requested = self._user_class
        if isinstance(user, requested):
            return
        if isinstance(user, ClaimedUser):
            raise CrossauthError(ErrorCode.Forbidden, mark("There is no account for the user of this access token"))
        raise CrossauthError(
            ErrorCode.Configuration,
            detail=f"require({requested.__name__}): the user is a {type(user).__name__}; give the user storage the option "
            f"'record': {requested.__name__}",
        )


def _principal(state: RequestState, user: User | None) -> Principal[User]:
    identity = state.principal
    credential: Any = credential_of(state)
    if identity is None:
        return Principal(user=user, auth_type=str(state["auth_type"]), credential=credential)
    claims: Mapping[str, Any] | None = identity.fields.get(CLAIMS)
    named = identity.client_id or None
    sub = claims.get("sub") if claims is not None else None
    return Principal(
        user=user,
        auth_type=str(identity.auth_type),
        credential=credential,
        scopes=identity.scopes,
        client_id=named if claims is not None else None,
        key_id=named if credential == "api_key" else None,
        sub=sub if isinstance(sub, str) else None,
        claims=None if claims is None else MappingProxyType(dict(claims)),
    )


@overload
def require(
    kind: type[Principal[U]],
    /,
    *,
    scope: str | Sequence[str] | None = None,
    admin: bool = False,
    verified: bool = False,
    factor2: bool = False,
    fresh: int | None = None,
    credentials: Sequence[Credential] | None = None,
) -> Requirement[Principal[U]]: ...


@overload
def require(
    kind: type[U] = ...,
    /,
    *,
    scope: str | Sequence[str] | None = None,
    admin: bool = False,
    verified: bool = False,
    factor2: bool = False,
    fresh: int | None = None,
    credentials: Sequence[Credential] | None = None,
) -> Requirement[U]: ...


def require(
    kind: Any = User,
    /,
    *,
    scope: str | Sequence[str] | None = None,
    admin: bool = False,
    verified: bool = False,
    factor2: bool = False,
    fresh: int | None = None,
    credentials: Sequence[Credential] | None = None,
) -> Any:
    """A dependency that lets in who may do this: `user: Annotated[Shopper, Depends(require(Shopper, scope="orders"))]`.

    Parameters:
        kind: what the route is given: `User` or the application's own subclass of it; or `Principal`, which lets clients in that
            act for themselves.
        scope: scopes that are all needed, as a list or as text with blanks between. They limit API keys and access tokens, not
            users who are logged in by session.
        admin: whether the user has to be an administrator, as the option `is_admin_fn` says.
        verified: whether the user's email address has to be verified.
        factor2: whether the login has to be one with a second factor. An API key is no login.
        fresh: minutes that the login may be old.
        credentials: what is accepted: some of `session`, `bearer`, `api_key`, `id_token`; by default all.

    Raises:
        CrossauthError: `Configuration`, at once, where an argument is wrong or nobody could ever be let in.
    """
    is_principal = kind is Principal or get_origin(kind) is Principal
    if not is_principal and not (isinstance(kind, type) and issubclass(kind, User)):
        raise _wrong(
            f"the first argument must be User, a subclass of it, or Principal, not {kind!r}; scopes are 'scope'"
        )
    for name, value in (("admin", admin), ("verified", verified), ("factor2", factor2)):
        if not isinstance(value, bool):
            raise _wrong(f"{name!r} must be True or False, not {value!r}")
    accepted = _credentials(credentials)
    minutes = _minutes(fresh)
    if (factor2 or minutes) and accepted == frozenset(("api_key",)):
        raise _wrong("'factor2' and 'fresh' let no API key in; accept another credential besides")
    user = not is_principal or admin or verified
    return Requirement(kind, RouteDemand(_scopes(scope), accepted, user, admin, verified, factor2, minutes))


def _logins(demand: RouteDemand) -> frozenset[str] | None:
    """The credentials that can let somebody in: an API key is no login."""
    if not demand.factor2 and demand.fresh is None:
        return demand.credentials
    return frozenset(demand.credentials or PRECEDENCE) - {"api_key"}


def _scopes(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    scopes = given.split() if isinstance(given, str) else given
    if not isinstance(scopes, (list, tuple, set, frozenset)) or not scopes:
        raise _wrong("'scope' must name a scope, such as 'orders:read', or several")
    try:
        return tuple(sorted(checked_scopes(scopes)))
    except CrossauthError as e:
        raise _wrong(f"'scope': {e.message}") from None


def _credentials(given: object) -> frozenset[str] | None:
    if given is None:
        return None
    names = list(given) if isinstance(given, (list, tuple, set, frozenset)) else []
    if not names or not all(isinstance(name, str) and name in PRECEDENCE for name in names):
        raise _wrong(f"'credentials' must be a list of some of {', '.join(map(repr, PRECEDENCE))}, not {given!r}")
    return frozenset(names)


def _minutes(given: object) -> int | None:
    """Seconds."""
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given <= _MAX_MINUTES:
        raise _wrong(f"'fresh' must be minutes, a whole number from 1 to {_MAX_MINUTES}, not {given!r}")
    return given * 60


def _wrong(text: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"require: {text}")


current_user: Final = require()
optional_user: Final[Requirement[User | None]] = Requirement(User, RouteDemand(), required=False)
require_admin: Final = require(admin=True)

CurrentUser = Annotated[User, Depends(current_user)]
OptionalUser = Annotated[User | None, Depends(optional_user)]
AdminUser = Annotated[User, Depends(require_admin)]

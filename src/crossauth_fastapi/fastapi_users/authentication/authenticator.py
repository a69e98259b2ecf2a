"""Dependencies that say who is asking."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any, Final, Generic, TypeAlias

from fastapi import Depends, HTTPException, Response, WebSocketException, status
from fastapi.security import APIKeyCookie, HTTPBearer, OAuth2
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi.fastapi_users._caching import depends_on_cookie, keep_private, private_refusal
from crossauth_fastapi.fastapi_users._errors import FurtherErrorCode, describe, http_error
from crossauth_fastapi.fastapi_users._origins import foreign_page, may_log_in, may_use_cookie
from crossauth_fastapi.fastapi_users._records import may_stay
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.logins import Logins, Shown
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType
from crossauth_fastapi.fastapi_users.types import DependencyCallable

EnabledBackends = DependencyCallable[Sequence[AuthenticationBackend[UP, ID]]]
# Opens what the strategies of a request keep their tokens in.
OpenStorages: TypeAlias = Callable[..., Awaitable[None]]
_REALM: Final = "users"
_OWN_NAMES: Final = ("_connection", "_response", "user_manager", "enabled_backends")


class DuplicateBackendNamesError(Exception):
    """Two backends have one name, or names that differ by punctuation only, or one has a name that is taken."""


@dataclass(frozen=True, slots=True)
class LoggedIn(Generic[UP, ID]):
    """Who is asking, and by what."""

    user: UP
    token: str = field(repr=False)
    backend: AuthenticationBackend[UP, ID]
    strategy: Strategy[UP, ID]


@dataclass(frozen=True, slots=True)
class _Demand:
    """What a user must be."""

    optional: bool = False
    active: bool = False
    verified: bool = False
    superuser: bool = False

    def refusal(self, user: Any) -> int | None:
        """The status with which this user is refused; `None` where it is not."""
        if user is None or (self.active and not (user.is_active and may_stay(user))):
            return status.HTTP_401_UNAUTHORIZED
        if (self.verified and not user.is_verified) or (self.superuser and not user.is_superuser):
            return status.HTTP_403_FORBIDDEN
        return None


class Authenticator(Generic[UP, ID]):
    """Knows users by the tokens of several backends, asked in their order.

    Parameters:
        backends: the ways to be logged in.
        get_user_manager: a dependency that gives the user manager.

    Raises:
        DuplicateBackendNamesError: two backends have one name, or one has a name that is taken.
    """

    def __init__(
        self, backends: Sequence[AuthenticationBackend[UP, ID]], get_user_manager: UserManagerDependency[UP, ID]
    ) -> None:
        self.backends = backends
        self.get_user_manager: DependencyCallable[Any] = get_user_manager
        self._open: OpenStorages | None = None
        self._site_url: str | None = None
        self._has_bearer = any(_reads_header(backend.transport.scheme) for backend in backends)
        self._has_cookie = any(isinstance(backend.transport.scheme, APIKeyCookie) for backend in backends)
        self._names = [_parameter_name(backend.name) for backend in backends]
        every = [*_OWN_NAMES, *self._names, *(f"strategy_{name}" for name in self._names)]
        if len(set(every)) < len(every):
            raise DuplicateBackendNamesError(
                f"the names of backends must differ in letters and digits, and not be {' or '.join(_OWN_NAMES[2:])}: "
                f"{[b.name for b in backends]}"
            )
        plain = ((name, _plain(backend.get_strategy)) for name, backend in zip(self._names, backends, strict=True))
        self._strategies = {name: made for name, made in plain if made is not None}
        # The same question is the same callable, so that a test can override it wherever it is asked.
        self._user_dependency = lru_cache(maxsize=None)(self._make_user_dependency)
        self._claims_dependency = lru_cache(maxsize=None)(self._make_claims_dependency)
        # Dependencies that give `Logins`: with the tokens that the request shows, and for routes that ask for none, without.
        self.logins = self._make_logins_dependency(shows=True)
        self.every_users_logins = self._make_logins_dependency(shows=False)

    def opens_by(self, open_storages: OpenStorages) -> None:
        """Say what opens the strategies' storages before anything is asked of them; who says it first is heard."""
        self._open = self._open or open_storages

    def is_at(self, site_url: str | None) -> None:
        """Say where browsers find the site; who says it first is heard."""
        self._site_url = self._site_url or site_url

    def describe_forbidden(self, *codes: FurtherErrorCode) -> OpenAPIResponseType:
        """How a 403 of a route that changes something is described: with these codes, and with that of a foreign page."""
        described = (*codes, *((FurtherErrorCode.CROSS_ORIGIN_REQUEST,) if self._has_cookie else ()))
        return {403: describe(*described)} if described else {}

    def check_login_page(self, connection: HTTPConnection, backend: AuthenticationBackend[UP, ID]) -> None:
        """Refuse a login by cookie that a page of another site asks for.

        Raises:
            HTTPException: 403 `CROSS_ORIGIN_REQUEST`.
        """
        if not may_log_in(connection, backend.transport, self._site_url):
            raise self.refused(connection)

    def current_user(
        self,
        optional: bool = False,
        active: bool = False,
        verified: bool = False,
        superuser: bool = False,
        get_enabled_backends: EnabledBackends[UP, ID] | None = None,
    ) -> Callable[..., Any]:
        """A dependency that gives the user who is asking.

        Called twice with the same arguments it returns the same object, so that
        `app.dependency_overrides[fastapi_users.current_user(active=True)]` works in tests. It works for WebSockets too.

        Parameters:
            optional: whether it gives `None` instead of refusing.
            active: whether an inactive user is refused (401).
            verified: whether a user whose address is unproven is refused (403).
            superuser: whether others than superusers are refused (403).
            get_enabled_backends: a dependency that gives those backends that count for this request.
        """
        return self._user_dependency("user", _Demand(optional, active, verified, superuser), get_enabled_backends)

    def current_user_token(
        self,
        optional: bool = False,
        active: bool = False,
        verified: bool = False,
        superuser: bool = False,
        get_enabled_backends: EnabledBackends[UP, ID] | None = None,
    ) -> Callable[..., Any]:
        """As `current_user`, but it gives user and token."""
        return self._user_dependency("token", _Demand(optional, active, verified, superuser), get_enabled_backends)

    def every_login(self, active: bool = True, verified: bool = False) -> Callable[..., Any]:
        """A dependency that gives a `LoggedIn` for every good token that the request shows; as `current_user` if none."""
        return self._user_dependency("every", _Demand(active=active, verified=verified), None)

    def refused(self, connection: HTTPConnection, status_code: int = status.HTTP_401_UNAUTHORIZED) -> Exception:
        """The refusal of whoever is not known, or not enough.

        Where tokens travel in the header a 401 says so (RFC 9110 §15.5.2), and that a token was not good if one was sent (RFC
        6750 §3). Where a cookie came with it that did not count because of the page that sent it, it is a 403.
        """
        if connection.scope["type"] == "websocket":
            return WebSocketException(status.WS_1008_POLICY_VIOLATION)
        headers: dict[str, str] = {}
        foreign = foreign_page(connection) if status_code == status.HTTP_401_UNAUTHORIZED else None
        if foreign is not None:
            return HTTPException(foreign.status_code, foreign.detail, private_refusal(connection.scope, headers))
        if status_code == status.HTTP_401_UNAUTHORIZED and self._has_bearer:
            sent = connection.headers.get("Authorization", "").lower().startswith("bearer ")
            headers["WWW-Authenticate"] = f'Bearer realm="{_REALM}"' + (', error="invalid_token"' if sent else "")
        return HTTPException(status_code, headers=private_refusal(connection.scope, headers))

    def current_claims(
        self, optional: bool = False, get_enabled_backends: EnabledBackends[UP, ID] | None = None
    ) -> Callable[..., Any]:
        """A dependency that gives what a JWT says (RFC 7519 §4), without asking any storage; see `SupportsClaims`.

        Who was deleted, deactivated or has another password by now is **still known**, until the token expires: for routes
        that may know that late, and are called often.

        Parameters:
            optional: whether it gives `None` instead of refusing (401).
            get_enabled_backends: a dependency that gives those backends that count for this request.
        """
        return self._claims_dependency(optional, get_enabled_backends)

    def _make_user_dependency(self, what: str, demand: _Demand, enabled: Any) -> Callable[..., Any]:
        async def current(_connection: HTTPConnection, **values: Any) -> Any:
            self._keep_private(_connection, values)
            try:
                await self._opened(values)
                found = [login async for login in self._find(_connection, values, every=what == "every")]
            except CrossauthError as e:
                raise _unreachable(_connection, e) from e
            refusals = [demand.refusal(login.user) for login in found]
            passed = [login for login, refusal in zip(found, refusals, strict=True) if refusal is None]
            if passed:
                return passed if what == "every" else _given(what, passed[0])
            if demand.optional:
                return (None, None) if what == "token" else None
            raise self.refused(_connection, next(iter(refusals), None) or status.HTTP_401_UNAUTHORIZED)

        return self._signed(current, user_manager=True, enabled=enabled)

    def _make_claims_dependency(self, optional: bool, enabled: Any) -> Callable[..., Any]:
        only: Any = self.backends[0].transport.scheme if len(self.backends) == 1 and enabled is None else None

        async def claims(_connection: HTTPConnection, **values: Any) -> Any:
            self._keep_private(_connection, values)
            for name, backend in zip(self._names, self.backends, strict=True):
                if enabled is not None and backend not in values["enabled_backends"]:
                    continue
                sent = values[name] if only is None else await only(_connection)
                token = self._token(_connection, backend, sent)
                if token is None:
                    continue
                strategy = values.get(f"strategy_{name}") or await self._strategies[name](_connection)
                # An `isinstance` of a Protocol costs more than the rest of this.
                read: Any = getattr(strategy, "read_claims", None)
                found = read(token) if read is not None else None
                if found is not None:
                    return found
            if optional:
                return None
            raise self.refused(_connection)

        made = self._signed(claims, user_manager=False, all_strategies=False, enabled=enabled, tokens=only is None)
        return made if only is None else _ReadsScheme(only, made)

    def _make_logins_dependency(self, *, shows: bool) -> Callable[..., Any]:
        async def logins(_connection: HTTPConnection, **values: Any) -> Logins:
            await self._opened(values)
            return Logins(list(self._shown(_connection, values)))

        return self._signed(logins, user_manager=False, enabled=None, tokens=shows, response=shows)

    def _signed(
        self, function: Any, *, user_manager: bool, enabled: Any, tokens: bool = True, all_strategies: bool = True,
        response: bool = True,
    ) -> Callable[..., Any]:  # fmt: skip
        """The function with the parameters that FastAPI is to fill; not `all_strategies`: but those it can call itself."""
        parameters = [Parameter("_connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)]
        if self._has_cookie and response:
            parameters.append(Parameter("_response", Parameter.KEYWORD_ONLY, annotation=Response))
        if user_manager:
            parameters.append(_keyword("user_manager", self.get_user_manager))
        for name, backend in zip(self._names, self.backends, strict=True):
            if tokens:
                parameters.append(_keyword(name, backend.transport.scheme))
            plain = self._strategies.get(name)
            if all_strategies or plain is None:
                parameters.append(_keyword(f"strategy_{name}", plain or backend.get_strategy))
        if enabled is not None:
            parameters.append(_keyword("enabled_backends", enabled))
        function.__signature__ = Signature(parameters)
        return function  # type: ignore[no-any-return]

    async def _opened(self, values: dict[str, Any]) -> None:
        if self._open is not None:
            await self._open(*(values[f"strategy_{name}"] for name in self._names))

    def _keep_private(self, connection: HTTPConnection, values: dict[str, Any]) -> None:
        """Let no cache store a response that depends on a cookie. A route's own headers count.

        FastAPI adds the headers of `_response` to what a route returns, unless that is a `Response` already.
        """
        if self._has_cookie:
            depends_on_cookie(connection.scope)
            keep_private(values["_response"].headers)

    def _shown(self, connection: HTTPConnection, values: dict[str, Any]) -> Iterator[Shown]:
        enabled = values.get("enabled_backends", self.backends)
        for name, backend in zip(self._names, self.backends, strict=True):
            token = self._token(connection, backend, values.get(name)) if backend in enabled else None
            yield backend, values[f"strategy_{name}"], token

    def _token(
        self, connection: HTTPConnection, backend: AuthenticationBackend[UP, ID], token: str | None
    ) -> str | None:
        """A token of the request, if it counts there."""
        counts = token is None or may_use_cookie(connection, backend.transport, self._site_url)
        return token if counts else None

    async def _find(self, connection: HTTPConnection, values: dict[str, Any], *, every: bool) -> Any:
        manager: BaseUserManager[UP, ID] = values["user_manager"]
        for backend, strategy, token in self._shown(connection, values):
            user = await strategy.read_token(token, manager) if token is not None else None
            if user is not None:
                yield LoggedIn(user, token, backend, strategy)  # type: ignore[arg-type]
                if not every:
                    return


class _ReadsScheme(SecurityBase):
    """A dependency that reads the scheme of a transport itself, and is that scheme in OpenAPI.

    Where FastAPI solves the one within the other, that costs more than all else that such a request does.

    Parameters:
        scheme: of the transport.
        function: what FastAPI calls.
    """

    def __init__(self, scheme: SecurityBase, function: Any) -> None:
        self.model, self.scheme_name = scheme.model, scheme.scheme_name
        self.__signature__, self._function = function.__signature__, function

    async def __call__(self, **values: Any) -> Any:
        return await self._function(**values)


def _given(what: str, login: LoggedIn[Any, Any]) -> Any:
    return (login.user, login.token) if what == "token" else login.user


def _reads_header(scheme: Any) -> bool:
    """Whether a transport's scheme is that of RFC 6750."""
    return isinstance(scheme, (OAuth2, HTTPBearer))


def _unreachable(connection: HTTPConnection, e: CrossauthError) -> Exception:
    """The refusal where a storage cannot be reached: nobody can be known."""
    if connection.scope["type"] == "websocket":
        return WebSocketException(status.WS_1013_TRY_AGAIN_LATER)
    return http_error(e)


def _plain(get_strategy: DependencyCallable[Any]) -> Callable[[HTTPConnection], Awaitable[Any]] | None:
    """What calls `get_strategy` where it is a plain function without parameters; `None` where it is not.

    FastAPI would call it in a thread, which costs half of such a request. An override of it in `dependency_overrides` counts.
    """
    special = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if not inspect.isfunction(get_strategy) or any(kind(get_strategy) for kind in special):
        return None
    if inspect.signature(get_strategy).parameters:
        return None

    async def strategy(_connection: HTTPConnection) -> Any:
        overrides = getattr(_connection.scope.get("app"), "dependency_overrides", None) or {}
        made = overrides.get(get_strategy, get_strategy)()
        return await made if inspect.isawaitable(made) else made

    connection = Parameter("_connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)
    strategy.__signature__ = Signature([connection])  # type: ignore[attr-defined]
    return strategy


def _keyword(name: str, dependency: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=Depends(dependency))


def _parameter_name(name: str) -> str:
    stored = re.sub(r"[^A-Za-z0-9_]", "", name)
    if keyword.iskeyword(stored):
        return f"{stored}_"
    return f"_{stored}" if stored[:1].isdigit() or not stored else stored

"""Who asks: what each credential of a request says, and the one function that chooses between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.oauth.resource.scopes import with_implied
from crossauth_backend.users.record import User

# Whose word counts where a request carries several credentials: what a program sends by itself before what a browser adds.
PRECEDENCE: Final = ("bearer", "api_key", "session", "id_token")
# `auth_type` of somebody who is known by an ID token in the session alone, and not logged in here.
OIDC: Final = "oidc"
# `auth_type` of principals whom a browser names by itself, also for a page of somebody else's.
AMBIENT: Final = frozenset(("cookie", OIDC))
_NO_FIELDS: Final[Mapping[str, Any]] = {}
_NO_SCOPES: Final[Mapping[str, Sequence[str]]] = {}


class ClaimedUser(User):
    """A user made of the claims of a token alone: no account of this application, whatever its id."""


class Identity(NamedTuple):
    """What one credential says. It is never changed: a request that logs somebody in has another one from then on.

    Parameters:
        auth_type: how one is known, as `request.state.auth_type` says: `cookie`, `oauth`, `apiKey`, `oidc`.
        user: the user; `None` for a client that acts for itself, and in an anonymous session.
        scopes: what the credential is limited to; `None` where it is not.
        client_id: the OAuth client, or the name of the key.
        fields: further fields of `request.state` that this credential fills, whoever is the principal.
        error: why the credential is refused. It stands for nobody, and for nobody else's rights either.
        implied: scopes that another scope of this credential includes.
        again: reads it again, where the credential is not in the headers of the request; `None` where it has gone.
    """

    auth_type: str | None
    user: User | None = None
    scopes: tuple[str, ...] | None = None
    client_id: str | None = None
    fields: Mapping[str, Any] = _NO_FIELDS
    error: CrossauthError | None = None
    implied: Mapping[str, Sequence[str]] = _NO_SCOPES
    again: Callable[[], Awaitable[Identity | None]] | None = None

    @property
    def is_somebody(self) -> bool:
        """Whether it names a principal, or tried to: an anonymous session does not."""
        return self.user is not None or self.client_id is not None or self.error is not None

    def has_scopes(self, needed: Sequence[str]) -> bool:
        """Whether it may do what needs all of these scopes. A credential without any has none; `None` is not limited."""
        granted = self.scopes
        return granted is None or set(needed) <= with_implied(granted, self.implied)

    def error_fields(self) -> dict[str, str]:
        """The fields of `request.state` that say why it is refused: in words of its own, where `fields` has them."""
        if self.error is None:
            return {}
        known = {"auth_error": self.error.code_name, "auth_error_description": self.error.message}
        return known | {name: self.fields[name] for name in known if name in self.fields}


def choose_principal(found: Mapping[str, Identity]) -> Identity | None:
    """The identity that a request is made in the name of: the first by `PRECEDENCE` that is somebody's, or an anonymous session.

    One whose credential is refused is chosen like any other: a good cookie lends no rights to a bad token.
    """
    for name in PRECEDENCE:
        identity = found.get(name)
        if identity is not None and identity.is_somebody:
            return identity
    return found.get("session")


def has_ambient(found: Mapping[str, Identity]) -> bool:
    """Whether a cookie authenticates a user, also where the principal is that of another credential."""
    return any(identity.auth_type in AMBIENT for identity in found.values())


def is_known_by_header(principal: Identity | None) -> bool:
    """Whether no page of another site can have sent the request in the principal's name, so that it needs no CSRF token."""
    if principal is None or principal.error is not None or not principal.is_somebody:
        return False
    return principal.auth_type not in AMBIENT

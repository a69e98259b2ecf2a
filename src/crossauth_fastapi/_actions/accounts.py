"""What the actions of a server may ask of the session server on the same application, without importing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from fastapi import FastAPI

from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.users.identities import IdentityStorage
from crossauth_backend.users.record import User
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._actions.interactions import Interactions
from crossauth_fastapi._actions.request import ActionRequest

_ATTRIBUTE: Final = "crossauth_accounts"


class AccountServices(Protocol):
    """Logins and users, as the session server offers them to the actions of other servers."""

    @property
    def context(self) -> ActionContext:
        """Its pages, prefixes and endpoints. Whoever adds to the endpoints gets links to them."""
        ...

    @property
    def users(self) -> UserStorage | None:
        """Where users are; without it nobody can log in."""
        ...

    @property
    def has_administrators(self) -> bool:
        """Whether the application has endpoints for administrators."""
        ...

    @property
    def interactions(self) -> Interactions:
        """Flows that leave for its pages and come back."""
        ...

    def emails(self, root_path: str) -> TokenEmailer | None:
        """What sends mail to users; `None` where none is configured.

        Parameters:
            root_path: where the application is, as the request found it.
        """
        ...

    def needs_password(self, call: ActionRequest[Any, Any], user: User) -> bool:
        """Whether `require_recent_login` would ask for the password."""
        ...

    async def require_recent_login(self, call: ActionRequest[Any, Any], user: User) -> None:
        """Let pass whose login is recent, or who sends the password with the request.

        Raises:
            CrossauthError: `Unauthorized` where the password is needed; `UsernameOrPasswordInvalid`, `TooManyAttempts`.
        """
        ...

    def keep_identities(self, identities: IdentityStorage) -> None:
        """Let what `identities` keeps of a user go with the user's account."""
        ...

    async def user(self, id: str) -> User:
        """The user of this id, in whatever state.

        Raises:
            CrossauthError: `BadRequest` (404) where there is none.
        """
        ...


class _Exchange:
    """Brings those who ask together with the one who offers, whoever of them comes first."""

    def __init__(self) -> None:
        self.services: AccountServices | None = None
        self.waiting: list[Callable[[AccountServices], None]] = []


def offer_accounts(app: FastAPI, services: AccountServices) -> None:
    """Let the other servers on `app` use `services`."""
    exchange = _exchange(app)
    exchange.services = services
    for use in exchange.waiting:
        use(services)
    exchange.waiting.clear()


def with_accounts(app: FastAPI, use: Callable[[AccountServices], None]) -> None:
    """Call `use` with the services of the session server on `app`: now, or as soon as there is one, if ever."""
    exchange = _exchange(app)
    if exchange.services is None:
        exchange.waiting.append(use)
    else:
        use(exchange.services)


def _exchange(app: FastAPI) -> _Exchange:
    found: _Exchange | None = getattr(app.state, _ATTRIBUTE, None)
    if found is None:
        found = _Exchange()
        setattr(app.state, _ATTRIBUTE, found)
    return found

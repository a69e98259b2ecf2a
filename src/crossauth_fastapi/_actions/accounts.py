"""What the actions of a server may ask of the session server on the same application, without importing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from fastapi import APIRouter, FastAPI, Request
from starlette.requests import HTTPConnection

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.events.listeners import Events
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.users.identities import IdentityStorage
from crossauth_backend.users.record import User
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._actions.interactions import Interactions
from crossauth_fastapi._actions.request import ActionRequest

_ATTRIBUTE: Final = "crossauth_accounts"


@dataclass(frozen=True, slots=True)
class SignedInBrowser:
    """How a login ended that another server has brought about.

    Parameters:
        user: whose it is.
        complete: whether the user is logged in now; otherwise something is still asked, such as the second factor.
        url: where the browser goes on: where it wanted to, or the page that asks.
    """

    user: User
    complete: bool
    url: str


class AccountServices(Protocol):
    """Logins and users, as the session server offers them to the actions of other servers."""

    @property
    def context(self) -> ActionContext:
        """Its pages, prefixes and endpoints. Whoever adds to the endpoints gets links to them."""
        ...

    @property
    def router(self) -> APIRouter:
        """Its routes, with those of other servers for its accounts: each router more costs every request of the application."""
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

    @property
    def accounts(self) -> Accounts | None:
        """The account services; `None` without a storage of users."""
        ...

    @property
    def keys(self) -> KeyStorage:
        """Where sessions and other keys are."""
        ...

    @property
    def events(self) -> Events:
        """Who is told of what happens."""
        ...

    @property
    def limits(self) -> AttemptLimits:
        """What counts attempts."""
        ...

    @property
    def now(self) -> datetime:
        """The time."""
        ...

    def key_ring(self, purpose: str) -> KeyRing:
        """Encrypts what is stored for `purpose`, with the keys of the session server."""
        ...

    def reserve_data(self, name: str) -> None:
        """Keep an entry of the session data for the server that asks: the application can read it, and not write it."""
        ...

    async def session_data(self, request: HTTPConnection, name: str) -> Any:
        """An entry of the session data as it is stored now; `None` where there is none, or no session any more."""
        ...

    async def write_data(self, request: HTTPConnection, data: Mapping[str, Any]) -> None:
        """Write entries into the data of the request's session, reserved ones too; `None` removes an entry.

        What `request.state.session_key` says is up to date afterwards.

        Raises:
            CrossauthError: `InvalidSession` where the request has no session, or it has ended.
        """
        ...

    async def swap_data(self, request: HTTPConnection, name: str, before: Any, after: Any) -> bool:
        """As `write_data`, for one entry, and only where it still is `before`; whether it was. Without a session it is not."""
        ...

    async def open_session(self, request: Request, data: Mapping[str, Any]) -> None:
        """Open a session of nobody with these data. One that the request has already, if it is nobody's, goes on in it and ends:
        what an id was known for before is worth nothing afterwards.
        """
        ...

    async def sign_in(
        self, request: Request, attempt: Attempt, after: str, data: Mapping[str, Any] | None = None
    ) -> SignedInBrowser:
        """Take a login through every stage, and make the session that comes of it the request's own.

        Parameters:
            request: the request, whose session so far ends.
            attempt: whom to sign in, and what has been proven.
            after: where the browser wants to go; a path of this site.
            data: entries of the data of the session that the user has in the end, reserved ones too.

        Raises:
            CrossauthError: the reason for which the account's state refuses.
        """
        ...

    async def log_out(self, request: Request) -> None:
        """End the session of the request, and delete its cookies with the response; nothing happens where there is none."""
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


def accounts_on(app: FastAPI) -> AccountServices | None:
    """The services of the session server on `app`, where there is one by now."""
    return _exchange(app).services


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

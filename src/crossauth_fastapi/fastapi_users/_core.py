"""What these routes share with the rest of the library: limits, events, login stages, and the second factor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import HTTPConnection

from crossauth_backend.accounts.context import Accounts, Origin, limited, reserve
from crossauth_backend.accounts.stages import Attempt, Step, next_step
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.listeners import EventListener, Events, LoggingListener
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState
from crossauth_fastapi._http.address import peer_address, read_proxies
from crossauth_fastapi.fastapi_users.authentication.strategy.stored import key_owner


class Core:
    """The services that every route here uses.

    Parameters:
        session_manager: the session server's, to share its users, limits, events and second factors; without one these are
            the application's own.
        key_storage: where limits are counted and what counts once is marked, when there is no session manager. In memory
            where none is given: each process then counts for itself.
        attempt_limits: changes to the limits, as for the session server.
        event_listeners: told of every security event.
        trusted_proxies: whose `X-Forwarded-For` is believed.
        site_url: where browsers find the site.

    Raises:
        CrossauthError: `Configuration`, saying what to change.
    """

    def __init__(
        self,
        session_manager: SessionManager | None = None,
        *,
        key_storage: KeyStorage | None = None,
        attempt_limits: Mapping[str, Any] | None = None,
        event_listeners: Iterable[EventListener] = (),
        trusted_proxies: Iterable[str] = (),
        site_url: str | None = None,
    ) -> None:
        self.site_url = site_url
        self._proxies = read_proxies(trusted_proxies)
        self.accounts: Callable[[], Accounts] | None = None
        if session_manager is None:
            self.keys = key_storage or InMemoryKeyStorage()
            self.limits = AttemptLimits(self.keys, attempt_limits or {})
            self.events = Events([LoggingListener(), *event_listeners])
            return
        if key_storage is not None or attempt_limits is not None or tuple(event_listeners):
            raise CrossauthError(
                ErrorCode.Configuration,
                "FastAPIUsers: with 'session_manager', its 'key_storage', 'attempt_limits' and 'event_listeners' are used; "
                "give them there",
            )
        accounts = session_manager.accounts()
        self.keys, self.limits, self.events = accounts.keys, accounts.limits, accounts.events
        self.accounts = session_manager.accounts

    def origin(self, connection: HTTPConnection) -> Origin:
        """Where a request comes from."""
        agent = connection.headers.get("user-agent", "")
        return Origin(peer_address(connection.scope, self._proxies), agent=agent)

    @asynccontextmanager
    async def limited(self, connection: HTTPConnection, **subjects: str | None) -> AsyncIterator[None]:
        """Count an attempt before the block makes it; see `Accounts.limited`."""
        async with limited(self.limits, self.events, self.origin(connection), None, **subjects):
            yield

    async def count(self, connection: HTTPConnection, **subjects: str | None) -> None:
        """Count what costs something whether or not it succeeds, such as a message.

        Raises:
            CrossauthError: `TooManyAttempts` where a limit is reached.
        """
        await reserve(self.limits, self.events, self.origin(connection), None, **subjects)

    def tell(self, name: EventName, connection: HTTPConnection, user: Any = None, reason: str = "") -> None:
        """Tell the listeners what happened to a user of the application's."""
        record = record_of(user) if user is not None else None
        self.events.tell(name, record, address=self.origin(connection).address, reason=reason)

    async def end_logins(self, user: Any, end_tokens: Any, except_token: str | None = None) -> None:
        """End what a user's password has opened: the tokens of every backend but one, refresh tokens, and sessions."""
        await end_tokens(user, except_token)
        if self.accounts is not None:
            await self.accounts().end_sessions(key_owner(user))
        else:
            await self.keys.delete_all_for_user(key_owner(user), KeyPrefix.refresh_token)

    def next_step(self, user: Any, *, factor2_passed: bool = False) -> Step:
        """What stands between a user who has proven the first factor and a token: the stages of every login."""
        record = record_of(user)
        offered = self.accounts().allowed_factor2 if self.accounts is not None else ()
        return next_step(Attempt(record, factor2_passed=factor2_passed, factor2_offered=record.factor2 in offered))


def record_of(user: Any) -> User:
    """A user of the application's as the stages and events know users.

    One of the library's own storage (see `CrossauthUserDatabase`) brings its record along. Of others it is only known whether
    they are active.
    """
    record = getattr(user, "crossauth_record", None)
    if isinstance(record, User):
        return record
    state = UserState.active if user.is_active else UserState.disabled
    return User(id=user.id, username=user.email, email=user.email, state=state, admin=user.is_superuser is True)

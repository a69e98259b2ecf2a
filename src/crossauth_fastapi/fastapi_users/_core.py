"""What these routes share with the rest of the library: limits, events, login stages, and the second factor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection

from crossauth_backend.accounts import login
from crossauth_backend.accounts.changes import end_sessions
from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.accounts.decision import Decision, Refused
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import folded, normalize
from crossauth_backend.events.listeners import Events, LoggingListener
from crossauth_backend.events.record import EventListener, EventName
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, SupportsLifecycle, check_swap
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.limits.rules import mailbox_of
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._http.proxies import read_proxies
from crossauth_fastapi.fastapi_users._addresses import MAX_LOGIN, login_spellings
from crossauth_fastapi.fastapi_users._ids import id_type
from crossauth_fastapi.fastapi_users._options import read_core_options
from crossauth_fastapi.fastapi_users._records import attempt_for, key_owner, record_of
from crossauth_fastapi.fastapi_users._refresh import end_refresh_tokens
from crossauth_fastapi.fastapi_users._storages import Storages
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.logins import Logins
from crossauth_fastapi.fastapi_users.authentication.trial import strategy_of

if TYPE_CHECKING:
    from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator

logger = logging.getLogger("crossauth.fastapi_users")
# What the session server may not end by itself, for one of them may be kept.
TOKEN_PREFIXES: Final = (KeyPrefix.access_token, KeyPrefix.refresh_token)


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
        settings = read_core_options(
            session_manager=session_manager, key_storage=key_storage, attempt_limits=attempt_limits,
            event_listeners=event_listeners, trusted_proxies=trusted_proxies, site_url=site_url,
        )  # fmt: skip
        self.site_url = settings.site_url
        self._proxies = read_proxies(settings.trusted_proxies)
        self.accounts: Callable[[], Accounts] | None = None
        self.keeps = session_manager is not None or key_storage is not None
        self._clients: dict[tuple[str, int], tuple[Any, Any]] = {}
        # Whether a change of oneself asks for the old password: the users router says so, and linking an account asks too.
        self._asks_password = [session_manager is not None]
        if session_manager is None:
            if key_storage is None:
                logger.warning(
                    "FastAPIUsers has no 'key_storage': attempts and what counts once are known to this process only"
                )
            self.keys = key_storage or InMemoryKeyStorage()
            self.limits = AttemptLimits(self.keys, settings.attempt_limits or {})
            self.events = Events([LoggingListener(), *settings.event_listeners])
            self.storages = Storages()
            self.storages.add(self.keys)
            return
        if key_storage is not None or attempt_limits is not None or settings.event_listeners:
            raise CrossauthError(
                ErrorCode.Configuration,
                "FastAPIUsers: with 'session_manager', its 'key_storage', 'attempt_limits' and 'event_listeners' are used; "
                "give them there",
            )
        accounts = session_manager.accounts()
        self.keys, self.limits, self.events = accounts.keys, accounts.limits, accounts.events
        self.accounts = session_manager.accounts
        self.storages = Storages(foreign=self.keys)

    @property
    def asks_password(self) -> bool:
        """Whether a change of oneself asks for the old password."""
        return self._asks_password[0]

    @asks_password.setter
    def asks_password(self, asks: bool) -> None:
        # In place: the cores of routers made by functions have it in common.
        self._asks_password[:] = [asks]

    def account_name(self, name: str) -> str:
        """The name under which attempts on an account are counted: whatever finds one account is one name."""
        name = login_spellings(name[:MAX_LOGIN])[0]
        # A session server finds its users by looser rules, and counts by them.
        return normalize(name) if self.accounts is not None else folded(name)

    def mailbox(self, email: str) -> str:
        """The name under which messages to an address are counted: that of its mailbox."""
        return mailbox_of(self.account_name(email))

    def origin(self, connection: HTTPConnection) -> ClientInfo:
        """Where a request comes from."""
        agent = connection.headers.get("user-agent", "")
        return ClientInfo(peer_address(connection.scope, self._proxies), agent=agent)

    def limited(self, connection: HTTPConnection, **subjects: str | None) -> AbstractAsyncContextManager[None]:
        """Count an attempt before the block makes it; see `Accounts.limited`."""
        return self.limits.attempt(subjects, self.events, address=self.origin(connection).address)

    async def count(self, connection: HTTPConnection, **subjects: str | None) -> None:
        """Count what costs something whether or not it succeeds, such as a message.

        Raises:
            CrossauthError: `TooManyAttempts` where a limit is reached.
        """
        await self.limits.count(subjects, self.events, address=self.origin(connection).address)

    def emit(self, name: EventName, connection: HTTPConnection, user: Any = None, reason: str = "") -> None:
        """Tell the listeners what happened to a user of the application's."""
        record = record_of(user) if user is not None else None
        self.events.emit(name, record, address=self.origin(connection).address, reason=reason)

    async def end_logins(self, user: Any, logins: Logins, *, keep_shown: bool = False) -> None:
        """End what a user's password has opened: tokens of every backend, refresh tokens, and sessions.

        Parameters:
            user: whose.
            logins: of the request at hand.
            keep_shown: whether the login that asks goes on.
        """
        await logins.end_all(user, keep_shown=keep_shown)
        stored = await logins.ids() if keep_shown else set()
        await end_refresh_tokens(self.keys, user, except_sids=stored)
        if self.accounts is not None:
            await end_sessions(self.accounts(), key_owner(user), keep=TOKEN_PREFIXES)

    async def decide(
        self, user: Any, connection: HTTPConnection, *, factor2_passed: bool = False, logged_in: bool = False
    ) -> Decision:
        """Decide about a user who has proven the first factor, as every login is: see `login.decide`.

        Parameters:
            user: the user.
            connection: the request.
            factor2_passed, logged_in: see `attempt_for`.
        """
        attempt = attempt_for(user, factor2_passed=factor2_passed, logged_in=logged_in)
        if self.accounts is not None and attempt.user.security_stamp is not None:
            return await login.decide(self.accounts(), attempt, origin=self.origin(connection))
        # A user of the application's: there is more to it than whether the account is active only on a session server.
        decided = login.judge(attempt)
        if isinstance(decided, Refused) and not logged_in:
            self.emit(EventName.login_failed, connection, user, decided.code.name)
        return decided

    def check(self, backend: AuthenticationBackend[Any, Any]) -> None:
        """Find out now what would go wrong at a login by this backend.

        Raises:
            CrossauthError: `Configuration`.
        """
        if backend.refresh_lifetime_seconds is not None:
            if not self.keeps:
                raise CrossauthError(
                    ErrorCode.Configuration,
                    "FastAPIUsers: refresh tokens need 'key_storage' (or 'session_manager'), for all workers to know them",
                )
            check_swap(self.keys)
        strategy = strategy_of(backend)
        if strategy is not None:
            self.check_strategy(backend, strategy)
            self.storages.add(getattr(strategy, "key_storage", None))

    def serve(self, authenticator: Authenticator[Any, Any]) -> None:
        """Take care of what the strategies of an authenticator keep their tokens in."""
        for backend in authenticator.backends:
            self.storages.add(getattr(strategy_of(backend), "key_storage", None))
        authenticator.opens_by(self.storages.open)
        authenticator.is_at(self.site_url)

    async def admit(self, backend: AuthenticationBackend[Any, Any], strategy: Any) -> None:
        """As `check_strategy`, of the strategy of a request, whose storage is opened where it was not known before.

        Raises:
            CrossauthError: `Configuration`; `Connection`.
        """
        self.check_strategy(backend, strategy)
        await self.storages.open(strategy)

    def check_strategy(self, backend: AuthenticationBackend[Any, Any], strategy: Any) -> None:
        """Refuse a strategy, or the class of one, that cannot do what a backend or a session server needs.

        Raises:
            CrossauthError: `Configuration`.
        """
        name = strategy.__name__ if isinstance(strategy, type) else type(strategy).__name__
        if backend.refresh_lifetime_seconds is not None and not hasattr(strategy, "write_token_of"):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"FastAPIUsers: {name} of the backend {backend.name!r} cannot have refresh tokens, for its tokens do not say of "
                "which login they are: give it the methods of SupportsLoginIds",
            )
        if self.accounts is not None and getattr(strategy, "checks_login_mark", False) is not True:
            raise CrossauthError(
                ErrorCode.Configuration,
                f"FastAPIUsers: {name} of the backend {backend.name!r} does not say that its tokens end with the password and "
                "second factor, which the session server changes: let it store a fingerprint of the credentials with "
                "each token, refuse the token when it differs, and set checks_login_mark = True",
            )

    def claim_client(self, client: Any, get_user_manager: Any) -> None:
        """Note who an OAuth client is: accounts are kept under its name, so no other may have it.

        Parameters:
            client: the client.
            get_user_manager: of the router. Routers that are made by functions share one `Core`, whoever's users theirs are.

        Raises:
            CrossauthError: `Configuration`.
        """
        if self.accounts is not None:
            raise CrossauthError(
                ErrorCode.Configuration,
                "FastAPIUsers: a session server keeps no accounts at providers for its users: leave the OAuth routers out",
            )
        # The manager's dependency is kept, or its id could be another's by now.
        known, _ = self._clients.setdefault((client.name, id(get_user_manager)), (client, get_user_manager))
        if not _is_same_provider(known, client):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"FastAPIUsers: two OAuth clients are named {client.name!r}, so that accounts of one provider would log in as "
                "those of the other: give each a name of its own, as in OpenID(..., name='company'); or give both routers the "
                "same client",
            )
        if isinstance(client, SupportsLifecycle):
            self.storages.add_part(client)

    def check_ids(self, *hints: Any) -> None:
        """Find out now whether ids of users fit the key storages.

        Parameters:
            hints: what says of what type they are, see `id_type`; where nothing does, nothing is checked.

        Raises:
            CrossauthError: `Configuration`.
        """
        kind = next((kind for kind in map(id_type, hints) if kind is not None), None)
        if self.accounts is not None or kind is None:
            return
        for storage in (self.keys, *self.storages.all):
            fits = getattr(storage, "takes_userid", None)
            if fits is not None and not fits(kind):
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"FastAPIUsers: users' ids are {kind.__name__}, for which {type(storage).__name__} has no column: give it "
                    "the option 'userid_type', such as sqlalchemy.Uuid()",
                )


def default_core() -> Core:
    """That of a router which is made by a function, without `FastAPIUsers`. All of them count together, and each opens its own
    storages: they may be routers of several applications."""
    core = copy(_shared_core())
    core.storages = Storages()
    core.storages.add(core.keys)
    return core


@cache
def _shared_core() -> Core:
    return Core()


def _is_same_provider(known: Any, client: Any) -> bool:
    """Whether two OAuth clients are one, or say the same of themselves."""
    if known is client or known == client:
        return True
    if type(known) is not type(client):
        return False
    marks = ("client_id", "authorize_endpoint", "access_token_endpoint")
    if all(getattr(known, mark, None) is not None for mark in marks):
        return all(getattr(known, mark) == getattr(client, mark, None) for mark in marks)
    # A client of the application's own: whatever it was made of says whose it is.
    return hasattr(known, "__dict__") and vars(known) == vars(client)

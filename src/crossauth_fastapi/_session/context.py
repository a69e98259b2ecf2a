"""What every handler of the session server works with; see `_actions.context` and `_actions.request`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from fastapi import Request
from pydantic import BaseModel

from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.jsonsafe import PLAIN, json_safe
from crossauth_backend.keys.data import KeyDataEntry
from crossauth_backend.keys.record import Key
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.record import User
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._http.openapi import session_scheme
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._pages.policy import PagePolicy
from crossauth_fastapi._session.interactions import BrowserInteractions
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi._session.source import SessionSource, session_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext(ActionContext):
    """The parts of one session server, and the few steps that several endpoints share."""

    settings: SessionServerSettings
    manager: SessionManager
    source: SessionSource
    local_site: bool | None = None
    gated: set[str] = field(default_factory=set)
    """The names of our own routes that ask for the second factor, see `stepup`."""
    shown_fields: tuple[str, ...] = ()
    """The extra fields of users that their owners may see and edit."""
    secret_names: frozenset[str] = frozenset()
    """The fields of forms that some first factor stores."""
    code_names: frozenset[str] = frozenset()
    """The fields of forms that hold a code for some factor."""
    reserved: set[str] = field(default_factory=set)  # entries of the session data that other servers of ours keep
    services: Accounts | None = None
    """The account services; `None` without a user storage."""

    @property
    def interactions(self) -> BrowserInteractions:
        """Flows of other servers that leave for these pages."""
        return BrowserInteractions(self.manager, self.prefix, self.proxies)

    async def policy_before(self, request: Request, after: str, policy: PagePolicy) -> PagePolicy:
        """See `ActionContext.policy_before`."""
        return await self.interactions.policy_before(request, after, policy)

    @property
    def accounts(self) -> Accounts:
        """The account services, which write links as this request's browser has to.

        Raises:
            CrossauthError: `Configuration` without a user storage.
        """
        services = self.services or self.manager.accounts()
        return replace(services, root_path=self.root_path) if self.root_path else services

    @property
    def users(self) -> UserStorage:
        """The user storage.

        Raises:
            CrossauthError: `Configuration` without one.
        """
        if self.manager.user_storage is None:
            raise CrossauthError(ErrorCode.Configuration, detail="a user endpoint needs option 'user_storage'")
        return self.manager.user_storage

    @property
    def session_scheme(self) -> dict[str, Any]:
        """How OpenAPI describes the session cookie, whatever it is called."""
        cookie = self.manager.session.cookie
        return session_scheme(cookie.shape(True).name, cookie.shape(False).name)

    def public(self, user: User) -> dict[str, Any]:
        """`user` as JSON for its owner: the documented fields and the extra ones that users may edit.

        Other columns of an application's table are left out: they may be a note of the staff, or a hash. Every value is one that
        JSON can say, see `core.jsonsafe`.
        """
        return public_user(user, self.shown_fields)

    def changed_csrf_token(self, state: RequestState) -> str | None:
        """The CSRF token to use from now on, where this answer changes it."""
        return self.source.csrf.token_to_tell(state)

    async def extra_columns(self, request: Request) -> dict[str, Any]:
        """What the application adds to every new session that this request opens; it is asked once.

        Whoever stores something before it opens a session asks for this first: a hook that refuses leaves nothing changed.
        """
        if self.settings.add_to_session is None:
            return {}
        state = state_of(request)
        if state.extra_columns is None:
            extra = await call_hook(self.settings.add_to_session, request)
            if extra is not None and not (isinstance(extra, Mapping) and all(isinstance(name, str) for name in extra)):
                raise CrossauthError(
                    ErrorCode.Configuration,
                    detail="option 'add_to_session': the function must return a dictionary of further columns, or None",
                )
            state.extra_columns = dict(extra or {})
        return state.extra_columns

    def start_session(self, request: Request, key: Key, user: User | None, persist: bool | None) -> None:
        """Make a new session the request's own: its cookie and a new CSRF token go out with the response."""
        state = state_of(request)
        state.queue(self.manager.session.make_cookie(key, persist, local=state.local))
        stored = replace(key, value=self.manager.session.hash_session_id(key.value))
        state.add_identity(self.source.name, session_identity(key.value, stored, user))
        self.source.csrf.new_token(state)

    def origin(self, request: Request) -> ClientInfo:
        """Where a request comes from, and the browser that its cookie names."""
        state, devices = state_of(request), self.manager.devices
        device = devices.read(state.signed_value(devices.cookie), self.manager.session.clock())
        return ClientInfo(
            peer_address(request.scope, self.proxies), device, state.header(b"user-agent"), state.root_path
        )

    async def remember_device(self, request: Request, user: User, factor2_passed: bool) -> None:
        """Know this browser again as one in which `user` was logged in, until one of the user's credentials is another."""
        state, devices = state_of(request), self.manager.devices
        now = self.manager.session.clock()
        device = devices.read(state.signed_value(devices.cookie), now)
        keep = factor2_passed and self.settings.enable_known_devices
        if device is not None and device.knows(user) and not keep:
            return
        id, cookie, expires = devices.make(user, state.local, now)
        state.queue(cookie)
        if keep:
            fields = {"stamp": user.security_stamp}
            await self.manager.key_storage.save_key(user.id, devices.stored(id), now, expires, None, fields)

    async def keep(self, request: Request, data: Mapping[str, Any]) -> None:
        """Write entries into the data of the request's session.

        Raises:
            CrossauthError: `Unauthorized` where it has none.
        """
        session_id = state_of(request)["session_id"]
        if session_id is None:
            raise LoginRequired
        entries: list[KeyDataEntry] = [{"data_name": name, "value": value} for name, value in data.items()]
        await self.manager.update_many_session_data(session_id, entries)

    def end_session(self, request: Request) -> None:
        """Delete both cookies with the response; the next form gets a new CSRF token."""
        state = state_of(request)
        self.source.forget_session(state)
        self.source.csrf.end(state)


def public_user(user: User, editable: Iterable[str]) -> dict[str, Any]:
    """See `SessionContext.public`; `editable` are the names of the extra fields."""
    view: dict[str, Any] = {
        "id": user.id if isinstance(user.id, int) else str(user.id),
        "username": user.username,
        "email": user.email,
        "state": user.state,
        "factor1": user.factor1,
        "factor2": user.factor2 or "",
        "admin": user.admin,
    }
    view |= {name: user.get(name) for name in editable if name not in view}
    # Almost always; asked in one step, for this is a part of many answers.
    if PLAIN.issuperset(map(type, view.values())):
        return view
    return {name: json_safe(value) for name, value in view.items()}


B = TypeVar("B", bound=BaseModel)
# A request for an action of the session server: one whose body is known, and any.
Submitted: TypeAlias = ActionRequest[SessionContext, B]
SessionRequest: TypeAlias = ActionRequest[SessionContext, Any]


def persist_of(call: SessionRequest, sent: bool | None) -> bool | None:
    """Whether the login is to outlive the browser. An unticked box is not sent; JSON without the field leaves it open.

    Parameters:
        call: the request.
        sent: its field `persist`.
    """
    return False if sent is None and call.is_page else sent


def secrets_of(call: SessionRequest, prefix: str = "") -> dict[str, str]:
    """The secrets in a form: the fields that some first factor stores, under `prefix`."""
    return {n: v for n in call.ctx.secret_names if (v := _secret(call, prefix, n)) is not None}


def _secret(call: SessionRequest, prefix: str, name: str) -> str | None:
    """The field of a secret: `repeat_password`, or as the specification also writes it, `repeatPassword`."""
    found = call.form.getAsStr(prefix + name)
    return call.form.getAsStr(f"repeat{name.capitalize()}") if found is None and prefix == "repeat_" else found


def code_of(call: SessionRequest) -> dict[str, str]:
    """The code in a form: the fields that some second factor reads, and a recovery code."""
    names = (*call.ctx.code_names, "token", "recovery_code")
    sent = {n: v for n in names if (v := call.form.getAsStr(n)) is not None}
    # An older name of the same field.
    return {"otp": sent["token"], **sent} if "token" in sent else sent

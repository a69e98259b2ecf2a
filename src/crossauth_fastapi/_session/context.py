"""What every handler of the session server works with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import Request
from starlette.responses import Response

from crossauth_backend.accounts.context import Accounts, Origin
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hash_pool import hashing_for
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.keys.record import Key, KeyDataEntry
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import public_user
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._http.address import Network, peer_address
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._http.redirects import local_path
from crossauth_fastapi._middleware.state import RequestState, is_administrator, state_of
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._session.cookies import cookie_value
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi._session.source import SessionSource, session_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFace:
    """The parts of one session server, and the few steps that several endpoints share."""

    settings: SessionServerSettings
    manager: SessionManager
    source: SessionSource
    pages: Pages
    endpoints: set[str]
    prefix: str
    admin_prefix: str = "/admin/"
    proxies: tuple[Network, ...] = ()
    local_site: bool | None = None
    root_path: str = ""
    gated: set[str] = field(default_factory=set)
    """The names of our own routes that ask for the second factor, see `stepup`."""

    @property
    def accounts(self) -> Accounts:
        """The account services."""
        return replace(self.manager.accounts(), validate_user=self.settings.validate_user_fn, root_path=self.root_path)

    def at(self, root_path: str) -> SessionFace:
        """This, as a request finds it under `root_path`."""
        return replace(self, root_path=root_path) if root_path else self

    @property
    def users(self) -> UserStorage:
        """The user storage.

        Raises:
            CrossauthError: `Configuration` without one.
        """
        if self.manager.user_storage is None:
            raise CrossauthError(ErrorCode.Configuration, detail="a user endpoint needs option 'user_storage'")
        return self.manager.user_storage

    def public(self, user: User) -> dict[str, Any]:
        """`user` as JSON for its owner."""
        return public_user(user, self.users)

    def render(self, request: Request, template: str, variables: Mapping[str, Any], status: int = 200) -> Response:
        """A page of this server."""
        return self.pages.render(request, template, variables, status)

    async def extra_columns(self, request: Request) -> dict[str, Any]:
        """What the application adds to every new session that this request opens; it is asked once.

        Whoever stores something before it opens a session asks for this first: a hook that refuses leaves nothing changed.
        """
        if self.settings.add_to_session is None:
            return {}
        state = state_of(request)
        if state.extra_columns is None:
            state.extra_columns = dict(await call_hook(self.settings.add_to_session, request) or {})
        return state.extra_columns

    def start_session(self, request: Request, key: Key, user: User | None, persist: bool | None) -> None:
        """Make a new session the request's own: its cookie and a new CSRF token go out with the response."""
        state = state_of(request)
        state.queue(self.manager.session.make_cookie(key, persist, local=state.local))
        stored = replace(key, value=self.manager.session.hash_session_id(key.value))
        state.add_identity(self.source.name, session_identity(key.value, stored, user))
        self.source.csrf.new_token(state)

    def claim(self, state: RequestState, name: str) -> str | None:
        """The claim of this browser to what waits in its session under `name`, see `sessions.claim`."""
        claims = self.manager.claims
        return claims.find(cookie_value(state, claims.cookie), name)

    def new_claim(self, state: RequestState, name: str) -> str:
        """Give this browser a claim to what is about to wait under `name`."""
        claims = self.manager.claims
        claim, cookie = claims.make(cookie_value(state, claims.cookie), name, state.local)
        state.queue(cookie)
        return claim

    def origin(self, request: Request) -> Origin:
        """Where a request comes from, and the browser that its cookie names."""
        state, devices = state_of(request), self.manager.devices
        device = devices.read(cookie_value(state, devices.cookie), self.manager.session.clock())
        return Origin(peer_address(request.scope, self.proxies), device, state.header(b"user-agent"), state.root_path)

    async def remember_device(self, request: Request, user: User, factor2_passed: bool) -> None:
        """Know this browser again as one in which `user` was logged in, until one of the user's credentials is another."""
        state, devices = state_of(request), self.manager.devices
        now = self.manager.session.clock()
        device = devices.read(cookie_value(state, devices.cookie), now)
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


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a handler: the server, the request, the fields it sent."""

    face: SessionFace
    request: Request
    form: JsonOrFormData
    is_page: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "face", self.face.at(self.state.root_path))

    @property
    def state(self) -> RequestState:
        """What is known of the request."""
        return state_of(self.request)

    @property
    def user(self) -> User | None:
        """Who is asking."""
        user: User | None = self.state["user"]
        return user

    def url(self, name: str = "") -> str:
        """The URL of an endpoint of the session server, as a browser has to write it."""
        return self.state.url(self.face.prefix + name)

    def admin_url(self, name: str) -> str:
        """The same for an endpoint of administrators."""
        return self.state.url(self.face.admin_prefix + name)

    def text(self, name: str) -> str:
        """A field as text, empty where it was not sent."""
        return self.form.getAsStr(name) or ""

    def secret(self, prefix: str, name: str) -> str | None:
        """The field of a secret: `repeat_password`, or as the specification also writes it, `repeatPassword`."""
        found = self.form.getAsStr(prefix + name)
        return self.form.getAsStr(f"repeat{name.capitalize()}") if found is None and prefix == "repeat_" else found

    @property
    def origin(self) -> Origin:
        """Where the request comes from."""
        return self.face.origin(self.request)

    async def still_wanted(self) -> bool:
        """Whether the client still waits for the answer; it may be asked once the body was read."""
        return not await self.request.is_disconnected()

    def hashing(self) -> AbstractContextManager[None]:
        """Hash passwords for this call: not for clients that have gone."""
        return hashing_for(None, self.still_wanted)

    @property
    def path_parameter(self) -> str:
        """The parameter of the path."""
        return str(next(iter(self.request.path_params.values()), ""))

    def next_page(self, default: str) -> str:
        """Where to go afterwards: `next` from the form or the URL, if it is a page of this site.

        Parameters:
            default: where else; a path from the application's own root gets the root path.
        """
        wanted = self.form.getAsStr("next") or self.request.query_params.get("next")
        return local_path(wanted, self.state.link(default))

    def persist(self) -> bool | None:
        """Whether the login is to outlive the browser. An unticked box is not sent; JSON without the field leaves it open."""
        return self.form.getAsBool("persist", False if self.is_page else None)

    def session_user(self) -> User:
        """The user logged in by cookie.

        Raises:
            CrossauthError: `Unauthorized` where there is none.
        """
        user = self.user
        if user is None or self.state["auth_type"] != "cookie":
            raise LoginRequired
        return user

    async def admin(self) -> User:
        """The administrator who is asking.

        Raises:
            CrossauthError: `Unauthorized` where nobody is logged in, `InsufficientPriviledges` where it is somebody else.
        """
        user = self.session_user()
        if not await is_administrator(self.state, user):
            raise CrossauthError(ErrorCode.InsufficientPriviledges)
        return user

    def editor(self) -> User:
        """The user who may edit the account: logged in by cookie, or by a token with the scope `edit_user_scope`.

        Raises:
            CrossauthError: `Unauthorized` where there is none.
        """
        user = self.user
        if user is None or not can_edit(self.face.settings, self.state):
            raise LoginRequired
        return user


def can_edit(settings: SessionServerSettings, state: RequestState) -> bool:
    """Whether the request may edit the account it is made for."""
    if state["user"] is None:
        return False
    scope = settings.edit_user_scope
    return state["auth_type"] == "cookie" or (scope is not None and scope in (state["scope"] or ()))

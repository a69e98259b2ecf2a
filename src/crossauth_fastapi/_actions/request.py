"""What every handler of an action works with: the request, as it was sent to the server that the action belongs to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeAlias

from fastapi import Request
from pydantic import ValidationError

from crossauth_backend.accounts.context import ClientInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hash_pool import hashing_for
from crossauth_backend.core.texts import mark
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.context import C
from crossauth_fastapi._actions.forms import B, readable_fields
from crossauth_fastapi._http.bodies import JsonOrFormData, bad_request
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._http.redirects import local_path
from crossauth_fastapi._middleware.decision import csrf_refusal
from crossauth_fastapi._middleware.identity import AMBIENT, OIDC, has_ambient
from crossauth_fastapi._middleware.state import RequestState, is_administrator, state_of


class CsrfRule(Enum):
    """When a request must carry a CSRF token."""

    ALWAYS = "always"
    WITH_COOKIE = "with a session cookie"
    ON_SESSION = "with a session cookie, whatever else was sent"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ActionRequest(Generic[C, B]):
    """One request for an action.

    Parameters:
        ctx: the server that the action belongs to.
        request: the request.
        form: the fields it sent, as they are: for hooks, and for what factors define.
        is_page: whether a page is asked for; otherwise JSON.
        model: what the action declares of the fields.
    """

    ctx: C
    request: Request
    form: JsonOrFormData
    is_page: bool
    model: type[B]

    def __post_init__(self) -> None:
        root_path = self.state.root_path
        if root_path:
            object.__setattr__(self, "ctx", self.ctx.at(root_path))

    @property
    def state(self) -> RequestState:
        """What is known of the request."""
        return state_of(self.request)

    @property
    def user(self) -> User | None:
        """Who is asking. Somebody who is known by an ID token alone is not: accounts are for those who log in here."""
        user: User | None = self.state["user"]
        return None if user is not None and self.state["auth_type"] == OIDC else user

    def url(self, name: str = "") -> str:
        """The URL of an endpoint of the server, as a browser has to write it."""
        return self.state.url(self.ctx.prefix + name)

    def admin_url(self, name: str) -> str:
        """The same for an endpoint of administrators."""
        return self.state.url(self.ctx.admin_prefix + name)

    @property
    def body(self) -> B:
        """The fields that the action declares.

        Raises:
            CrossauthError: `BadRequest` where one is missing or wrong.
        """
        return read_body(self.model, self.form)

    @property
    def origin(self) -> ClientInfo:
        """Where the request comes from."""
        return self.ctx.origin(self.request)

    def check_csrf(self, rule: CsrfRule, session: bool) -> None:
        """Refuse a request that may come from another site.

        A token is needed where the browser by itself says who is asking, by a cookie; and by actions such as logging in also
        where nobody is known. Whoever is known by a header needs none: no other site can send it. A change to the session
        of a cookie needs one whatever else was sent.

        Parameters:
            rule: the action's.
            session: whether the action is only for somebody who is logged in.

        Raises:
            CrossauthError: `InvalidCsrf`; `Unauthorized` where somebody must be logged in and there is no session at all.
        """
        auth_type = self.state["auth_type"]
        needed = auth_type in AMBIENT or (auth_type is None and rule is CsrfRule.ALWAYS)
        needed = needed or (rule is CsrfRule.ON_SESSION and has_ambient(self.state.identities))
        if not needed or rule is CsrfRule.NEVER or self.state["csrf_token"]:
            return
        if session and auth_type is None:
            raise LoginRequired
        raise csrf_refusal(self.state)

    async def still_wanted(self) -> bool:
        """Whether the client still waits for the answer; it may be asked once the body was read."""
        return not await self.request.is_disconnected()

    def hashing(self) -> AbstractContextManager[None]:
        """Hash passwords for this request: not for clients that have gone."""
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
        requested = self.form.getAsStr("next") or self.request.query_params.get("next")
        return local_path(requested, self.state.link(default))

    def session_user(self) -> User:
        """The user logged in by cookie.

        Raises:
            CrossauthError: `Unauthorized` where there is none.
        """
        user = self.user
        if user is None or self.state["auth_type"] != "cookie":
            raise login_required(self.state)
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


AnyRequest: TypeAlias = ActionRequest[Any, Any]


def login_required(state: RequestState) -> CrossauthError:
    """The refusal where nobody is logged in; where a key or a token was sent and is refused, it says why."""
    principal = state.principal
    return LoginRequired() if principal is None or principal.error is None else principal.error


def read_body(model: type[B], form: JsonOrFormData) -> B:
    """Read the fields that `model` declares.

    Parameters:
        model: the body of an action.
        form: what was sent.

    Raises:
        CrossauthError: `BadRequest`, naming the field that is missing or wrong.
    """
    values: dict[str, object] = {}
    for name, read, required, later in readable_fields(model):
        value = read(form, name)
        if later:
            values[name] = value or ""
        elif required and value in (None, ""):
            raise CrossauthError(ErrorCode.BadRequest, f"{name} is missing", fields={name: [mark("This is required")]})
        elif form.has(name):
            values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as e:
        error = e.errors(include_input=False, include_url=False)[0]
        raise bad_request(f"{'.'.join(map(str, error['loc']))}: {error['msg']}") from None

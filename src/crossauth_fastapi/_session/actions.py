"""One action, two faces: what a handler returns, and how it becomes a page or JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._http.errors import (
    NO_STORE,
    LoginRequired,
    PasswordRequired,
    error_json,
    error_variables,
    with_retry_after,
)  # fmt: skip
from crossauth_fastapi._http.redirects import see_other
from crossauth_fastapi._session.bodies import CsrfBody
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.csrf import csrf_refusal


@dataclass(frozen=True, slots=True)
class Show:
    """Render the action's own template with these variables, or the one that the option `page_option` names."""

    variables: Mapping[str, Any] = field(default_factory=dict)
    page_option: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Go:
    """Send the browser to a page of this site."""

    url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did: its JSON form, and what a browser is shown."""

    json: Mapping[str, Any]
    page: Show | Go


class CsrfRule(Enum):
    """When a request must carry a CSRF token (contract 1.0)."""

    ALWAYS = "always"
    WITH_COOKIE = "with a session cookie"
    NEVER = "never"


class StepUp(Enum):
    """Whether an action asks a user who has a second factor for it again, where the application's lists say nothing else."""

    NEVER = "never"
    SUBMIT = "before it is done"
    BEGIN = "before it is begun; what waits in the session goes on"


Do: TypeAlias = Callable[[Call], Awaitable[Outcome]]
Look: TypeAlias = Callable[[Call], Awaitable[Show | Go]]


# The parameter of a page whose token may come as part of the path or as `?token=` (contract 1.4).
OPTIONAL_TOKEN: Final = "{token}?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing a user can do.

    Parameters:
        name: its endpoint; the JSON face is `api/` and the name.
        summary: what it does, for OpenAPI.
        step_up: whether it asks for the second factor again; every action has to say.
        do: the handler behind both POST routes; `None` where there is nothing to send.
        look: what the page shows before the form is sent; `None` where there is no page to look at.
        fetch: the handler behind the JSON face's GET; `None` where it has none.
        parameter: a last part of the path that is a parameter, such as `{id}`.
        admin: whether it is for administrators, and under their prefix.
        page_option: the option that names its template.
        body: the fields it reads.
        answer: what its JSON says.
        csrf: when it needs a CSRF token.
        session: whether it is only for somebody who is logged in, for OpenAPI; the handler sees to it.
        echo: fields that a page shows again after an error; never a secret.
        own_password: the field for the password of whoever asks, where the login is too old.
    """

    name: str
    summary: str
    step_up: StepUp
    do: Do | None
    look: Look | None
    page_option: str
    answer: type[BaseModel]
    body: type[BaseModel] = CsrfBody
    fetch: Do | None = None
    parameter: str = ""
    admin: bool = False
    csrf: CsrfRule = CsrfRule.ALWAYS
    session: bool = False
    echo: tuple[str, ...] = ("next",)
    own_password: str = "password"

    @property
    def page_endpoint(self) -> str:
        """The name under which its page is switched on."""
        return f"admin/{self.name}" if self.admin else self.name

    @property
    def api_endpoint(self) -> str:
        """The name under which its JSON face is switched on."""
        return f"admin/api/{self.name}" if self.admin else f"api/{self.name}"


def check_csrf(action: Action, call: Call) -> None:
    """Refuse a request that may come from another site.

    A token is needed where the browser by itself says who is asking, by a cookie; and by actions such as logging in also where
    nobody is known. Whoever is known by a header needs none: no other site can send it.

    Raises:
        CrossauthError: `InvalidCsrf`; `Unauthorized` where somebody must be logged in and there is no session at all.
    """
    auth_type = call.state["auth_type"]
    needed = auth_type == "cookie" or (auth_type is None and action.csrf is CsrfRule.ALWAYS)
    needed = needed and action.csrf is not CsrfRule.NEVER
    if not needed or call.state["csrf_token"]:
        return
    if action.session and auth_type is None:
        raise LoginRequired
    raise csrf_refusal(call.state)


def answer_json(call: Call, outcome: Outcome) -> Response:
    """The JSON face of an outcome."""
    return JSONResponse({**outcome.json, **_changed_token(call)}, headers=NO_STORE)


def _changed_token(call: Call) -> dict[str, str]:
    """The CSRF token to use from now on, where this answer changes it."""
    token = call.face.source.csrf.token_to_tell(call.state)
    return {"csrfToken": token} if token else {}


def answer_page(action: Action, call: Call, page: Show | Go) -> Response:
    """The page face of an outcome."""
    if isinstance(page, Go):
        return see_other(page.url)
    template = call.face.settings.page(page.page_option or action.page_option)
    return call.face.render(call.request, template, page.variables, page.status)


def refuse_json(call: Call, e: CrossauthError) -> Response:
    """The JSON face of a refusal."""
    return error_json(e, _changed_token(call))


def refuse_page(action: Action | None, call: Call, e: CrossauthError, shown: Mapping[str, Any]) -> Response:
    """The page face of a refusal: the action's own form again, with what was wrong and what was typed; or the error page."""
    variables = {**error_variables(e), "httpStatus": e.http_status, **shown}
    settings, page = call.face.settings, "error_page"
    if action is not None:
        page = action.page_option
        # A wrong password is asked for again.
        if isinstance(e, PasswordRequired) or call.form.get(action.own_password):
            variables["passwordNeeded"] = True
        variables |= {n: call.form.get(n) for n in call.form if n in action.echo or n.startswith("user_")}
    return with_retry_after(call.face.render(call.request, settings.page(page), variables, e.http_status), e)

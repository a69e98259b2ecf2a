"""One action, two faces: what a handler returns, and how it becomes a page or JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.errors import NO_STORE, error_json, error_variables, with_retry_after
from crossauth_fastapi._http.redirects import see_other
from crossauth_fastapi._session.bodies import CsrfBody
from crossauth_fastapi._session.context import Call


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
    """

    name: str
    summary: str
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

    Raises:
        CrossauthError: `InvalidCsrf`.
    """
    needed = action.csrf is CsrfRule.ALWAYS or (
        action.csrf is CsrfRule.WITH_COOKIE and call.state["auth_type"] == "cookie"
    )
    if needed and not call.state["csrf_token"]:
        raise CrossauthError(ErrorCode.InvalidCsrf)


def answer_json(outcome: Outcome) -> Response:
    """The JSON face of an outcome."""
    return JSONResponse(dict(outcome.json), headers=NO_STORE)


def answer_page(action: Action, call: Call, page: Show | Go) -> Response:
    """The page face of an outcome."""
    if isinstance(page, Go):
        return see_other(page.url)
    template = call.face.settings.page(page.page_option or action.page_option)
    return call.face.render(call.request, template, page.variables, page.status)


def refuse_json(e: CrossauthError) -> Response:
    """The JSON face of a refusal."""
    return error_json(e)


def refuse_page(action: Action | None, call: Call, e: CrossauthError, shown: Mapping[str, Any]) -> Response:
    """The page face of a refusal: the action's own form again, with what was wrong and what was typed; or the error page."""
    variables = {**error_variables(e), "httpStatus": e.http_status, **shown}
    settings, page = call.face.settings, "error_page"
    if action is not None:
        page = action.page_option
        variables |= {n: call.form.get(n) for n in call.form if n in action.echo or n.startswith("user_")}
    return with_retry_after(call.face.render(call.request, settings.page(page), variables, e.http_status), e)

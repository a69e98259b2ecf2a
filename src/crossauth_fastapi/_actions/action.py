"""What a user can do, as one record: everything that is said of an endpoint, whoever needs it, is said here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeAlias

from pydantic import BaseModel

from crossauth_backend.events.record import EventName
from crossauth_fastapi._actions.context import C
from crossauth_fastapi._actions.forms import B, readable_fields
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._actions.request import ActionRequest, CsrfRule

# The parameter of a page whose token may come as part of the path or as `?token=`.
OPTIONAL_TOKEN: Final = "{token}?"

Handler: TypeAlias = Callable[[ActionRequest[C, B]], Awaitable[Outcome]]
PageHandler: TypeAlias = Callable[[ActionRequest[C, Any]], Awaitable[Page | Redirect]]


class StepUp(Enum):
    """Whether an action asks a user who has a second factor for it again, where the application's lists say nothing else."""

    NEVER = "never"
    SUBMIT = "before it is done"
    READ_AND_SUBMIT = "before its JSON is read, and before it is done"
    BEGIN = "before it is begun; what waits in the session goes on"


@dataclass(frozen=True, slots=True)
class Group:
    """Actions that are switched on together and stand together in OpenAPI.

    Parameters:
        name: its name.
        tag: its tag in OpenAPI.
        option: the option without which none of them can be there; `None` where there is none, or where naming one is enough.
        admin: whether they are for administrators, and under their prefix.
    """

    name: str
    tag: str
    option: str | None = None
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Generic[C, B]):
    """One thing a user can do.

    Parameters:
        name: its endpoint; the JSON endpoint is `api/` and the name.
        group: what it is switched on with.
        summary: what it does, for OpenAPI.
        operation_id: its name in clients that are made from OpenAPI; it never changes.
        step_up: whether it asks for the second factor again; every action has to say.
        submit: the handler behind both POST routes; `None` where there is nothing to send.
        get_page: what the page shows before the form is sent; `None` where there is no page to look at.
        get_json: the handler behind the JSON endpoint's GET; `None` where it has none.
        json_summary: what that GET does, for OpenAPI.
        json_operation_id: the name of that GET.
        json_answer: what that GET says, where it is not `answer`.
        parameter: a last part of the path that is a parameter, such as `{id}`.
        page_option: the option that names its template; documented pages have one. `None` where it has no page, or a `template`.
        template: the template of its page, instead of an option; an application replaces it by a file of this name.
            `form.jinja2` shows a title, a text, fields and a button, which the handler gives.
        body: the fields it reads, see `forms`.
        answer: what its JSON says.
        csrf: when it needs a CSRF token.
        session: whether it is only for somebody who is logged in, for OpenAPI; the handler sees to it.
        events: what it tells the listeners of events when it was done.
        limits: the limits of attempts that count it.
        echo: fields that a page shows again after an error; never a secret.
        own_password: the field for the password of whoever asks, where the login is too old.
    """

    name: str
    group: Group
    summary: str
    operation_id: str
    step_up: StepUp
    submit: Handler[C, B] | None
    get_page: PageHandler[C] | None
    body: type[B]
    answer: type[BaseModel]
    page_option: str | None = None
    template: str | None = None
    get_json: Handler[C, Any] | None = None
    json_summary: str = ""
    json_operation_id: str = ""
    json_answer: type[BaseModel] | None = None
    parameter: str = ""
    csrf: CsrfRule = CsrfRule.ALWAYS
    session: bool = False
    events: tuple[EventName, ...] = ()
    limits: tuple[str, ...] = ()
    echo: tuple[str, ...] = ("next",)
    own_password: str = "password"

    def __post_init__(self) -> None:
        # So that a body which no form can have is known when the action is defined.
        readable_fields(self.body)
        if self.page_option is not None and self.template is not None:
            raise ValueError(
                f"action {self.name!r}: its template is named by 'page_option' or by 'template', not by both"
            )
        if self.get_page is not None and not self.has_page:
            raise ValueError(f"action {self.name!r}: its page needs a template; name 'page_option' or 'template'")

    @property
    def admin(self) -> bool:
        """Whether it is for administrators, and under their prefix."""
        return self.group.admin

    @property
    def has_page(self) -> bool:
        """Whether it has a page, or takes the form of another action's."""
        return self.page_option is not None or self.template is not None

    @property
    def has_json(self) -> bool:
        """Whether it has a JSON endpoint."""
        return self.submit is not None or self.get_json is not None

    @property
    def page_endpoint(self) -> str:
        """The name under which its page is switched on."""
        return f"admin/{self.name}" if self.admin else self.name

    @property
    def api_endpoint(self) -> str:
        """The name under which its JSON endpoint is switched on."""
        return f"admin/api/{self.name}" if self.admin else f"api/{self.name}"

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The names that it has."""
        pages = (self.page_endpoint,) if self.has_page else ()
        return (*pages, self.api_endpoint) if self.has_json else pages


AnyAction: TypeAlias = Action[Any, Any]

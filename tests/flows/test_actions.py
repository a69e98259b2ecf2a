"""A server of another kind: its actions have pages and JSON, CSRF and step-up, and it imports nothing of the session server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from pydantic import Field

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._actions.action import Action, Group, StepUp
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._actions.forms import CsrfBody, Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._actions.request import ActionRequest, CsrfRule
from crossauth_fastapi._actions.routes import api_routes, page_routes
from crossauth_fastapi._pages.environment import PAGE_POLICY, Pages
from crossauth_fastapi._pages.policy import PagePolicy
from tests.accounts import Browser, World
from tests.support import CSRF

NOTES = Group("notes", "notes")


class NoteBody(CsrfBody):
    text: str = Field(description="What it says.")


class Settings:
    def page(self, option_name: str) -> str:
        names = {"note_page": "note.jinja2", "consent_page": "logout.jinja2", "error_page": "error.jinja2"}
        return names[option_name]


class NotesContext(ActionContext):
    """What the actions of this server work with."""

    notes: list[str] = []  # noqa: RUF012


async def get_note_page(call: ActionRequest[NotesContext, Any]) -> Page | Redirect:
    return Page({"notes": list(call.ctx.notes), "who": call.session_user().username})


async def get_notes_json(call: ActionRequest[NotesContext, Any]) -> Outcome:
    call.session_user()
    return Outcome({"ok": True, "notes": list(call.ctx.notes)}, Page())


async def write_note(call: ActionRequest[NotesContext, NoteBody]) -> Outcome:
    call.session_user()
    text = call.body.text
    if text == "nonsense":
        raise CrossauthError(ErrorCode.BadRequest, "This is nonsense")
    call.ctx.notes.append(text)
    return Outcome({"ok": True}, Redirect(call.url("notes")))


WRITE = Action(
    name="notes", group=NOTES, summary="Write a note", operation_id="notes_write", step_up=StepUp.SUBMIT,
    submit=write_note, get_page=get_note_page, get_json=get_notes_json, json_summary="Read notes",
    json_operation_id="notes_read", page_option="note_page", body=NoteBody, answer=Ok, session=True, echo=("text",),
)  # fmt: skip


async def get_export_page(call: ActionRequest[NotesContext, Any]) -> Page | Redirect:
    call.session_user()
    return Page({"title": "Your notes", "lead": "Everything you wrote.", "button": "Show them"})


async def export(call: ActionRequest[NotesContext, Any]) -> Outcome:
    call.session_user()
    return Outcome(
        {"ok": True, "notes": call.ctx.notes}, Page({"title": "Your notes", "result": " ".join(call.ctx.notes)})
    )


EXPORT = Action(
    name="exportnotes", group=NOTES, summary="Export notes", operation_id="notes_export", step_up=StepUp.READ_AND_SUBMIT,
    submit=export, get_page=get_export_page, get_json=export, json_summary="Read all notes",
    json_operation_id="notes_read_all", template="form.jinja2", body=CsrfBody, answer=Ok, session=True,
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "note.jinja2").write_text("{{ who }}: {{ notes|join(' ') }} [{{ text }}] {{ errorMessage }}")
    world = World()
    NotesContext.notes.clear()
    router = APIRouter()
    ctx = NotesContext(
        settings=Settings(),
        pages=Pages(str(tmp_path), lambda request: {}),
        endpoints={*WRITE.endpoints, *EXPORT.endpoints},
        prefix="/n/",
    )
    for action in (WRITE, EXPORT):
        page_routes(router, ctx, action)
        api_routes(router, ctx, action)
    world.server.app.include_router(router)
    return world


@pytest.fixture
def alice(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        yield browser


def header(browser: Browser) -> dict[str, str]:
    return {CSRF: browser.token()}


def test_one_handler_answers_a_page_and_json(world: World, alice: Browser) -> None:
    assert alice.post("/n/api/notes", json={"text": "one"}, headers=header(alice)).json() == {"ok": True}
    sent = alice.post("/n/notes", data={"text": "two"}, headers=header(alice))
    assert (sent.status_code, sent.headers["location"]) == (303, "/n/notes")
    assert alice.get("/n/notes").text == "alice: one two [] "
    assert alice.get("/n/api/notes").json() == {"ok": True, "notes": ["one", "two"]}
    described = world.server.app.openapi()["paths"]
    assert "/n/notes" not in described
    assert {call["operationId"] for call in described["/n/api/notes"].values()} == {"notes_write", "notes_read"}


def test_a_refusal_shows_the_form_again_or_is_json(alice: Browser) -> None:
    answer = alice.post("/n/notes", data={"text": "nonsense"}, headers=header(alice))
    assert (answer.status_code, answer.text) == (400, "alice:  [nonsense] This is nonsense")
    refused = alice.post("/n/api/notes", json={"text": "nonsense"}, headers=header(alice))
    assert (refused.status_code, refused.json()["errorCodeName"]) == (400, "BadRequest")


def test_a_page_says_what_its_form_needs_of_the_policy(world: World) -> None:
    """Also when it is shown again after an error; a redirect has no policy, and the error page has the strict one."""

    async def get_consent(call: ActionRequest[NotesContext, Any]) -> Page | Redirect:
        if call.request.query_params.get("who"):
            raise CrossauthError(ErrorCode.Forbidden)
        return Page({}, policy=PagePolicy(form_action=("https://rp.example/cb",)))

    async def consent(call: ActionRequest[NotesContext, Any]) -> Outcome:
        raise CrossauthError(ErrorCode.BadRequest, "Not so")

    action = Action(
        name="consent", group=NOTES, summary="Consent", operation_id="consent", step_up=StepUp.NEVER, submit=consent,
        get_page=get_consent, page_option="consent_page", body=CsrfBody, answer=Ok, csrf=CsrfRule.NEVER,
    )  # fmt: skip
    router = APIRouter()
    common = {"urlPrefix": "/", "stylesheet": "/x.css", "endpoints": (), "user": None, "csrfToken": "t"}
    pages = Pages("none", lambda request: dict(common))
    ctx = NotesContext(settings=Settings(), pages=pages, endpoints=set(action.endpoints), prefix="/c/")
    page_routes(router, ctx, action)
    world.server.app.include_router(router)
    wide = PAGE_POLICY.replace("form-action 'self'", "form-action 'self' https://rp.example")
    with world.open() as url, Browser(url) as browser:
        displayed = browser.get("/c/consent")
        assert (displayed.status_code, displayed.headers["content-security-policy"]) == (200, wide)
        again = browser.post("/c/consent", data={})
        assert (again.status_code, again.headers["content-security-policy"]) == (400, wide)
        refused = browser.get("/c/consent?who=x")
        assert (refused.status_code, refused.headers["content-security-policy"]) == (403, PAGE_POLICY)


def test_a_form_of_another_site_is_refused(alice: Browser) -> None:
    assert alice.post("/n/api/notes", json={"text": "one"}).json()["errorCodeName"] == "InvalidCsrf"
    assert alice.post("/n/notes", data={"text": "one"}).status_code == 403
    assert alice.get("/n/api/notes").json()["notes"] == []


def test_who_is_not_logged_in_is_sent_away(world: World) -> None:
    with world.open() as url, Browser(url) as browser:
        assert browser.post("/n/api/notes", json={"text": "one"}).json()["errorCodeName"] == "Unauthorized"
        assert browser.get("/n/notes").status_code == 401


def test_its_action_asks_for_the_second_factor_as_it_says(world: World, alice: Browser) -> None:
    secret, _ = alice.add_totp(world)
    asked = alice.post("/n/api/notes", json={"text": "one"}, headers=header(alice)).json()
    assert asked["factor2Required"] is True
    assert alice.get("/n/api/notes").json()["notes"] == []
    code = world.code(secret)
    done = alice.post("/n/api/notes", json={"otp": code}, headers=header(alice))
    assert done.json()["ok"] is True
    assert alice.get("/n/api/notes").json()["notes"] == ["one"]


def test_a_page_with_one_form_needs_no_template_of_its_own(alice: Browser) -> None:
    alice.post("/n/api/notes", json={"text": "<b>"}, headers=header(alice))
    page = alice.get("/n/exportnotes").text
    assert "<h1>Your notes</h1>" in page
    assert "Everything you wrote." in page
    assert ">Show them</button>" in page
    displayed = alice.post("/n/exportnotes", data={}, headers=header(alice)).text
    assert "&lt;b&gt;" in displayed
    assert "</form>" not in displayed


def test_json_that_is_read_asks_for_the_second_factor_where_the_action_says_so(world: World, alice: Browser) -> None:
    alice.post("/n/api/notes", json={"text": "one"}, headers=header(alice))
    assert alice.get("/n/api/exportnotes").json()["notes"] == ["one"], "there is no second factor yet"
    secret, _ = alice.add_totp(world)
    assert alice.get("/n/api/exportnotes").json()["factor2Required"] is True
    assert "Show them" in alice.get("/n/exportnotes").text, "the page shows nothing that is protected"
    assert alice.post("/n/exportnotes", data={}, headers=header(alice)).headers["location"] == "/factor2"
    alice.call("/api/cancelfactor2")
    assert alice.get("/n/api/exportnotes").json()["factor2Required"] is True
    assert alice.call("/api/factor2", otp=world.code(secret)).json()["notes"] == ["one"]


def test_an_action_without_a_template_for_its_page_cannot_be_defined() -> None:
    fields: dict[str, Any] = {
        "name": "x", "group": NOTES, "summary": "X", "operation_id": "x", "step_up": StepUp.NEVER, "submit": export,
        "get_page": get_export_page, "body": CsrfBody, "answer": Ok,
    }  # fmt: skip
    with pytest.raises(ValueError, match="'page_option' or 'template'"):
        Action(**fields)
    with pytest.raises(ValueError, match="not by both"):
        Action(**fields, page_option="note_page", template="form.jinja2")
    with pytest.raises(TypeError, match="step_up"):
        Action(**{name: value for name, value in fields.items() if name != "step_up"}, template="form.jinja2")

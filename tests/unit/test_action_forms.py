"""Fields of a form are read as the action declares them."""

from typing import Any

import pytest
from pydantic import BaseModel, Field
from starlette.requests import Request

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._actions.forms import AsSent, CheckedLater, CsrfBody, readable_fields
from crossauth_fastapi._actions.request import read_body
from crossauth_fastapi._http.bodies import JsonOrFormData


class Everything(CsrfBody):
    name: str
    later: CheckedLater
    sent: AsSent = None
    text: str | None = None
    flag: bool | None = None
    count: int | None = None
    share: float = 0.5
    short: str | None = Field(None, max_length=3)


def read(**fields: Any) -> Everything:
    return read_body(Everything, JsonOrFormData(Request({"type": "http"}), {"name": "x", **fields}))


def refusal(**fields: Any) -> str:
    with pytest.raises(CrossauthError) as caught:
        read(**fields)
    assert (caught.value.code_name, caught.value.http_status) == ("BadRequest", 400)
    return caught.value.message


def test_what_is_not_sent_has_its_default() -> None:
    body = read()
    assert (body.later, body.text, body.flag, body.count, body.share) == ("", None, None, None, 0.5)
    assert body.model_fields_set == {"name", "later"}


@pytest.mark.parametrize(
    ("sent", "meant"), [("true", True), ("on", True), ("1", True), ("YES", True), (True, True), (1, True), ("false", False),
                        ("0", False), ("", False), ("nonsense", False), (False, False), (None, None)]
)  # fmt: skip
def test_a_box_of_a_form_and_a_boolean_of_json_are_the_same(sent: object, meant: bool | None) -> None:
    assert read(flag=sent).flag is meant


def test_numbers_may_be_text() -> None:
    assert read(count="7").count == 7
    assert read(share="0.25").share == 0.25


def test_null_was_sent_and_is_none() -> None:
    body = read(text=None)
    assert body.text is None
    assert "text" in body.model_fields_set


def test_undeclared_fields_and_those_of_hooks_are_left_alone() -> None:
    body = read(sent={"a": [1]}, csrfToken=5, user_x=[], otherwise=1)
    assert (body.sent, body.csrfToken) == (None, None)


@pytest.mark.parametrize("sent", [None, ""])
def test_a_missing_field_is_refused_by_name(sent: object) -> None:
    assert refusal(name=sent) == "name is missing"


@pytest.mark.parametrize("garbage", [[], {}, [[]], {"a": {"b": 1}}])
@pytest.mark.parametrize("name", ["name", "later", "text", "flag", "count", "share"])
def test_garbage_is_refused_by_name(name: str, garbage: object) -> None:
    assert refusal(**{name: garbage}).startswith(f"{name} must be ")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "x", "", True])
def test_what_is_no_number_is_refused(number: object) -> None:
    assert refusal(count=number) == "count must be a number"
    assert refusal(share=number) == "share must be a number"


def test_a_declared_bound_holds_and_the_refusal_does_not_repeat_what_was_sent() -> None:
    assert read(short="abc").short == "abc"
    assert refusal(short="secret") == "short: String should have at most 3 characters"


@pytest.mark.parametrize("kind", [list[str], dict[str, str], str | int, bytes])
def test_a_field_that_no_form_has_is_refused_where_the_action_is_defined(kind: Any) -> None:
    model = type("Odd", (BaseModel,), {"__annotations__": {"odd": kind}})
    with pytest.raises(TypeError, match=r"Odd\.odd: a form has text, numbers and booleans"):
        readable_fields(model)

"""Ids and addresses of the routes of FastAPI Users."""

import uuid
from typing import Any

import pytest
from pydantic import BaseModel

from crossauth_fastapi.fastapi_users._addresses import login_spellings, spellings, valid_address
from crossauth_fastapi.fastapi_users._ids import IntegerIDMixin, UUIDIDMixin, id_type
from crossauth_fastapi.fastapi_users.exceptions import InvalidID

SOME = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("value", "id"), [(SOME, SOME), (str(SOME), SOME), (str(SOME).upper(), SOME), (SOME.hex, SOME)]
)
def test_ids_that_are_uuids(value: Any, id: uuid.UUID) -> None:
    assert UUIDIDMixin().parse_id(value) == id


@pytest.mark.parametrize("value", [None, "", "7", 7, b"7", [], "x" * 36, "\ud800", str(SOME) + "0"])
def test_what_is_no_uuid(value: Any) -> None:
    with pytest.raises(InvalidID):
        UUIDIDMixin().parse_id(value)


@pytest.mark.parametrize(("value", "id"), [(0, 0), ("0", 0), ("007", 7), (2**63 - 1, 2**63 - 1)])
def test_ids_that_are_whole_numbers(value: Any, id: int) -> None:
    assert IntegerIDMixin().parse_id(value) == id


@pytest.mark.parametrize(
    "value", [True, -1, "-1", 2**63, str(2**63), "9" * 20, "9" * 10_000, "1.0", 1.0, "", " 1", "١", None, "²"]
)
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(InvalidID):
        IntegerIDMixin().parse_id(value)


class Schema(BaseModel):
    id: uuid.UUID


class Manager(IntegerIDMixin): ...


def test_the_type_of_ids_is_found_where_something_says_it() -> None:
    def get_manager() -> Manager: ...  # type: ignore[empty-body]
    def get_nothing() -> None: ...
    def get_unknown() -> "Nobody": ...  # type: ignore[name-defined]  # noqa: F821

    assert id_type(Schema) is uuid.UUID
    assert id_type(get_manager) is int
    for hint in (get_nothing, get_unknown, None, object(), 7, "x"):
        assert id_type(hint) is None


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b", "a@b@c", "\ud800@x.example", "a" * 400 + "@x.example", None, 7, ["a@b.example"]]
)
def test_what_is_no_address(text: object) -> None:
    assert valid_address(text) is None


def test_an_address_is_looked_for_as_it_is_stored_and_as_it_was_typed() -> None:
    assert valid_address("A@EXAMPLE.com") == "A@example.com"
    assert login_spellings("  A@EXAMPLE.com ") == ["A@example.com", "A@EXAMPLE.com"]
    assert login_spellings("alice") == ["alice"]


def test_spellings_are_those_of_databases_that_know_ascii_only() -> None:
    assert spellings("Alice") == ["alice"]
    assert set(spellings("É")) == {"é", "É"}
    assert set(spellings("éà")) == {"éà", "ÉÀ", "éÀ", "Éà"}
    assert len(spellings("é" * 1000)) <= 3

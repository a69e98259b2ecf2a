"""What a username and an address may be, and who is an administrator."""

import pytest

from crossauth_backend import CrossauthError, ErrorCode, User
from crossauth_backend.users.rules import (
    MAX_USERNAME,
    default_is_admin_fn,
    default_user_validator,
    is_address,
    name_for_strangers,
    username_problems,
    valid_email,
)


@pytest.mark.parametrize(
    "name", ["al", "alice@example.com", "Zoë", "Ünal Öztürk", "日本", "a" * MAX_USERNAME, "o'brien", "R2-D2"]
)
def test_names_that_people_have(name: str) -> None:
    assert username_problems(name) == []
    assert default_user_validator({"username": name}) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a", "at least"),
        ("", "at least"),
        ("   ", "at least"),
        (None, "at least"),
        (7, "at least"),
        (["al"], "at least"),
        ("a" * (MAX_USERNAME + 1), "at most"),
        ("\ufdfa" * MAX_USERNAME, "too long"),
        ("al\x00", "control"),
        ("al\n", "control"),
        ("a\u202eb", "control"),
        ("al\ud800", "control"),
        (" al", "space"),
        ("al ", "space"),
        ("a\u200bl", "invisible"),
        ("al\ue000", "invisible"),
        ("r\N{CYRILLIC SMALL LETTER O}ot", "mix"),
    ],
)
def test_names_that_nobody_needs(name: object, problem: str) -> None:
    problems = username_problems(name)
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize("name", ["\u0301\u0301\u0301", "\u00a8\u00a8"])
def test_a_name_of_marks_alone_is_none(name: str) -> None:
    assert username_problems(name) == ["Username must contain letters or digits"]


@pytest.mark.parametrize("name", ["alice", "Anne-Marie", "bob_42", "Zoë", "張偉"])
def test_a_plain_name_is_told_to_strangers(name: str) -> None:
    assert name_for_strangers(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "http://evil",
        "a@b",
        "call 555 1234",
        "12345",
        "a-b-c-d",
        "a" * 25,
        "買" * 9,
        "two words",
        "a/b",
        "a:b",
        "alice\n",
        "👋",
    ],
)
def test_a_name_that_could_carry_a_message_is_not(name: str) -> None:
    assert name_for_strangers(name) == ""


@pytest.mark.parametrize(
    ("given", "normal"),
    [("a@EXAMPLE.com", "a@example.com"), ("A@b.example", "A@b.example"), ("e\u0301@b.example", "é@b.example")],
)
def test_an_address_has_one_form(given: str, normal: str) -> None:
    assert valid_email(given) == normal
    assert is_address(given)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@",
        "@b.example",
        "a@b@c.example",
        "a b@c.example",
        "a@b..example",
        "\ud800@b.example",
        "a\x00@b.example",
        "a" * 400 + "@b.example",
        "a@\u2028b.example",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        valid_email(text)
    assert refused.value.code is ErrorCode.InvalidEmail
    assert not is_address(text)


@pytest.mark.parametrize(
    ("admin", "is_admin"), [(True, True), (False, False), (1, False), ("true", False), (None, False)]
)
def test_an_administrator_is_one_by_true_alone(admin: object, is_admin: bool) -> None:
    assert default_is_admin_fn({"admin": admin}) is is_admin
    assert default_is_admin_fn(User(id=1, username="a", admin=admin)) is is_admin  # type: ignore[arg-type]

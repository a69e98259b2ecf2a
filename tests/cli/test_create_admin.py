"""`crossauth create-admin`: with a session server and with the routes of FastAPI Users."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.support import PASSWORD, invoke, query, unwrapped
from tests.cli.test_create_superuser import SMALL

EMAIL = "merlin@camelot.bt"
# The column of `SMALL` that must be filled.
FIELD = ("--field", "nickname=Ambrosius")


def test_the_password_is_asked_for_twice(shop: Path) -> None:
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    made = invoke(shop, "create-admin", "shop:app", "--username", "merlin", "--email", EMAIL, typed=typed)
    assert made.exit_code == 0, made.output
    assert "merlin is an administrator, with the id 1" in made.output
    assert PASSWORD not in made.output
    assert query(shop / "shop.db", 'select username, email, state, admin from "User"') == [
        ("merlin", EMAIL, "active", 1)
    ]
    assert query(shop / "shop.db", "select name, actor, address from CrossauthAudit") == [("user_created", None, "")]


def test_two_passwords_that_differ_make_nobody(shop: Path) -> None:
    made = invoke(shop, "create-admin", "shop", "--username", "merlin", typed=f"{PASSWORD}\nanother one\n")
    assert made.exit_code != 0
    assert query(shop / "shop.db", 'select * from "User"') == []


def test_from_standard_input(shop: Path) -> None:
    made = invoke(shop, "create-admin", "shop", "--username", "merlin", "--password-stdin", typed=f"{PASSWORD}\r\n")
    assert made.exit_code == 0, made.output
    none = invoke(shop, "create-admin", "shop", "--username", "morgan", "--password-stdin")
    assert none.exit_code == 2
    assert "no password on standard input" in none.stderr
    assert len(query(shop / "shop.db", 'select * from "User"')) == 1


def test_a_generated_password_is_printed_once_and_nobody_is_made_twice(shop: Path) -> None:
    arguments = ("create-admin", "shop", "--username", "merlin", "--generate-password")
    made = invoke(shop, *arguments)
    assert made.exit_code == 0, made.output
    found = re.search(r"shown only now: (\S{20,})", made.stdout)
    assert found is not None
    secrets = query(shop / "shop.db", "select password from UserSecrets")
    again = invoke(shop, *arguments)
    assert again.exit_code == 0, again.output
    assert again.stdout.strip() == "merlin is an administrator already, with the id 1"
    assert query(shop / "shop.db", "select password from UserSecrets") == secrets
    told = json.loads(invoke(shop, *arguments, "--json").stdout)
    assert told == {"id": 1, "username": "merlin", "email": None, "created": False, "changed": False}
    other = invoke(shop, "create-admin", "shop", "--email", EMAIL, "--generate-password", "--json")
    told = json.loads(other.stdout)
    assert (told["created"], told["email"], len(told["password"]) >= 20) == (True, EMAIL, True)


def test_a_user_who_is_no_administrator_is_not_made_one_by_the_way(shop: Path) -> None:
    invoke(shop, "create-admin", "shop", "--username", "merlin", "--generate-password")
    query(shop / "shop.db", 'update "User" set admin = 0')
    refused = invoke(shop, "create-admin", "shop", "--username", "merlin", "--generate-password")
    assert refused.exit_code == 2
    assert "add --promote" in unwrapped(refused.stderr)
    assert "shown only now" not in refused.output
    assert query(shop / "shop.db", 'select admin from "User"') == [(0,)]
    done = invoke(shop, "create-admin", "shop", "--username", "merlin", "--promote")
    assert "merlin is an administrator now" in done.stdout
    assert query(shop / "shop.db", 'select admin from "User"') == [(1,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--password-stdin",), "at least 8 characters"),
        (("--password-stdin", "--generate-password"), "choose one of"),
        (("--generate-password", "--field", "admin=0"), "not 'admin'"),
        (("--generate-password", "--app", "shop:app"), "--app belongs to a FastAPIUsers"),
    ],
)
def test_what_is_wrong_is_said(shop: Path, arguments: tuple[str, ...], said: str) -> None:
    done = invoke(shop, "create-admin", "shop:server", "--username", "merlin", *arguments, typed="short\n")
    assert done.exit_code == 2
    assert said in unwrapped(done.stderr)
    assert "short" not in done.output


def test_with_the_routes_of_fastapi_users(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SMALL)
    arguments = ("create-admin", "small:users", "--email", EMAIL, "--generate-password", *FIELD)
    made = invoke(tmp_path, *arguments)
    assert made.exit_code == 0, made.output
    assert f"{EMAIL} is a superuser" in made.stdout
    assert "shown only now" in made.stdout
    again = invoke(tmp_path, *arguments, "--json")
    assert again.exit_code == 0, again.output
    told = json.loads(again.stdout)
    assert (told["email"], told["created"]) == (EMAIL, False)
    assert "password" not in told
    assert query(tmp_path / "small.db", "select is_superuser, is_verified, nickname from user") == [(1, 1, "Ambrosius")]

"""`crossauth users` and `crossauth sessions`: what administrators do, from the terminal."""

import json
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from tests.cli.support import invoke, query, unwrapped
from tests.services.uvicorn import serve
from tests.support import Client, make_server

EMAIL = "alice@example.com"


@pytest.fixture
async def people(shop: Path) -> Path:
    """`shop` with alice, who has an address, and bob, who has none."""
    users = SqlAlchemyUserStorage(open_engine(f"sqlite:///{shop}/shop.db"))
    for name, email in (("alice", EMAIL), ("bob", None)):
        user = {"username": name, "email": email, "state": "active", "factor1": "localpassword"}
        await users.create_user(user, {"password": "a hash that nobody may read"})
    await users.close()
    return shop


def events(folder: Path) -> list[tuple[Any, ...]]:
    return query(folder / "shop.db", "select name, username, actor, address from CrossauthAudit order by id")


def state(folder: Path, who: str = "alice") -> str:
    told: str = json.loads(invoke(folder, "users", "show", "shop", who, "--json").stdout)["state"]
    return told


def test_users_are_listed_and_shown_without_secrets(people: Path) -> None:
    listed = invoke(people, "users", "list", "shop")
    assert listed.exit_code == 0, listed.output
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["USERNAME", "alice", "bob"]
    told = json.loads(invoke(people, "users", "list", "shop", "--json", "--skip", "1", "--take", "1").stdout)
    assert told == [
        {
            "id": 2, "username": "bob", "email": None, "state": "active", "factor1": "localpassword", "factor2": None,
            "admin": False,
        }
    ]  # fmt: skip
    found = json.loads(invoke(people, "users", "list", "shop", "--search", EMAIL, "--json").stdout)
    assert [user["username"] for user in found] == ["alice"]
    assert "No users found" in invoke(people, "users", "list", "shop", "--search", "carol").stdout
    for who in (("alice",), (EMAIL,), ("1", "--id")):
        displayed = invoke(people, "users", "show", "shop", *who)
        assert "username: alice" in displayed.stdout
        assert "sessions: 0" in displayed.stdout
        assert "hash" not in displayed.stdout


def test_states_change_as_by_an_administrator(people: Path) -> None:
    done = invoke(people, "users", "disable", "shop", "alice")
    assert (done.exit_code, done.stdout) == (0, "alice is disabled\n"), done.output
    assert state(people) == "disabled"
    again = invoke(people, "users", "disable", "shop", "alice")
    assert (again.exit_code, again.stdout) == (0, "alice is disabled\n")
    assert invoke(people, "users", "enable", "shop", EMAIL).exit_code == 0
    told = json.loads(invoke(people, "users", "set-state", "shop", "alice", "passwordresetneeded", "--json").stdout)
    assert (told["state"], told["reset_sent"]) == ("passwordresetneeded", True)
    assert events(people) == [("user_updated", "alice", None, "")] * 3
    assert state(people, "bob") == "active"


def test_a_reset_link_is_sent(people: Path) -> None:
    sent = invoke(people, "users", "reset", "shop", "alice")
    assert (sent.exit_code, sent.stdout) == (0, f"Sent a password reset link to {EMAIL}\n"), sent.output
    assert [event[0] for event in events(people)] == ["password_reset_requested"]
    assert query(people / "shop.db", "select count(*) from Key where value like 'p:%'") == [(1,)]
    assert state(people) == "active"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("users", "show", "shop", "carol"), "There is no user 'carol'"),
        (("users", "show", "shop", "9", "--id"), "There is no user '9'"),
        (("users", "show", "shop", "9" * 40, "--id"), "There is no user"),
        (("users", "set-state", "shop", "alice", "happy"), "There is no status 'happy'"),
        (("users", "reset", "shop", "bob"), "bob has no email address"),
        (("users", "list", "shop", "--take", "0"), "--take"),
        (("users", "list", "nowhere"), "there is no module 'nowhere'"),
        (("users", "list", "shop:engine"), "no FastApiServer"),
        (("sessions", "list", "shop", "carol"), "There is no user 'carol'"),
        (("sessions", "revoke", "shop", "alice"), "either a handle"),
        (("sessions", "revoke", "shop", "alice", "nonsense"), "There is no such session"),
        (("sessions", "revoke", "shop", "alice", "-QxAHandleAsSessionsHave"), "There is no such session"),
    ],
)
def test_what_cannot_be_done_is_said(people: Path, arguments: tuple[str, ...], said: str) -> None:
    done = invoke(people, *arguments)
    assert done.exit_code == 2, done.output
    assert said in unwrapped(done.stderr)
    assert done.stdout == ""
    assert query(people / "shop.db", 'select username, state from "User"') == [("alice", "active"), ("bob", "active")]


def test_no_link_without_mail_or_for_who_is_disabled(people: Path) -> None:
    none = invoke(people, "users", "reset", "shop", "alice", RESET="no")
    assert (none.exit_code, none.stdout) == (2, "")
    assert "'enable_password_reset'" in unwrapped(none.stderr)
    invoke(people, "users", "disable", "shop", "alice")
    refused = invoke(people, "users", "reset", "shop", "alice")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "enable the account first" in unwrapped(refused.stderr)


def test_sessions_are_listed_by_handles_and_revoked(shop: Path) -> None:
    engine = open_engine(f"sqlite:///{shop}/shop.db")
    server = make_server(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    with serve(server.app) as url, Client(url, headers={"User-Agent": "Firefox/140.0"}) as one, Client(url) as other:
        assert one.sign_up("alice").status_code == 200
        assert other.log_in("alice").status_code == 200
        listed = json.loads(invoke(shop, "sessions", "list", "shop", "alice", "--json").stdout)
        assert {row["address"] for row in listed} == {"127.0.0.1"}
        (handle,) = [row["handle"] for row in listed if row["browser"] == "Firefox"]
        text = invoke(shop, "sessions", "list", "shop", "alice").stdout
        stored = [value for (value,) in query(shop / "shop.db", "select value from Key where value like 's:%'")]
        assert len(stored) == 2
        for secret in (*stored, *one.cookies.values(), *other.cookies.values()):
            assert secret not in text + json.dumps(listed)
        # A handle may begin with a dash.
        done = invoke(shop, "sessions", "revoke", "shop", "alice", handle)
        assert (done.exit_code, done.stdout) == (0, "Revoked 1 session\n"), done.output
        assert (one.who(), other.who()) == (None, "alice")
        told = json.loads(invoke(shop, "sessions", "revoke", "shop", "alice", "--all", "--json").stdout)
        assert told == {"revoked": 1}
        assert other.who() is None
    assert invoke(shop, "sessions", "list", "shop", "alice").stdout == "No sessions\n"
    assert [event[0] for event in events(shop)] == ["session_ended", "sessions_ended"]

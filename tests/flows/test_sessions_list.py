"""Where a user is logged in, and ending sessions elsewhere."""

from collections.abc import Iterator

import pytest

from crossauth_backend.accounts.sessions import SessionInfo
from crossauth_backend.core.clock import utc_now
from tests.accounts import Browser, World, name_of


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with world.open() as url:
        yield url


def test_a_user_sees_and_ends_sessions(world: World, url: str) -> None:
    with Browser(url, headers={"User-Agent": "Phone"}) as phone, Browser(url, headers={"User-Agent": "Desk"}) as desk:
        phone.sign_up(factor2="none")
        world.later(minutes=5)
        desk.log_in()
        sessions = desk.get("/api/sessions").json()["sessions"]
        assert [(s["agent"], s["current"], s["address"]) for s in sessions] == [
            ("Desk", True, "127.0.0.1"), ("Phone", False, "127.0.0.1"),
        ]  # fmt: skip
        assert "SESSIONID" not in str(sessions)
        assert phone.cookies["SESSIONID"].split(".")[0] not in str(sessions)
        assert name_of(desk.call("/api/sessions", session=sessions[0]["session"])) == "BadRequest", (
            "that is logging out"
        )
        assert len(desk.call("/api/sessions", session=sessions[1]["session"]).json()["sessions"]) == 1
        assert (phone.who(), desk.who()) == (None, "alice")
        assert name_of(desk.call("/api/sessions", session=sessions[1]["session"])) == "BadRequest"


def test_all_others_end_at_once(world: World, url: str) -> None:
    with Browser(url) as first, Browser(url) as second, Browser(url) as third:
        first.sign_up(factor2="none")
        second.log_in()
        third.log_in()
        page = first.submit("/sessions", all="true")
        assert "All other sessions have been logged out" in page.text
        assert (first.who(), second.who(), third.who()) == ("alice", None, None)
        assert "sessions_ended" in world.heard.names


def test_nobody_ends_the_sessions_of_somebody_else(url: str) -> None:
    with Browser(url) as alice, Browser(url) as mallory:
        alice.sign_up(factor2="none")
        (session,) = alice.get("/api/sessions").json()["sessions"]
        mallory.sign_up("mallory", factor2="none")
        assert name_of(mallory.call("/api/sessions", session=session["session"])) == "BadRequest"
        mallory.call("/api/sessions", all=True)
        assert alice.who() == "alice"
        mallory.call("/api/logout")
        for answer in (mallory.get("/api/sessions"), mallory.call("/api/sessions", all=True)):
            assert name_of(answer) == "Unauthorized"


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on macOS"),
        ("curl/8.0", "curl/8.0"),
    ],
)  # fmt: skip
def test_a_browser_is_called_as_people_call_it(agent: str, shown: str) -> None:
    assert SessionInfo("h", utc_now(), None, agent, "", False).browser == shown

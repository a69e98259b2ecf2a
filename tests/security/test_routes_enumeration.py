"""The routes' login does not say which addresses have an account, to somebody who signs up with them on the session server."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.accounts import World, storages
from tests.fastapi_users.test_core import Both, add_routes, name_of_refusal, on_users, update, wait
from tests.support import PASSWORD

KNOWN, FREE = "known@example.com", "free@example.com"
HERS = "Attack3rpass"


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest) -> World:
    return World(**storages(request, request.param), enable_email_verification=True)


@pytest.fixture
def mallory(world: World) -> Iterator[Both]:
    """Somebody who has signed up with an address that has an account, and with one that has none."""
    world.sent = add_routes(world)
    with world.open() as url, Both(url) as owner, Both(url) as mallory:
        owner.sign_up("owner", user_email=KNOWN)
        assert owner.submit(owner.link(KNOWN)).status_code == 200
        answers = [sign_up(mallory, address) for address in (KNOWN, FREE)]
        assert answers[0] == answers[1]
        yield mallory


def sign_up(browser: Both, address: str) -> tuple[int, list[str]]:
    fields = {"username": address, "password": HERS, "user_email": address}
    answer = browser.call("/api/signup", **fields)
    return answer.status_code, sorted(answer.json())


def seen(answer: Any) -> tuple[Any, ...]:
    """What an answer tells: everything but its date and what differs in every answer."""
    headers = {k: v for k, v in answer.headers.items() if k not in ("date", "x-crossauth-csrf", "retry-after")}
    return answer.status_code, answer.text, headers


def test_a_login_by_the_routes_tells_no_free_address_from_a_taken_one(mallory: Both) -> None:
    answers = [seen(mallory.rest_login(address, HERS)) for address in (KNOWN, FREE, "nobody@example.com")]
    assert answers[0] == answers[1] == answers[2]
    assert "LOGIN_BAD_CREDENTIALS" in answers[0][1]


def test_the_limits_of_the_routes_login_tell_it_neither(mallory: Both) -> None:
    """The right password of an unfinished sign-up counts as a wrong one does."""
    answers = [[seen(mallory.rest_login(address, HERS)) for _ in range(22)] for address in (KNOWN, FREE)]
    assert answers[0] == answers[1]
    assert {status for status, *_ in answers[0]} == {400, 429}


def test_a_login_by_the_routes_does_not_tell_it_by_a_username_either(world: World, mallory: Both) -> None:
    """In tables whose addresses are unique a sign-up is stored without an address that has an account."""
    for name, address in (("eve1", "a@example.com"), ("eve2", "b@example.com")):
        mallory.call("/api/signup", username=name, password=HERS, user_email=address)
    other = mallory.rest_login("eve2", HERS)
    update(world, {"id": stored(world, "eve1"), "email": None})
    assert seen(mallory.rest_login("eve1", HERS)) == seen(other)
    assert name_of_refusal(other) == "LOGIN_BAD_CREDENTIALS"


def stored(world: World, name: str) -> Any:
    any_state = {"skip_active_check": True, "skip_email_verified_check": True}
    return on_users(world, lambda users: users.get_user_by_username(name, any_state)).user.id


def test_who_has_signed_up_gets_another_link_for_the_right_password(mallory: Both) -> None:
    """So that nobody is stuck who is told nothing: the mail goes to the address, not to whoever asks."""
    before = len(mails(mallory, FREE))
    mallory.rest_login(FREE, "Wrong1password")
    mallory.rest_login(FREE, HERS)
    assert len(mails(mallory, FREE, before + 1)) == before + 1
    with Both(str(mallory.base_url)) as owner:
        assert owner.submit(owner.link(FREE)).status_code == 200
        assert owner.rest_login(FREE, HERS).status_code == 200


def mails(browser: Both, to: str, count: int = 0) -> list[Any]:
    deadline = time.monotonic() + 10
    while len(found := browser.mail(to)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_forgotten_passwords_and_links_tell_nothing_either(world: World, mallory: Both) -> None:
    """Answers, headers and limits are those of any address; what is looked up is looked up afterwards."""
    for path, times in (("/rest/forgot-password", 6), ("/rest/request-verify-token", 11)):
        answers = [
            [seen(mallory.post(path, json={"email": address})) for _ in range(times)]
            for address in (KNOWN, "nobody@example.com")
        ]
        assert answers[0] == answers[1]
        assert {status for status, *_ in answers[0]} == {202, 429}
    wait(world.sent)


def test_an_account_that_is_verified_still_logs_in(mallory: Both) -> None:
    assert mallory.rest_login(KNOWN, PASSWORD).status_code == 200
    assert mallory.rest_login("owner", PASSWORD).status_code == 200

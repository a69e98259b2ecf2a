"""Flows that leave for the login page: a handle is good in one browser, once, for a while, and leads to no other site."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from crossauth_backend.accounts.interaction import EXPIRED, UNKNOWN
from crossauth_backend.sessions.claim import MOST_FLOWS
from crossauth_fastapi._session.interactions import OTHER_BROWSER
from tests.accounts import World, storages
from tests.authorize import CALLBACK, CLIENT, RESUME, Provider, Walker, code_of, handle_in, provide
from tests.support import PASSWORD

KINDS = pytest.mark.parametrize("kind", ["memory", "sqlite"])
OTHER = "https://other.example/cb"


@contextmanager
def flows(
    kind: str = "memory", request: Any = None, **options: Any
) -> Iterator[tuple[World, Provider, Walker, Walker]]:
    """A provider with alice and bob, and two browsers in which nobody is logged in."""
    world = World(**(storages(request, kind) if request is not None else {}), **options)
    provider = provide(world)
    provider.callbacks = (CALLBACK, OTHER)
    with world.open() as url, ExitStack() as stack:
        walker, other = stack.enter_context(Walker(url)), stack.enter_context(Walker(url))
        for name in ("alice", "bob"):
            assert walker.sign_up(name, user_email=f"{name}@example.com", factor2="none").status_code == 200
            walker.cookies.clear()
        yield world, provider, walker, other


def log_in(walker: Walker, name: str = "alice") -> Walker:
    return walker.press("Log in", username=name, password=PASSWORD)


def refused(walker: Walker) -> tuple[int, str]:
    return walker.page.status_code, text_of(walker)


def text_of(walker: Walker) -> str:
    found = re.search(r'role="alert"[^>]*>\s*<p>(.*?)</p>', walker.page.text, re.S)
    return found[1] if found else walker.page.text[:200]


@KINDS
def test_a_stolen_handle_is_worth_nothing_in_another_browser(kind: str, request: pytest.FixtureRequest) -> None:
    """A handle of a flow that somebody else has seen: in an access log, over a shoulder"""
    with flows(kind, request) as (_, provider, walker, thief):
        walker.open("/authorize?nonce=mine")
        stolen = handle_in(walker)
        for name in (None, "bob"):
            if name is not None:
                assert thief.log_in(name).status_code == 200
            thief.open(f"{RESUME}?interaction={stolen}")
            assert refused(thief) == (403, OTHER_BROWSER)
        # It is not used up by that, either.
        assert code_of(log_in(walker)) == "code-of-alice"
        assert [asked["nonce"] for asked in provider.seen] == ["mine"]


def test_the_cookie_of_one_flow_says_nothing_of_another() -> None:
    """A thief with a flow of his own, who gives the cookie of that one the name of the stolen one's"""
    with flows() as (_, _provider, walker, thief):
        walker.open("/authorize")
        thief.open("/authorize")
        stolen = handle_in(walker)
        own = next(c for c in walker.cookies.jar if c.name.startswith("CLAIM-"))
        his = next(c for c in thief.cookies.jar if c.name.startswith("CLAIM-"))
        thief.cookies.set(own.name, str(his.value), domain="127.0.0.1")
        thief.open(f"{RESUME}?interaction={stolen}")
        assert refused(thief) == (403, OTHER_BROWSER)


@KINDS
def test_a_flow_is_completed_once(kind: str, request: pytest.FixtureRequest) -> None:
    """The URL of a flow that was completed, opened again from the history"""
    with flows(kind, request) as (_, provider, walker, _other):
        walker.open("/authorize")
        again = f"{RESUME}?interaction={handle_in(walker)}"
        assert code_of(log_in(walker)) == "code-of-alice"
        walker.open(again)
        assert (walker.page.status_code, walker.page.json()) == (400, {"error": "replay"})
        assert len(provider.seen) == 1
        # Nor does the login page lead on to where it ended.
        walker.cookies.delete("SESSIONID")
        walker.open(f"/login?next={quote(again)}")
        assert walker.form_action == ["'self'"]


@KINDS
def test_a_flow_ends_after_an_hour(kind: str, request: pytest.FixtureRequest) -> None:
    """A flow that was left open overnight"""
    with flows(kind, request) as (world, provider, walker, _other):
        walker.open("/authorize")
        stored = [(c.name, str(c.value)) for c in walker.cookies.jar]
        world.later(minutes=61)
        for name, value in stored:
            walker.cookies.set(name, value, domain="127.0.0.1")
        log_in(walker)
        assert refused(walker) == (400, EXPIRED)
        assert walker.heading() == "This link has expired"
        assert provider.seen == []


@pytest.mark.parametrize(
    "handle",
    [
        "",
        "x",
        "A" * 43,
        "%00" * 43,
        "A" * 42 + "%00",
        "%ED%A0%80",
        "%FF",
        "A" * 7000,
        "%0d%0aSet-Cookie:x",
        "..%2f",
        "1&interaction=2",
    ],
    ids=lambda handle: f"{handle[:12]}-{len(handle)}",
)
def test_garbage_for_a_handle_is_refused(handle: str) -> None:
    """Handles that are empty, long, repeated, or hold a NUL"""
    with flows() as (_, _provider, walker, _other):
        walker.open(f"{RESUME}?interaction={handle}")
        assert refused(walker) == (400, UNKNOWN)
        # The pages that lead on to it work, and lead nowhere else.
        displayed = walker.get(f"/login?next={quote(f'{RESUME}?interaction={handle}')}")
        assert displayed.status_code == 200
        assert "form-action 'self';" in displayed.headers["content-security-policy"]


@KINDS
def test_two_tabs_complete_two_flows(kind: str, request: pytest.FixtureRequest) -> None:
    """Tabs of a browser that begin at the same moment, before the first answer has come"""
    with flows(kind, request) as (_, _provider, walker, _other):
        first = walker.get("/authorize?state=one")
        set_by_first = list(walker.cookies.jar)
        walker.cookies.clear()
        second = walker.get(f"/authorize?state=two&redirect_uri={quote(OTHER)}")
        for cookie in set_by_first:
            walker.cookies.set(cookie.name, str(cookie.value), domain="127.0.0.1")
        walker.open(second.headers["location"])
        page = walker.page
        walker.open(first.headers["location"])
        assert code_of(log_in(walker)) == "code-of-alice"
        assert "state=one" in walker.arrived
        # The form of the other tab is older than the login.
        walker.page = page
        log_in(walker)
        if walker.page.status_code == 403:
            log_in(walker)
        assert code_of(walker, OTHER) == "code-of-alice"
        assert "state=two" in walker.arrived


def test_a_browser_has_so_many_flows_at_once() -> None:
    """Cookies without end: the oldest flow gives way to the eleventh"""
    with flows() as (world, _provider, walker, _other):
        handles = []
        for _ in range(MOST_FLOWS + 2):
            world.later(seconds=1)
            handles.append(handle_in(walker.open("/authorize")))
        assert sum(cookie.name.startswith("CLAIM-") for cookie in walker.cookies.jar) == MOST_FLOWS
        assert walker.log_in().status_code == 200
        found = [walker.open(f"{RESUME}?interaction={handle}").page.status_code for handle in handles]
        assert found == [403, 403, *[302] * MOST_FLOWS]


@KINDS
def test_a_flow_is_completed_by_whoever_is_logged_in_then(kind: str, request: pytest.FixtureRequest) -> None:
    """Another user who logs in midway, in another tab of the same browser"""
    with flows(kind, request) as (_, provider, walker, _other):
        assert walker.log_in("alice").status_code == 200
        walker.open("/authorize?prompt=login")
        handle = handle_in(walker)
        assert walker.log_in("bob").status_code == 200
        assert code_of(walker.open(f"{RESUME}?interaction={handle}")) == "code-of-bob"
        assert len(provider.seen) == 1


@KINDS
def test_a_pushed_request_is_that_of_the_first_browser(kind: str, request: pytest.FixtureRequest) -> None:
    """The request_uri of a pushed request, used in a second browser (RFC 9126 §7.3)"""
    with flows(kind, request) as (_, provider, walker, other):
        pushed = walker.post("/par", json={"redirect_uri": OTHER, "nonce": "n"}).json()["request_uri"]
        walker.open(f"/authorize?request_uri={pushed}")
        other.open(f"/authorize?request_uri={pushed}")
        assert refused(other) == (403, OTHER_BROWSER)
        walker.open(f"/authorize?request_uri={pushed}")
        assert walker.form_action == ["'self'", "https://other.example"]
        assert code_of(log_in(walker), OTHER) == "code-of-alice"
        assert provider.seen[0]["nonce"] == "n"


def test_a_page_leads_to_the_site_of_its_own_flow_only() -> None:
    """A login page made to lead to a site that no checked request names"""
    with flows() as (_, _provider, walker, other):
        walker.open(f"/authorize?ends_at={quote(OTHER)}&form_action={quote(OTHER)}&next={quote(OTHER)}")
        handle = handle_in(walker)
        assert walker.form_action == ["'self'", CLIENT]
        after = f"{RESUME}?interaction={handle}"
        for page in ("signup", "requestpasswordreset"):
            assert walker.open(f"/{page}?next={quote(after)}").form_action == ["'self'", CLIENT]
        # Not where it leads on to another path, nor in another browser, nor on a page that leads on to nothing.
        for elsewhere in (
            f"/x?interaction={handle}",
            f"/?interaction={handle}",
            f"/x?next={quote(OTHER)}&ends_at={CLIENT}",
        ):
            assert walker.open(f"/login?next={quote(elsewhere)}").form_action == ["'self'"]
        assert walker.open("/login").form_action == ["'self'"]
        assert other.open(f"/login?next={quote(after)}").form_action == ["'self'"]


def test_every_page_on_the_way_leads_to_the_site_of_the_flow() -> None:
    """The pages behind a login: refused, the second factor, a forced change"""
    with flows() as (world, _provider, walker, _other):
        assert walker.log_in().status_code == 200
        secret, _ = walker.add_totp(world)
        walker.cookies.clear()
        walker.open("/authorize").press("Log in", username="alice", password="Wrong1password")
        assert walker.form_action == ["'self'", CLIENT]
        log_in(walker)
        assert walker.form_action == ["'self'", CLIENT]
        walker.press("Continue", otp="000000")
        assert walker.form_action == ["'self'", CLIENT]
        assert code_of(walker.press("Continue", otp=world.code(secret))) == "code-of-alice"


@pytest.mark.parametrize(
    "callback", ["javascript:alert(1)", "https://a b.example/", "https://x@evil.example/", "data:x", "//x", ""]
)
def test_a_flow_ends_at_no_url_that_a_policy_cannot_name(callback: str) -> None:
    """A redirect URI that would widen the policy of a page to more than one site"""
    with flows() as (_, provider, walker, _other):
        provider.callbacks = (callback,)
        walker.open(f"/authorize?redirect_uri={quote(callback)}")
        assert walker.page.status_code == 400
        assert "interaction" not in walker.page.text


def test_beginning_flows_is_limited() -> None:
    """Anonymous requests that fill the storage with requests of flows"""
    with flows(attempt_limits={"interaction_address": (2, 900)}) as (_, _provider, walker, _other):
        assert [walker.get("/authorize").status_code for _ in range(3)] == [303, 303, 429]

"""The application under a root path and mounted: every page, link, form, redirect and mail leads to where it is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from crossauth_fastapi import CurrentUser
from tests.accounts import World
from tests.authorize import CALLBACK, CLIENT, RESUME, provide
from tests.deployments import DEPLOYMENTS, Deployment, Visitor, targets
from tests.support import PASSWORD, make_server

everywhere = pytest.mark.parametrize("place", DEPLOYMENTS, ids=lambda place: place.name)
prefixes = pytest.mark.parametrize("prefix", ["/", "/auth/"])


@contextmanager
def opened(place: Deployment, prefix: str = "/", **options: Any) -> Iterator[tuple[World, Visitor]]:
    """A server with everything, with `root` as its administrator, and a browser."""
    fields = {"prefix": prefix, "admin_prefix": f"{prefix}admin/"}
    world = World(app=place.new_app(), is_admin_fn=lambda user: user.username == "root", **fields, **options)
    server = world.server

    @server.app.get("/account")
    async def account(request: Request, user: CurrentUser) -> Response:
        return server.render(request, "account.jinja2")

    with place.open(server.app) as visitor:
        yield world, visitor


def sign_up(visitor: Visitor, prefix: str, username: str, **fields: str) -> Any:
    passwords = {"password": PASSWORD, "repeat_password": PASSWORD}
    return visitor.submit(f"{visitor.root}{prefix}signup", username=username, factor2="none", **passwords, **fields)


def walk(visitor: Visitor, start: str) -> set[str]:
    """Follow every link and try every form from `start` on; returns where it came."""
    seen, to_see = set[str](), {start}
    while to_see:
        path = to_see.pop()
        seen.add(path)
        answer = visitor.get(path)
        if answer.status_code in (302, 303, 307):
            to_see |= {answer.headers["location"]} - seen
            continue
        assert answer.status_code == 200, (path, answer.status_code)
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        links, forms = targets(answer.text)
        to_see |= links - seen
        for method, action in forms:
            if method == "POST":
                # Without a token nothing is done, and a route says so.
                assert visitor.send("POST", action).status_code == 403, (path, action)
            else:
                to_see |= {action} - seen
    return seen


@prefixes
@everywhere
def test_every_link_and_form_of_every_page_leads_somewhere(place: Deployment, prefix: str) -> None:
    with opened(place, prefix) as (_, visitor):
        base = f"{visitor.root}{prefix}"
        anonymous = {path.partition("?")[0] for path in walk(visitor, f"{visitor.root}/")}
        assert {f"{base}{name}" for name in ("login", "signup", "requestpasswordreset", "outbox")} <= anonymous
        assert sign_up(visitor, prefix, "root", user_email="root@example.com").status_code == 303
        found = walk(visitor, f"{visitor.root}/") | walk(visitor, f"{visitor.root}/account")
        pages = (
            "updateuser",
            "changepassword",
            "changefactor2",
            "sessions",
            "deleteuser",
            "logout",
            "admin/selectuser",
        )
        assert {f"{base}{name}" for name in (*pages, "admin/createuser", "admin/audit")} <= found
        assert any(path.startswith(f"{base}admin/updateuser/") for path in found)


@everywhere
def test_a_browser_that_has_to_log_in_comes_back_to_where_it_was(place: Deployment) -> None:
    with opened(place) as (_, visitor):
        assert sign_up(visitor, "/", "alice").headers["location"] == f"{visitor.root}/"
        assert visitor.submit(f"{visitor.root}/logout").headers["location"] == f"{visitor.root}/"
        sent = visitor.get(f"{visitor.root}/account?tab=2%26x")
        assert sent.status_code == 302
        assert sent.headers["location"].startswith(f"{visitor.root}/login?next=")
        done = visitor.submit(sent.headers["location"], username="alice", password=PASSWORD)
        assert (done.status_code, done.headers["location"]) == (303, f"{visitor.root}/account?tab=2%26x")
        assert visitor.get(done.headers["location"]).status_code == 200


@prefixes
@everywhere
def test_a_flow_that_leaves_for_the_login_page_comes_back_and_ends_at_the_client(
    place: Deployment, prefix: str
) -> None:
    with opened(place, prefix) as (world, visitor):
        provide(world)
        assert sign_up(visitor, prefix, "alice").status_code == 303
        assert visitor.submit(f"{visitor.root}{prefix}logout").status_code == 303
        sent = visitor.get(f"{visitor.root}/authorize")
        assert sent.headers["location"].startswith(f"{visitor.root}{prefix}login?next=")
        policy = visitor.get(sent.headers["location"]).headers["content-security-policy"]
        assert f"form-action 'self' {CLIENT};" in policy
        done = visitor.submit(sent.headers["location"], username="alice", password=PASSWORD)
        assert done.headers["location"].startswith(f"{visitor.root}{RESUME}?interaction=")
        arrived = visitor.get(done.headers["location"])
        assert arrived.headers["location"].startswith(f"{CALLBACK}?code=code-of-alice")


@prefixes
@everywhere
def test_a_password_manager_finds_the_page_that_changes_a_password(place: Deployment, prefix: str) -> None:
    with opened(place, prefix) as (_, visitor):
        sent = visitor.get(f"{visitor.root}/.well-known/change-password")
        assert (sent.status_code, sent.headers["location"]) == (302, f"{visitor.root}{prefix}changepassword")
        assert sign_up(visitor, prefix, "alice").status_code == 303
        assert visitor.get(sent.headers["location"]).status_code == 200


@everywhere
def test_configured_redirects_are_paths_of_the_application(place: Deployment) -> None:
    redirects = {"login_redirect": "/account", "logout_redirect": "https://example.com/bye"}
    with opened(place, **redirects) as (_, visitor):
        assert sign_up(visitor, "/", "alice").headers["location"] == f"{visitor.root}/account"
        assert visitor.submit(f"{visitor.root}/logout").headers["location"] == "https://example.com/bye"


def mailed_path(world: World) -> str:
    found = re.search(r"http://localhost:8000(\S+)", world.outbox.sent[0][0].text)
    assert found is not None
    return found[1]


@everywhere
def test_links_in_mail_lead_to_the_application(place: Deployment) -> None:
    with opened(place) as (world, visitor):
        sign_up(visitor, "/", "alice", user_email="alice@example.com")
        with visitor.another() as stranger:
            asked = stranger.submit(f"{visitor.root}/requestpasswordreset", email="alice@example.com")
            assert asked.status_code == 200
            stranger.get(f"{visitor.root}/outbox")
            path = mailed_path(world)
            assert path.startswith(f"{visitor.root}/resetpassword?token=")
            done = stranger.submit(path, new_password="Another1one", repeat_password="Another1one")
        assert (done.status_code, "Your password has been changed" in done.text) == (200, True)


def test_a_site_url_with_a_path_says_where_links_lead() -> None:
    mounted = next(place for place in DEPLOYMENTS if place.name == "mounted")
    with opened(mounted, site_url="http://localhost:8000/shop/") as (world, visitor):
        sign_up(visitor, "/", "alice", user_email="alice@example.com")
        with visitor.another() as stranger:
            stranger.submit("/app/requestpasswordreset", email="alice@example.com")
        visitor.get("/app/outbox")
        assert mailed_path(world).startswith("/shop/resetpassword?")


def test_an_application_mounted_twice_works_in_both_places() -> None:
    server = make_server()
    outer = FastAPI()
    outer.mount("/one", server.app)
    outer.mount("/two", server.app)
    for root in ("/one", "/two"):
        place = Deployment("twice", root)
        with place.open(outer) as visitor:
            walk(visitor, f"{root}/")
            assert sign_up(visitor, "/", root.strip("/")).headers["location"] == f"{root}/"
            walk(visitor, f"{root}/")

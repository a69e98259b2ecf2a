"""Answers that depend on who is asking are kept by nobody: no proxy on the way, no back button after logging out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import Request, Response
from fastapi.staticfiles import StaticFiles

from crossauth_fastapi import OptionalUser
from tests.services.uvicorn import serve
from tests.support import Client, make_server


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    server = make_server()
    (tmp_path / "logo.txt").write_text("logo")

    @server.app.get("/public")
    async def public() -> str:
        return "everybody's"

    @server.app.get("/greeting")
    async def greeting(request: Request) -> str:
        return f"hello {request.state.user}"

    @server.app.get("/own")
    async def own(user: OptionalUser, response: Response) -> str:
        response.headers["Cache-Control"] = "private, max-age=60"
        response.headers["Vary"] = "Accept-Language, cookie"
        return "mine"

    server.app.mount("/static", StaticFiles(directory=tmp_path))
    with serve(server.app) as url, Client(url) as client:
        yield client


@pytest.mark.parametrize("path", ["/me", "/maybe", "/greeting"])
def test_a_personal_answer_is_kept_by_nobody(client: Client, path: str) -> None:
    client.sign_up()
    answer = client.get(path)
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Cookie")


@pytest.mark.parametrize("path", ["/maybe", "/greeting"])
def test_neither_is_the_same_answer_to_an_anonymous_visitor(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-store", "Cookie")


@pytest.mark.parametrize("path", ["/public", "/static/logo.txt"])
def test_an_answer_that_asks_for_nobody_is_left_alone(client: Client, path: str) -> None:
    client.sign_up()
    answer = client.get(path)
    assert answer.status_code == 200
    assert not {"cache-control", "vary"} & set(answer.headers)


def test_what_the_route_says_counts(client: Client) -> None:
    client.sign_up()
    answer = client.get("/own")
    assert answer.headers.get_list("cache-control") == ["private, max-age=60"]
    assert answer.headers.get_list("vary") == ["Accept-Language, cookie"]

"""`request.state` is the application's: our middleware fills it, and shares it with whatever is around."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from crossauth_fastapi._middleware.state import RequestState
from tests.services.uvicorn import serve
from tests.support import Client, make_server


class Outer:
    """Pure ASGI, and outside of ours: looks at the state before, and afterwards."""

    def __init__(self, app: ASGIApp, seen: list[dict[str, Any]]) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        own = scope.setdefault("state", {})
        own["trace"] = "t1"
        await self.app(scope, receive, send)
        self.seen.append(dict(own))


def observed() -> tuple[FastAPI, list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []
    server = make_server()

    @server.app.get("/note")
    async def note(request: Request) -> str:
        request.state.note = f"for {request.state.trace}"
        return "noted"

    server.app.add_middleware(Outer, seen=seen)
    return server.app, seen


def test_an_outer_middleware_sees_what_the_route_wrote_and_who_asked() -> None:
    app, seen = observed()
    with serve(app) as url, Client(url) as client:
        client.get("/note")
        assert (seen[-1]["note"], seen[-1]["user"], seen[-1]["auth_type"]) == ("for t1", None, None)
        client.sign_up()
        client.get("/note")
        assert (seen[-1]["note"], seen[-1]["user"].username, seen[-1]["auth_type"]) == ("for t1", "alice", "cookie")
        client.call("/api/logout")
        assert seen[-1].get("user") is None


def test_a_middleware_of_the_application_keeps_its_request_state() -> None:
    server = make_server()
    seen: list[Any] = []

    @server.app.middleware("http")
    async def timing(request: Request, call_next: Any) -> Any:
        request.state.began = 1
        answer = await call_next(request)
        seen.append((request.state.began, request.state.user, request.state.note))
        return answer

    @server.app.get("/note")
    async def note(request: Request) -> str:
        request.state.note = "here"
        return str(request.state.began)

    with serve(server.app) as url, Client(url) as client:
        assert client.get("/note").json() == "1"
    assert seen == [(1, None, "here")]


def test_who_is_asking_is_never_taken_from_the_outside() -> None:
    state = RequestState({"headers": [], "state": {"user": "mallory", "auth_type": "cookie", "trace": "t1"}})
    assert (state["user"], state["auth_type"], state["trace"]) == (None, None, "t1")


def test_the_state_is_a_dictionary_like_any_other() -> None:
    outer: dict[str, Any] = {}
    state = RequestState({"headers": [], "state": outer})
    state["a"] = 1
    state.update({"b": 2}, c=3)
    assert (state.setdefault("a", 9), state.setdefault("d", 4), state.get("e", 5), "e" in state) == (1, 4, 5, False)
    assert (state.pop("b"), state.pop("b", None)) == (2, None)
    del state["c"]
    with pytest.raises(KeyError):
        del state["c"]
    state["user"] = "alice"
    assert ("user" in state, state.get("user"), outer["user"]) == (True, "alice", "alice")
    assert (state.pop("user"), state["user"], "user" in state) == ("alice", None, False)
    assert {n: outer[n] for n in outer if n not in ("user", "auth_type")} == {"a": 1, "d": 4}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_what_leaves_the_request_is_a_plain_dictionary(copied: Callable[[Any], Any]) -> None:
    state = RequestState({"headers": [(b"cookie", b"secret")], "state": {"trace": "t1"}})
    state["a"] = [1]
    again = copied(state)
    assert (type(again), again) == (dict, {"trace": "t1", "a": [1]})

"""The example that runs the face on somebody else's sessions."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from crossauth_backend import CrossauthError, ErrorCode, User
from crossauth_fastapi import CurrentUser, FastApiServer, FastApiSessionAdapter
from tests.services.uvicorn import serve
from tests.support import SECRET, Client

EXAMPLE = Path(__file__).parents[2] / "examples" / "session_adapter.py"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("CROSSAUTH_SECRET", SECRET)
    with serve(runpy.run_path(str(EXAMPLE))["app"]) as url, Client(url) as client:
        yield client


def test_dependencies_work_on_foreign_sessions(client: Client) -> None:
    assert client.get("/me").status_code == 401
    assert client.post("/enter/nobody").json()["errorCodeName"] == "UsernameOrPasswordInvalid"
    client.post("/enter/alice")
    assert client.get("/me").json() == {"username": "alice"}


def test_session_data_works_on_foreign_sessions(client: Client) -> None:
    client.post("/enter/alice")
    assert [client.post("/visits").json()["visits"] for _ in range(3)] == [1, 2, 3]


class Given(FastApiSessionAdapter):
    """Answers what it was made with; a coroutine function stands for a plain method that returns a coroutine."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"user": None, "token": None, "protected": True, **answers}

    def _answer(self, name: str) -> Any:
        value = self.answers[name]
        return value() if callable(value) else value

    def csrf_protection_enabled(self) -> Any:
        return self._answer("protected")

    def get_csrf_token(self, request: Request) -> Any:
        return self._answer("token")

    def get_user(self, request: Request) -> Any:
        return self._answer("user")

    def get_session_data(self, request: Request, name: str) -> Any:  # type: ignore[override]
        return {"name": name}

    def update_session_data(self, request: Request, name: str, value: Any) -> None: ...  # type: ignore[override]
    def update_many_session_data(self, request: Request, data_array: Any) -> None: ...  # type: ignore[override]
    def delete_session_data(self, request: Request, name: str) -> None: ...  # type: ignore[override]


async def nothing() -> None:
    """What an awaited answer would be: nobody."""


ALICE = User(id=1, username="alice")


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        ({"user": nothing}, "get_user"), ({"user": {"username": "alice"}}, "get_user"), ({"user": True}, "get_user"),
        ({"user": ALICE, "token": nothing}, "get_csrf_token"), ({"user": ALICE, "token": True}, "get_csrf_token"),
        ({"user": ALICE, "protected": nothing}, "csrf_protection_enabled"),
        ({"user": ALICE, "protected": None}, "csrf_protection_enabled"),
    ],
)  # fmt: skip
def test_an_adapter_that_answers_anything_but_what_it_should_lets_nobody_in(
    answers: dict[str, Any], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    server = FastApiServer({"session_adapter": Given(**answers)}, {"app": app})

    @app.post("/pay")
    async def pay(user: CurrentUser) -> str:
        return "paid"

    @app.post("/again")
    async def again(request: Request) -> list[str]:
        seen = []
        for name in ("user", "auth_type", "csrf_token", "user"):
            try:
                seen.append(repr(getattr(request.state, name)))
            except CrossauthError as e:
                seen.append(e.code_name)
        return seen[seen.index("Configuration") + 1 :]

    @app.post("/own")
    async def own(request: Request, response: Response) -> bool:
        return (await server.error_if_csrf_invalid(request, response, None)).error

    with serve(app) as url, Client(url) as client:
        refused = client.post("/pay")
        assert (refused.status_code, refused.json()["errorCodeName"]) == (500, "Configuration")
        page = client.post("/pay", headers={"Accept": "text/html"})
        assert (page.status_code, "paid" in page.text) == (500, False)
        assert set(client.post("/again").json()) <= {"None"}, "what is read afterwards is anonymous"
        if named != "get_user":
            assert client.post("/own").status_code == 500
    assert f"session_adapter: method {named!r} must return" in caplog.text


def test_an_adapter_that_answers_as_it_should_is_believed_and_its_data_may_be_plain() -> None:
    app = FastAPI()
    server = FastApiServer({"session_adapter": Given(user=ALICE, token="t")}, {"app": app})

    @app.post("/pay")
    async def pay(user: CurrentUser, request: Request) -> Any:
        await server.update_session_data(request, "a", 1)
        await server.delete_session_data(request, "a")
        return await server.get_session_data(request, user.username)

    with serve(app) as url, Client(url) as client:
        assert client.post("/pay").json() == {"name": "alice"}


def test_a_server_without_sessions_says_so() -> None:
    app = FastAPI()
    server = FastApiServer({}, {"app": app})
    assert (server.have_session_adapter, server.have_session_server) == (False, False)

    @app.get("/")
    async def anonymous(request: Request, response: Response) -> str:
        with pytest.raises(CrossauthError, match="neither 'session' nor 'session_adapter'"):
            await server.create_anonymous_session(request, response)
        return "refused"

    with serve(app) as url, Client(url) as client:
        assert client.get("/").json() == "refused"


def test_a_component_that_is_not_built_says_so() -> None:
    with pytest.raises(CrossauthError, match="oauth_auth_server") as refused:
        FastApiServer({"oauth_auth_server": {}})
    assert refused.value.code is ErrorCode.NotImplemented

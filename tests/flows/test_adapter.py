"""The example that runs the face on somebody else's sessions."""

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi import FastApiServer
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


@pytest.mark.parametrize("name", ["oauth_client", "oauth_clients", "oauth_resserver", "oauth_auth_server", "api_key"])
def test_components_that_are_not_built_say_so(name: str) -> None:
    with pytest.raises(CrossauthError, match=name) as refused:
        FastApiServer({name: [] if name == "oauth_clients" else {}})
    assert refused.value.code is ErrorCode.NotImplemented

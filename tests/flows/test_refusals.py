"""How a request is refused: from within the application, by its own handlers, and to a browser as a page."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, Key, UserStorage
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD, Client, make_server

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ORIGIN = "https://spa.example"


class Away(InMemoryKeyStorage):
    """A storage that can be switched off."""

    away = False

    def key_with_user_reader(self, users: UserStorage) -> None:
        """So that sessions are read by `get_key`."""

    async def get_key(self, key: str) -> Key:
        self._asked()
        return await super().get_key(key)

    async def find_key(self, value: str) -> Key | None:
        self._asked()
        return await super().find_key(value)

    def _asked(self) -> None:
        if self.away:
            raise CrossauthError(ErrorCode.Connection, status=503)


def with_cors(app: FastAPI) -> None:
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_credentials=True)


@pytest.mark.parametrize("cors_first", [True, False], ids=["cors added first", "cors added last"])
def test_the_503_of_a_storage_that_is_away_carries_cors_headers(cors_first: bool) -> None:
    keys, app = Away(), FastAPI()
    if cors_first:
        with_cors(app)
    make_server(keys=keys, app=app)
    if not cors_first:
        with_cors(app)
    with serve(app) as url, Client(url) as client:
        client.sign_up()
        keys.away = True
        answer = client.get("/me", headers={"Origin": ORIGIN})
        assert (answer.status_code, answer.json()["errorCodeName"]) == (503, "Connection")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        # The application is not served as if nobody asked, whatever is asked for.
        assert client.get("/maybe").status_code == 503
        page = client.get("/maybe", headers=HTML)
        assert (page.status_code, "Please try again" in page.text) == (503, True)


@pytest.mark.parametrize("first", [True, False], ids=["before the server", "after it"])
def test_the_applications_own_handler_answers_refusals(first: bool) -> None:
    app, keys = FastAPI(), Away()

    async def own(request: Request, e: Exception) -> JSONResponse:
        assert isinstance(e, CrossauthError)
        return JSONResponse({"own": e.code_name}, 418)

    if first:
        app.add_exception_handler(CrossauthError, own)
    make_server(app=app, keys=keys)
    if not first:
        app.add_exception_handler(CrossauthError, own)
    with serve(app) as url, Client(url) as client:
        assert client.get("/me").json() == {"own": "Unauthorized"}
        client.sign_up()
        keys.away = True
        assert client.get("/me").json() == {"own": "Connection"}


def test_a_browser_is_sent_to_the_login_page_whatever_it_sent(client: Client) -> None:
    sent = client.get("/me?a=1", headers=HTML)
    assert (sent.status_code, sent.headers["location"]) == (302, "/login?next=%2Fme%3Fa%3D1")
    sent = client.post("/change", headers=HTML)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")
    here = {"Referer": f"{str(client.base_url).rstrip('/')}/orders?page=2#top"}
    sent = client.post("/change", headers=HTML | here)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Forders%3Fpage%3D2")
    sent = client.post("/change", headers=HTML | {"Referer": "https://evil.example/orders"})
    assert sent.headers["location"] == "/login"
    # A script gets JSON.
    assert client.post("/change").json()["errorCodeName"] == "Unauthorized"


def test_a_browser_that_may_not_is_shown_a_page(client: Client) -> None:
    client.sign_up()
    for answer, heading in (
        (client.get("/admin-only", headers=HTML), "You don't have access to this page"),
        (client.post("/change", headers=HTML), "Please send the form again"),
    ):
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/html")
        assert f"<h1>{heading}</h1>" in answer.text
        assert "Please log in" not in answer.text
        for machine_word in ("InsufficientPriviledges", "InvalidCsrf", "403"):
            assert machine_word not in answer.text
    assert client.get("/admin-only").json()["errorCodeName"] == "InsufficientPriviledges"


def test_the_heading_of_an_error_page_says_the_reason(client: Client) -> None:
    asked = client.get("/changepassword")
    assert (asked.status_code, "<h1>Please log in</h1>" in asked.text) == (401, True)


def test_headings_of_links() -> None:
    from tests.accounts import World

    with World(enable_email_verification=True).open() as url, Client(url) as client:
        page = client.get("/resetpassword?token=garbage").text
        assert "<h1>This link doesn't work</h1>" in page
        assert "InvalidKey" not in page


def test_a_login_has_somewhere_to_lead_to() -> None:
    """Fifteen lines of application, and no page of its own at /."""
    server = make_server()
    with serve(server.app) as url, Client(url, headers=HTML) as client:
        assert "You're not logged in" in client.get("/").text
        client.sign_up()
        sent = client.submit("/login", username="alice", password=PASSWORD)
        home = client.get(sent.headers["location"])
        assert (home.status_code, "Logged in as alice" in home.text) == (200, True)
        assert client.get("/elsewhere").status_code == 404
        assert client.get("/", headers={"Accept": "application/json"}).status_code == 404
        assert client.post("/").status_code == 404


def test_a_page_of_the_application_comes_before_the_librarys() -> None:
    server = make_server()

    @server.app.get("/")
    async def home() -> str:
        return "mine"

    with serve(server.app) as url, Client(url, headers=HTML) as client:
        assert client.get("/").json() == "mine"


def test_statuses_say_what_is_wrong(client: Client) -> None:
    """401 where a login is lacking or failed, 403 for missing rights and CSRF, 400 for unfit passwords."""
    assert client.get("/me").status_code == 401
    assert client.log_in("nobody").status_code == 401
    assert client.sign_up(password="weak").status_code == 400
    unequal = {"username": "alice", "password": PASSWORD, "repeat_password": "Other1password"}
    assert client.call("/api/signup", **unequal).status_code == 400
    client.sign_up()
    assert client.get("/admin-only").status_code == 403
    assert client.post("/change").status_code == 403
    assert CrossauthError(ErrorCode.ConstraintViolation).http_status == 409
    assert CrossauthError(ErrorCode.Connection).http_status == 503


def test_a_refusal_of_the_middleware_may_be_any_exception() -> None:
    """One that nobody foresaw is a 500 of the application, with the headers of its middlewares."""
    server = make_server()
    with_cors(server.app)

    async def broken(*args: Any) -> Any:
        raise RuntimeError("unforeseen")

    source = server.app.state.crossauth_sources.sources[0]
    with serve(server.app) as url, Client(url) as client:
        client.sign_up()
        source.identify = broken
        with httpx2.Client(base_url=url, trust_env=False) as other:
            assert other.get("/maybe", headers={"Origin": ORIGIN, "Cookie": "a=b", CSRF: "x"}).status_code == 500

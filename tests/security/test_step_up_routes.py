"""Who is asked for the second factor again is decided by the route, however its URL is spelled, wherever the application is."""

import asyncio
import http.client
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi._actions.action import StepUp
from crossauth_fastapi._session.actions import ACTIONS
from tests.accounts import Browser, World, name_of
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD, make_server

ACC = "/acc"


class Place(NamedTuple):
    """A way of putting an application somewhere: what serves it, and how its URLs begin."""

    app: Callable[[FastAPI], FastAPI]
    root_path: str
    begins: tuple[str, ...]


def itself(app: FastAPI) -> FastAPI:
    return app


def knows_its_root(app: FastAPI) -> FastAPI:
    app.root_path = ACC
    return app


def mounted(app: FastAPI) -> FastAPI:
    outer = FastAPI()
    outer.mount(ACC, app)
    return outer


def mounted_twice(app: FastAPI) -> FastAPI:
    outer = FastAPI()
    outer.mount(ACC, app)
    outer.mount("/other/{tenant}", app)
    return outer


PLACES = {
    "root": Place(itself, "", ("",)),
    # uvicorn puts its root path before every path; a proxy has taken it away.
    "uvicorn root_path": Place(itself, ACC, ("",)),
    "FastAPI root_path": Place(knows_its_root, "", ("", ACC)),
    "mounted": Place(mounted, "", (ACC,)),
    "mounted twice": Place(mounted_twice, "", (ACC, "/other/one")),
}


@contextmanager
def put(place: Place, app: FastAPI) -> Iterator[str]:
    served = place.app(app)
    with serve(served, root_path=place.root_path) as url:
        yield url


def listed_world(**options: Any) -> World:
    """A server whose application lists paths of its own."""
    options.setdefault("factor2_protected_page_endpoints", ["/pay", "/changepassword", "/statement"])
    options.setdefault(
        "factor2_protected_api_endpoints", ["/api/pay/{id}", "POST /api/limits/7", "/api/factors", "/sub/pay"]
    )
    world = World(**options)
    world.made = []  # type: ignore[attr-defined]
    app, inner = world.server.app, FastAPI()

    async def done(request: Request) -> dict[str, Any]:
        world.made.append(request.url.path)  # type: ignore[attr-defined]
        return {"done": request.method, "params": request.path_params, "body": (await request.body()).decode()}

    for path in ("/pay", "/api/pay/{number}", "/api/limits/{number:int}", "/statement"):
        app.add_api_route(path, done, methods=["GET", "POST", "PUT", "DELETE"])
    router = APIRouter()
    router.add_api_route("/factors", done, methods=["POST"])
    app.include_router(router, prefix="/api")
    app.include_router(router, prefix="/open")
    inner.add_api_route("/pay", done, methods=["POST"])
    inner.add_api_route("/open", done, methods=["POST"])
    app.mount("/sub", inner)
    return world


@contextmanager
def with_factor(url: str, begin: str, world: World, name: str = "alice") -> Iterator[Browser]:
    with Browser(url + begin) as browser:
        browser.sign_up(name, factor2="none")
        browser.secret, _ = browser.add_totp(world)  # type: ignore[attr-defined]
        yield browser


OWN = [
    (action, json)
    for action in ACTIONS
    for json in (False, True)
    if action.step_up is not StepUp.NEVER
    and not action.name.endswith("passwordreset")
    and action.name != "resetpassword"
]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda path: path,
    "percent-encoded": lambda path: path[:-1] + f"%{ord(path[-1]):02x}",
    "with a query": lambda path: path + "?x=1",
    "with a trailing slash": lambda path: path + "/",
    "with two slashes": lambda path: "/%2f" + path[1:],
    "in capitals": lambda path: path.upper(),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_protected_route_asks_wherever_the_application_is(place: str) -> None:
    """The matrix of law 1: routes × deployments × methods × spellings."""
    where = PLACES[place]
    for world in (World(), listed_world()):
        with put(where, world.server.app) as url:
            for begin in where.begins:
                name = f"user{where.begins.index(begin)}"
                with with_factor(url, begin, world, name) as browser:
                    user = asyncio.run(world.users.get_user_by_username(name)).user
                    asyncio.run(world.users.update_user({"id": user.id, "admin": True}))
                    before = asyncio.run(world.users.get_user_by_id(user.id))
                    if hasattr(world, "made"):
                        _try_listed(browser, world)
                    else:
                        _try_own(browser, user.id)
                    assert asyncio.run(world.users.get_user_by_id(user.id)) == before
                    assert browser.who() == name


def unproxied(browser: Browser, answer: Any) -> str:
    """Where a redirect leads, at the server itself: the proxy would take the root path away."""
    location = str(answer.headers["location"])
    origin = f"{browser.base_url.scheme}://{browser.base_url.netloc.decode()}"
    path = location.removeprefix(origin)
    return origin + (path if browser.base_url.path != "/" else path.removeprefix(ACC))


def _try_own(browser: Browser, userid: Any) -> None:
    fields = {
        "factor2": "none",
        "user_email": "thief@example.com",
        "new_password": "Another1one",
        "old_password": PASSWORD,
    }
    for action, json in OWN:
        path = ("/admin/" if action.admin else "/") + ("api/" if json else "") + action.name
        path += f"/{userid}" if action.parameter else ""
        for spelling, spell in SPELLINGS.items():
            token = browser.token()
            answer = browser.post(spell(path), json=fields, headers={CSRF: token}, follow_redirects=False)
            where = (path, spelling, answer.status_code, answer.text[:200])
            if answer.status_code in (404, 405):
                assert spelling not in ("as it is", "percent-encoded", "with a query"), where
                continue
            if answer.status_code == 307:
                answer = browser.post(unproxied(browser, answer), json=fields, headers={CSRF: token})
            if json:
                assert answer.status_code == 200, where
                assert answer.json() == {"ok": True, "factor2Required": True, "factor2": "totp"}, where
            else:
                assert answer.status_code == 303, where
                assert answer.headers["location"].endswith("/factor2"), where


def _try_listed(browser: Browser, world: World) -> None:
    made: list[str] = world.made  # type: ignore[attr-defined]
    asks = [
        (m, p) for m in ("GET", "POST", "PUT", "DELETE") for p in ("/pay", "/statement", "/api/pay/7", "/api/pay/x%20y")
    ]
    asks += [("POST", "/api/limits/7"), ("POST", "/api/limits/07"), ("POST", "/api/factors"), ("POST", "/sub/pay")]
    asks += [("HEAD", "/pay")]
    for method, path in asks:
        for spelling, spell in SPELLINGS.items():
            headers = {CSRF: browser.token()}
            answer = browser.request(method, spell(path), headers=headers, follow_redirects=False)
            where = (method, path, spelling, answer.status_code, answer.text[:200])
            if answer.status_code == 307:
                answer = browser.request(method, unproxied(browser, answer), headers=headers)
            if answer.status_code not in (404, 405):
                asked = answer.headers.get("location", "").endswith("/factor2") or "factor2Required" in answer.text
                assert asked, where
            assert made == [], where
    # What is not listed does not ask.
    assert browser.get("/api/limits/7").json()["done"] == "GET"
    assert browser.call("/open/factors").json()["done"] == "POST"
    # Starlette reaches mounted applications by whole URLs only, the root path included.
    assert browser.call("/sub/open").status_code in (200, 404)
    made.clear()


@pytest.mark.parametrize("place", PLACES)
def test_a_request_that_waited_is_made_once_as_it_was_wherever_the_application_is(place: str) -> None:
    where = PLACES[place]
    world = listed_world()
    made: list[str] = world.made  # type: ignore[attr-defined]
    with put(where, world.server.app) as url, with_factor(url, where.begins[0], world) as browser:
        for begin in where.begins:
            browser.base_url = url + begin
            code = lambda: world.code(browser.secret)  # type: ignore[attr-defined]  # noqa: E731
            for through in ("/api/factor2", "/api/pay/a%2520b?x=%20y"):
                asked = browser.post("/api/pay/a%2520b?x=%20y", json={"sum": 7}, headers={CSRF: browser.token()})
                assert asked.json()["factor2Required"] is True
                done = browser.call(through, otp=code()).json()
                assert done["body"] == '{"sum":7}'
                assert done["params"]["number"] == "a%20b"
                assert len(made) == 1
                assert name_of(browser.call("/api/factor2", otp=code())) == "Unauthorized"
                made.clear()
            asked = browser.call("/sub/pay", sum=8)
            if asked.status_code != 404:
                assert asked.json()["factor2Required"] is True
                assert browser.call("/api/factor2", otp=code()).json()["body"] == '{"sum":8}'
                made.clear()
            page = browser.submit("/pay", sum="9")
            assert page.status_code == 303
            form = browser.get(unproxied(browser, page))
            action = form.text.split('method="post" action="')[1].split('"')[0]
            assert action.endswith("/pay")
            page.headers["location"] = action
            done = browser.post(unproxied(browser, page), data={"csrfToken": browser.token(), "otp": code()})
            assert "sum=9" in done.json()["body"]
            made.clear()


# What is listed


def starts(*entries: str, apis: Any = None, prefix: str = "/", add: Callable[[FastAPI], Any] = itself) -> World:
    options: dict[str, Any] = {"factor2_protected_page_endpoints": list(entries), "prefix": prefix}
    if apis is not None:
        options["factor2_protected_api_endpoints"] = apis
    world = World(**options)

    @world.server.app.post("/pay")
    @world.server.app.post("/transfer/{id}")
    async def done() -> str:
        return "done"

    add(world.server.app)
    return world


def refused(*entries: str, **options: Any) -> str:
    """Why an application with such a list does not start."""
    app = starts(*entries, **options).server.app

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(CrossauthError) as e:
        asyncio.run(start())
    assert e.value.code is ErrorCode.Configuration
    return e.value.message


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("/pya", "'/pay'"),
        ("/transfers/{id}", "'/transfer/{id}'"),
        ("GET /pay", "POST /pay"),
        ("/pay/", "'/pay'"),
        ("/auth/pay", "'/auth/pay'"),
    ],
)
def test_a_path_of_no_route_stops_the_start_and_names_the_nearest(entry: str, says: str) -> None:
    message = refused(entry)
    assert repr(entry) in message
    assert says in message
    assert "factor2_protected_page_endpoints" in message
    assert "factor2_protected_api_endpoints" in refused(apis=[entry])


@pytest.mark.parametrize("entry", ["", "  ", "POST", "PO ST /pay", "/pay?x=1", "https://x/pay#1", 5])
def test_an_entry_that_is_no_path_is_refused_at_once(entry: Any) -> None:
    if entry == "POST":
        assert "'POST'" in refused(entry)
        return
    with pytest.raises(CrossauthError, match="factor2_protected_page_endpoints"):
        starts(entry)


def test_a_list_without_second_factors_is_refused() -> None:
    with pytest.raises(CrossauthError, match="allowed_factor2"):
        make_server(factor2_protected_page_endpoints=["/pay"])


def test_an_application_that_never_starts_by_itself_serves_nothing_until_its_list_is_right() -> None:
    outer = FastAPI()
    outer.mount(ACC, starts("/pya").server.app)
    with serve(outer) as url, Browser(url) as browser:
        for _ in range(2):
            answer = browser.get("/acc/api/getcsrftoken")
            assert (answer.status_code, name_of(answer)) == (500, "Configuration")
            assert "pya" not in answer.text


def test_endpoints_of_ours_that_are_switched_off_may_be_listed() -> None:
    """A list as the contract has it works, whatever is switched on."""
    names = ["requestpasswordreset", "updateuser", "changepassword", "resetpassword", "changefactor2"]
    world = starts(*(f"/{name}" for name in names), apis=[f"/api/{name}" for name in names])
    with world.open() as url, with_factor(url, "", world) as browser:
        assert browser.call("/api/changefactor2", factor2="none").json()["factor2Required"] is True


@pytest.mark.parametrize(("entry", "path"), [("/pay", "/pay"), ("pay", "/pay"), ("updateuser", "/auth/updateuser"),
                                             ("/auth/updateuser", "/auth/updateuser"), ("/updateuser", "/auth/updateuser"),
                                             ("/admin/createuser", "/admin/createuser")])  # fmt: skip
def test_paths_are_absolute_and_the_prefix_goes_before_only_where_that_fits(entry: str, path: str) -> None:
    world = starts(entry, prefix="/auth/")
    with world.open() as url, Browser(url) as browser:
        browser.token = lambda: browser.get("/auth/api/getcsrftoken").json()["csrfToken"]  # type: ignore[method-assign]
        browser.call("/auth/api/signup", username="alice", password=PASSWORD, factor2="none")
        displayed = browser.call("/auth/api/changefactor2", factor2="totp").json()
        browser.call("/auth/api/configurefactor2", otp=world.code(displayed["totpsecret"]))
        answer = browser.submit(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/auth/factor2")


def test_a_concrete_path_protects_the_whole_route_that_serves_it() -> None:
    """How a handler reads a parameter is not guessed from the URL: `/transfer/07` may be `/transfer/7`."""
    world = starts("/transfer/7")
    with world.open() as url, with_factor(url, "", world) as browser:
        for path in ("/transfer/7", "/transfer/07", "/transfer/%37", "/transfer/8"):
            assert browser.submit(path).headers["location"] == "/factor2"


def test_a_route_that_takes_the_path_before_the_one_that_is_meant_is_protected_too() -> None:
    world = World(factor2_protected_page_endpoints=["/take/it"])

    @world.server.app.post("/take/{what}")
    async def everything(what: str) -> str:
        return "done"

    @world.server.app.post("/take/it")
    async def meant() -> str:
        return "done"

    with world.open() as url, with_factor(url, "", world) as browser:
        assert browser.submit("/take/it").headers["location"] == "/factor2"


def test_routes_of_starlette_and_mounts_are_protected() -> None:
    async def done(request: Request) -> PlainTextResponse:
        return PlainTextResponse("done")

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("done")(scope, receive, send)

    world = World(
        factor2_protected_page_endpoints=["/plain", "/under/deep/plain", "/asgi", "/included/plain", "/in/mount"]
    )
    app = world.server.app
    app.add_route("/plain", done, methods=["GET", "POST"])
    app.mount("/under", Starlette(routes=[Mount("/deep", routes=[Route("/plain", done, methods=["POST"])])]))
    app.mount("/asgi", plain)
    router = APIRouter()
    router.add_route("/plain", done, methods=["POST"])
    router.mount("/mount", plain)
    app.include_router(router, prefix="/included")
    app.include_router(router, prefix="/in")
    with world.open() as url, with_factor(url, "", world) as browser:
        for path in ("/plain", "/under/deep/plain", "/asgi/", "/asgi/below", "/included/plain", "/in/mount/x"):
            assert browser.submit(path).headers.get("location") == "/factor2", path
        assert browser.submit("/in/plain").text == "done"
        assert browser.call("/api/factor2", otp=world.code(browser.secret)).text == "done"  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["post", "Post", "PosT"])
def test_a_lowercase_method_passes_no_guard(method: str) -> None:
    """Mounted applications, and endpoints that are classes, may take it for POST; uvicorn's h11 passes methods on as sent."""
    made = []

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        made.append(scope["method"])
        await PlainTextResponse("paid")(scope, receive, send)

    class Pay(HTTPEndpoint):
        async def post(self, request: Request) -> PlainTextResponse:
            made.append(request.method)
            return PlainTextResponse("paid")

    world = World(factor2_protected_api_endpoints=["POST /whole", "POST /pay", "POST /sub/pay", "GET /shown"])
    app = world.server.app
    app.mount("/whole", whole)
    app.mount("/shown", whole)
    app.mount("/sub", Starlette(routes=[Route("/pay", Pay)]))
    app.router.routes.append(Route("/pay", Pay))
    with serve(app, http="h11") as url, with_factor(url, "", world) as browser:
        token = {CSRF: browser.token()}
        for sent, path in (
            (method, "/whole/"), (method, "/whole/x"), (method, "/pay"), (method, "/sub/pay"), ("gEt", "/shown/x"),
            ("head", "/shown/"),
        ):  # fmt: skip
            answer = _raw(browser, sent, path, token)
            assert b"factor2Required" in answer or (sent == "head" and b" 200 " in answer), (sent, path, answer)
            assert b" 403 " in _raw(browser, sent, path, {}), "and is no method that is safe without a CSRF token"
    assert made == []


def _raw(browser: Browser, method: str, path: str, headers: dict[str, str]) -> bytes:
    """The response to a request whose method goes out as it is written."""
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
    connection = http.client.HTTPConnection(browser.base_url.netloc.decode())
    connection.request(method, path, b"{}", {"Cookie": cookies, "Content-Type": "application/json", **headers})
    with closing(connection):
        answer = connection.getresponse()
        return b"%s %d %s" % (method.encode(), answer.status, answer.read())


def test_routes_that_are_added_later_leave_the_others_protected() -> None:
    world = listed_world()
    with world.open() as url, with_factor(url, "", world) as browser:
        later = APIRouter()
        later.add_api_route("/later", lambda: "done", methods=["POST"])
        world.server.app.include_router(later)
        assert browser.call("/api/factors").json()["factor2Required"] is True
        assert browser.call("/api/updateuser", user_email="a@example.com").json() != {"factor2Required": True}


@pytest.mark.parametrize("entry", ["/below/static", "/below"])
def test_a_mounted_application_with_users_of_its_own_protects_itself(entry: str) -> None:
    message = refused(entry, add=lambda app: app.mount("/below", World().server.app))
    assert "users of its own" in message


def test_a_path_in_a_mounted_application_that_cannot_be_seen_stops_the_start() -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None: ...

    assert "'/asgi' would protect all of it" in refused("/asgi/pay", add=lambda app: app.mount("/asgi", plain))


def test_a_websocket_cannot_ask() -> None:
    def add(app: FastAPI) -> None:
        @app.websocket("/feed")
        async def feed(socket: WebSocket) -> None: ...

        @app.post("/feed")
        async def post() -> None: ...

    assert "WebSocket" in refused("/feed", add=add)
    starts("POST /feed", add=add)


# Looking at something that is listed


def test_looking_at_a_listed_page_asks_and_shows_it_after_the_code() -> None:
    world = listed_world()
    with world.open() as url, with_factor(url, "", world) as browser:
        asked = browser.get("/statement?year=2026")
        assert (asked.status_code, asked.headers["location"]) == (303, "/factor2")
        assert asked.headers["cache-control"] == "no-store"
        assert 'action="/factor2"' in browser.get("/factor2").text
        displayed = browser.submit("/factor2", otp=world.code(browser.secret))  # type: ignore[attr-defined]
        assert displayed.json()["done"] == "GET"
        assert browser.get("/statement").status_code == 303, "once"
        asked = browser.get("/api/pay/7")
        assert asked.json() == {"ok": True, "factor2Required": True, "factor2": "totp"}
        displayed = browser.call("/api/factor2", otp=world.code(browser.secret))  # type: ignore[attr-defined]
        assert displayed.json() == {"done": "GET", "params": {"number": "7"}, "body": ""}


def test_looking_sends_nothing_and_takes_the_place_of_nothing() -> None:
    world = listed_world()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email="alice@example.com")
        browser.call("/api/changefactor2", factor2="email")
        assert browser.call("/api/configurefactor2", otp=browser.mailed_code()).json()["ok"] is True
        sent = len(browser.mail())
        for _ in range(5):
            assert browser.get("/statement").status_code == 303
            assert "Send code" in browser.get("/factor2").text
        assert len(browser.mail()) == sent, "a GET sends nothing"
        assert browser.submit("/factor2").headers["location"] == "/factor2"
        assert len(browser.mail()) == sent + 1
        assert browser.submit("/pay", sum="1").status_code == 303
        for_pay = browser.mailed_code()
        assert browser.get("/statement").status_code == 303
        paid = browser.submit("/pay", otp=for_pay)
        assert paid.json()["done"] == "POST", "what waited in another tab still waits"
        assert browser.submit("/factor2").headers["location"] == "/factor2"
        assert browser.submit("/factor2", otp=browser.mailed_code()).json()["done"] == "GET"


def test_a_code_is_for_what_was_asked_last() -> None:
    """A thief with the session who has something wait gets nothing from the code that is given for another request."""
    world = listed_world()
    with world.open() as url, with_factor(url, "", world) as browser:
        browser.call("/api/pay/99")
        world.later(seconds=1)
        browser.get("/statement")
        displayed = browser.call("/api/factor2", otp=world.code(browser.secret))  # type: ignore[attr-defined]
        assert displayed.json()["done"] == "GET"


def test_what_waits_ends_after_ten_minutes_and_with_the_password_it_rests_on() -> None:
    world = listed_world()
    with world.open() as url, with_factor(url, "", world) as browser:
        browser.call("/api/pay/7")
        world.later(minutes=11)
        late = browser.call("/api/factor2", otp=world.code(browser.secret))  # type: ignore[attr-defined]
        assert name_of(late) == "Expired"
        browser.call("/api/pay/7")
        asyncio.run(world.users.update_user({"id": 1}, {"password": "another hash"}))
        gone = browser.call("/api/factor2", otp=world.code(browser.secret))  # type: ignore[attr-defined]
        assert name_of(gone) in ("InvalidSession", "Unauthorized")
        assert world.made == []  # type: ignore[attr-defined]

"""Cookies that a neighbour plants, and cookies of other applications on the same host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request, Response

from crossauth_backend.sessions.cookie import SignedCookie
from crossauth_backend.sessions.options import CookieSettings
from crossauth_fastapi._http.cookies import cookies_named, parse_cookies
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._session import source as session_cookies
from crossauth_fastapi.fastapi_users._browsers import read_browser, remember_browser
from crossauth_fastapi.fastapi_users._core import default_core
from crossauth_fastapi.fastapi_users._oauth import CsrfCookie, generate_csrf_token
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, CookieTransport, JWTStrategy
from tests.fastapi_users.app import SECRET, UserRead
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_oauth import LINK, LOGIN, Flow
from tests.fastapi_users.test_providers import Says
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD, Client, make_server

SESSION, TOKEN = "__Host-SESSIONID", "__Host-CSRFTOKEN"
# What browsers send in front of a name, and str.strip takes away. Control characters are refused by most servers before.
DISGUISES = [b"\xa0", b"\x85", b"\xc2\xa0", b"\xc2\x85"]
CONTROLS = ["\x1c", "\x1d", "\x1e", "\x1f", "\x0b", "\x0c", "\x00", "\xa0", "\x85"]


@pytest.fixture(scope="module")
def https_site() -> Iterator[str]:
    """A site whose cookies are those of https."""
    with serve(make_server(site_url="https://shop.test").app) as url:
        yield url


class Https(Client):
    """A client that sends the cookies it is told to, as bytes, whatever they are."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.kept: dict[str, str] = {}

    def raw(self, method: str, path: str, cookie: bytes, **given: object) -> object:
        self.cookies.clear()
        headers = [(b"Cookie", cookie), *[(k.encode(), v.encode()) for k, v in dict(given.pop("headers", {})).items()]]
        return self.request(method, path, headers=headers, **given)

    @property
    def cookie(self) -> bytes:
        return "; ".join(f"{n}={v}" for n, v in self.kept.items()).encode()

    def keep(self, answer: object) -> None:
        for value in answer.headers.get_list("set-cookie"):
            name, _, rest = value.partition("=")
            self.kept[name] = rest.partition(";")[0]

    def join(self, username: str) -> str:
        """Sign up; the CSRF token of the session."""
        answer = self.raw("GET", "/api/getcsrftoken", b"")
        self.keep(answer)
        answer = self.raw(
            "POST", "/api/signup", self.cookie, json={"username": username, "password": PASSWORD},
            headers={CSRF: answer.json()["csrfToken"]},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        self.keep(answer)
        return answer.json()["csrfToken"]

    def whoever(self, cookie: bytes) -> str | None:
        user = self.raw("GET", "/api/userforsessionkey", cookie).json()["user"]
        return user["username"] if user else None


@pytest.fixture
def victim(https_site: str, request: pytest.FixtureRequest) -> Iterator[Https]:
    with Https(https_site) as victim:
        victim.token_of_session = victim.join(f"victim{abs(hash(request.node.name))}")
        yield victim


@pytest.fixture
def mallory(https_site: str, request: pytest.FixtureRequest) -> Iterator[Https]:
    with Https(https_site) as mallory:
        mallory.token_of_session = mallory.join(f"mallory{abs(hash(request.node.name))}")
        yield mallory


@pytest.mark.parametrize("disguise", DISGUISES, ids=repr)
def test_a_disguised_csrf_cookie_counts_for_nothing(victim: Https, mallory: Https, disguise: bytes) -> None:
    planted = disguise + f"{TOKEN}={mallory.kept[TOKEN]}".encode()
    # Chromium sends the cookie with the longer path first.
    for cookie in (planted + b"; " + victim.cookie, victim.cookie + b"; " + planted):
        answer = victim.raw("POST", "/deleteuser", cookie, data={"csrfToken": mallory.token_of_session})
        assert "CSRF" in answer.text or answer.status_code == 401
    assert victim.whoever(victim.cookie), "the account is still there"


@pytest.mark.parametrize("disguise", DISGUISES, ids=repr)
def test_a_disguised_session_cookie_counts_for_nothing(victim: Https, mallory: Https, disguise: bytes) -> None:
    planted = disguise + f"{SESSION}={mallory.kept[SESSION]}".encode()
    for cookie in (planted + b"; " + victim.cookie, victim.cookie + b"; " + planted, planted):
        assert (victim.whoever(cookie) or "").startswith("mallory") is False


@pytest.mark.parametrize("blank", [b"", b" ", b"\t"])
def test_of_two_cookies_with_a_host_prefix_neither_counts(victim: Https, mallory: Https, blank: bytes) -> None:
    planted = blank + f"{SESSION}={mallory.kept[SESSION]}".encode()
    for cookie in (b"a=b;" + planted + b"; " + victim.cookie, victim.cookie + b";" + planted):
        answer = victim.raw("GET", "/api/userforsessionkey", cookie)
        assert answer.json()["user"] is None
        assert SESSION not in str(answer.headers.get_list("set-cookie")), "and none is deleted: the good one may be"
    assert victim.whoever(victim.cookie)


def test_a_planted_csrf_cookie_of_nobody_is_worth_nothing_in_a_session(victim: Https, https_site: str) -> None:
    """The browser holds the victim's session and a CSRF cookie and token that the intruder got for himself."""
    with Https(https_site) as anybody:
        answer = anybody.raw("GET", "/api/getcsrftoken", b"")
        anybody.keep(answer)
    cookie = f"{SESSION}={victim.kept[SESSION]}; {TOKEN}={anybody.kept[TOKEN]}".encode()
    refused = victim.raw("POST", "/change", cookie, headers={CSRF: answer.json()["csrfToken"]})
    assert refused.json()["errorCodeName"] == "InvalidCsrf"


def test_a_planted_csrf_cookie_of_another_session_is_worth_nothing(victim: Https, mallory: Https) -> None:
    cookie = f"{SESSION}={victim.kept[SESSION]}; {TOKEN}={mallory.kept[TOKEN]}".encode()
    refused = victim.raw("POST", "/change", cookie, headers={CSRF: mallory.token_of_session})
    assert refused.json()["errorCodeName"] == "InvalidCsrf"
    assert victim.raw("POST", "/change", victim.cookie, headers={CSRF: victim.token_of_session}).status_code == 200


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The routes of FastAPI Users, with tokens in cookies that a browser protects."""
    backends = [
        AuthenticationBackend[Any, Any](
            name, CookieTransport(cookie_name=cookie), lambda: JWTStrategy[Any, Any](SECRET, 600)
        )
        for name, cookie in (("host", "__Host-auth"), ("secure", "__Secure-auth"))
    ]
    with open_site(tmp_path_factory.mktemp("routes"), more_backends=backends) as api:
        for name in ("own", "planted"):
            api.register(f"{name}@camelot.bt", "guinevere")
        yield api


def token_in_cookie(api: Api, name: str, by: str) -> str:
    with api.another() as client:
        answer = client.log_in(f"{name}@camelot.bt", by=by)
    return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]


@pytest.mark.parametrize("by", ["host", "secure"])
def test_a_disguised_cookie_of_the_routes_counts_for_nothing(routes: Api, by: str) -> None:
    name = f"__{by.title()}-auth".encode()
    own, planted = (name + b"=" + token_in_cookie(routes, whose, by).encode() for whose in ("own", "planted"))

    def who(*cookies: bytes) -> str | None:
        answer = routes.get("/maybe", headers=[(b"Cookie", b"; ".join((b"a=b", *cookies)))])  # type: ignore[arg-type]
        return answer.json()["email"]

    assert who(own) == "own@camelot.bt"
    for disguise in (*DISGUISES, b"", b"\t"):
        for cookies in ((own, disguise + planted), (disguise + planted, own)):
            assert who(*cookies) is None, "neither counts"
        assert who(disguise + planted) == (None if disguise.strip(b"\t") else "planted@camelot.bt")
    two = [(b"Cookie", own), (b"Cookie", b"\xa0" + planted)]
    assert routes.get("/maybe", headers=two).json()["email"] is None, "in two headers, as HTTP/2 has them"  # type: ignore[arg-type]


def test_a_disguised_cookie_of_a_browser_or_a_provider_flow_counts_for_nothing() -> None:
    def request(cookie: bytes) -> Request:
        return Request({"type": "http", "headers": [(b"cookie", cookie)]})

    class Manager:
        reset_password_token_secret = SECRET

    user: Any = type("User", (), {"id": 1, "hashed_password": "x"})
    response = Response()
    remember_browser(default_core(), request(b""), response, Manager(), user)  # type: ignore[arg-type]
    known = response.headers["set-cookie"].partition(";")[0].encode()
    for cookie, expected in ((known, True), (b"\xa0" + known, False), (b"fastapiusersbrowser=x; " + known, True)):
        found = read_browser(request(cookie), Manager())  # type: ignore[arg-type]
        assert (found is not None) is expected
    assert found is not None
    assert found.knows(user)
    assert not found.knows(None)
    own, planted = generate_csrf_token(), generate_csrf_token()
    csrf = CsrfCookie(name="__Host-flow")
    pair = [b"__Host-flow=" + value.encode() for value in (own, planted)]
    assert csrf.holds(request(pair[0]), own)
    assert not csrf.holds(request(pair[0] + b"; \xa0" + pair[1]), planted)
    assert not csrf.holds(request(b"\xa0" + pair[1]), planted)


@pytest.mark.parametrize("told", ["by site_url", "by the host"])
@pytest.mark.parametrize("purpose", [LOGIN, LINK])
def test_a_neighbour_cannot_plant_a_flow_with_a_provider(tmp_path: Path, told: str, purpose: str) -> None:
    """Login CSRF: with the cookie of a flow that Mallory began, a victim would come back as Mallory."""
    site_url, host = ("https://shop.test", "127.0.0.1") if told == "by site_url" else (None, "shop.test")
    with open_site(tmp_path, site_url=site_url) as api:
        api.register()
        users, says, back = api.site.users, Says(), "https://shop.test/back"
        app, header = api.site.app, {**api.bearer(), "Host": host}
        app.include_router(users.get_oauth_router(says, api.site.jwt, SECRET, back), prefix=LOGIN)
        app.include_router(users.get_oauth_associate_router(says, UserRead, SECRET, back), prefix=LINK)
        mallory, victim = Flow(api, purpose, header), Flow(api, purpose, header)
        prefix, _, value = mallory.cookie.partition("fastapiusersoauthcsrf=")
        assert prefix == "__Host-"
        assert mallory.set_cookie.partition("; ")[2] == "HttpOnly; Max-Age=3600; Path=/; SameSite=lax; Secure"
        state = mallory.asked["state"]
        for planted in (f"fastapiusersoauthcsrf={value}", f"{victim.cookie}; fastapiusersoauthcsrf={value}"):
            answer = mallory.come_back(cookie=planted, code="c", state=state)
            assert (answer.status_code, detail(answer)) == (400, "OAUTH_INVALID_STATE")
        done = victim.come_back(code="c", state=victim.asked["state"])
        assert done.status_code == 200, done.text
        assert done.headers["set-cookie"].startswith('__Host-fastapiusersoauthcsrf=""; HttpOnly; Max-Age=0')


@pytest.mark.parametrize(
    ("host", "configured", "name"),
    [
        ("shop.test", {}, "__Host-fastapiusersoauthcsrf"),
        ("localhost:8000", {}, "fastapiusersoauthcsrf"),
        ("testserver", {}, "fastapiusersoauthcsrf"),
        ("shop.test", {"name": "mine"}, "mine"),
        ("shop.test", {"path": "/c"}, "fastapiusersoauthcsrf"),
        ("shop.test", {"domain": "shop.test"}, "fastapiusersoauthcsrf"),
        ("shop.test", {"secure": False}, "fastapiusersoauthcsrf"),
        ("shop.test", {"site_url": "http://shop.test"}, "fastapiusersoauthcsrf"),
        ("localhost:8000", {"site_url": "https://shop.test"}, "__Host-fastapiusersoauthcsrf"),
    ],
)
def test_the_cookie_of_a_flow_has_the_host_prefix_where_it_can(
    host: str, configured: dict[str, Any], name: str
) -> None:
    scope = {"type": "http", "scheme": "http", "client": ("127.0.0.1", 4711), "headers": [(b"host", host.encode())]}
    response = Response()
    CsrfCookie(**configured).begin(Request(scope), response, "x")
    assert response.headers["set-cookie"].partition("=")[0] == name


def test_cookies_are_parsed_by_rfc_6265() -> None:
    assert parse_cookies(" a=1;\tb = 2 ;c=\"3\"; a=4;nameless; d=x=y; =v") == {
        "a": ["1", "4"], "b": ["2"], "c": ["3"], "d": ["x=y"], "": ["v"],
    }  # fmt: skip
    for control in CONTROLS:
        assert parse_cookies(f"{control}x{control}=1") == {f"{control}x{control}": ["1"]}
        assert not cookies_named(parse_cookies(f"__Host-x=1;{control}__Host-x=2"), "__Host-x")
    assert cookies_named(parse_cookies("__Host-a=1; __Host-ab=2; x=3"), "__Host-a") == ["1"]
    for other in ("__Host-a=2", "__host-a=2", "\x85__Host-a=2", "__Host-a\xa0=2", "\x1f__HOST-A=2"):
        assert not cookies_named(parse_cookies(f"__Host-a=1; {other}"), "__Host-a")
        assert not cookies_named(parse_cookies(f"{other}; __Secure-b=1"), "__Host-x")


def test_of_two_plain_cookies_the_first_that_is_good_counts(client: Client) -> None:
    """On localhost, where an older cookie at a longer path or of another application comes first."""
    client.sign_up()
    good = client.cookies["SESSIONID"]
    client.call("/api/logout")
    dead = good
    client.log_in()
    good, token = client.cookies["SESSIONID"], client.token()
    csrf = client.cookies["CSRFTOKEN"]
    client.cookies.clear()
    for other in ("x", "x.y", dead, good[:-2] + "xx", '"quoted"'):
        cookie = f"SESSIONID={other}; CSRFTOKEN={other}; SESSIONID={good}; CSRFTOKEN={csrf}"
        answer = client.get("/me", headers={"Cookie": cookie})
        assert (answer.status_code, answer.headers.get_list("set-cookie")) == (200, []), other
        assert client.post("/change", headers={"Cookie": cookie, CSRF: token}).status_code == 200


def test_two_applications_on_one_host_leave_each_others_cookies_alone(client: Client) -> None:
    with serve(make_server(secret="another secret of the application next door").app) as url, Client(url) as other:
        client.sign_up()
        other.cookies = client.cookies  # One browser: cookies know no ports.
        for path in ("/login", "/api/userforsessionkey", "/me", "/signup"):
            answer = other.get(path)
            assert not any(c.startswith("SESSIONID=") for c in answer.headers.get_list("set-cookie"))
        assert client.who() == "alice", "looking at the second does not log out of the first"


def test_a_session_cookie_of_ours_that_ended_is_deleted(client: Client, base_url: str) -> None:
    client.sign_up()
    dead = client.cookies["SESSIONID"]
    client.call("/api/logout")
    answer = client.get("/maybe", headers={"Cookie": f"SESSIONID={dead}"})
    assert any(c.startswith('SESSIONID="";') for c in answer.headers.get_list("set-cookie"))


def test_a_cookie_header_that_was_seen_before_is_worth_no_more_than_a_new_one(client: Client) -> None:
    """The place of the session in a header is remembered; all else about the request is asked anew each time."""
    client.sign_up()
    cookie = f"theme=dark; SESSIONID={client.cookies['SESSIONID']}; CSRFTOKEN={client.cookies['CSRFTOKEN']}"
    for _ in range(3):
        assert client.get("/me", headers={"Cookie": cookie}).json()["username"] == "alice"
    proxied = {"Cookie": cookie, "X-Forwarded-For": "203.0.113.7"}
    assert client.get("/me", headers=proxied).status_code == 401, "a name without its prefix counts on localhost only"
    forged = cookie.replace("; CSRF", "x; CSRF")
    assert client.get("/me", headers={"Cookie": forged}).status_code == 401
    assert client.get("/me", headers={"Cookie": cookie}).status_code == 200
    client.call("/api/logout")
    answer = client.get("/maybe", headers={"Cookie": cookie})
    assert answer.json()["username"] is None
    assert any(c.startswith('SESSIONID="";') for c in answer.headers.get_list("set-cookie"))


def test_cookie_headers_are_remembered_in_bounds_and_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_cookies, "_MANY", 3)
    cookie = SignedCookie(CookieSettings(), "SESSIONID", b"k" * 32)
    seen = session_cookies.SeenHeaders(cookie)
    headers = [f"a={n}; __Host-SESSIONID={cookie.make('session' + str(n), False).value}".encode() for n in range(5)]
    for n, header in enumerate(headers):
        seen.remember(header, f"session{n}", f"stored{n}", RequestState({"headers": [(b"cookie", header)]}))
    state = RequestState({"headers": []})
    known = [None, None, *((f"session{n}", f"stored{n}") for n in (2, 3, 4))]
    assert [seen.value(header, state) for header in headers] == known
    assert "session" not in repr(vars(seen)["_places"])

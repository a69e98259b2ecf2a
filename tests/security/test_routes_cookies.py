"""The cookie of the routes: planted twice, sent for a page of another site, or from plain http."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends
from fastapi.middleware.cors import CORSMiddleware
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from crossauth_backend import CrossauthError
from crossauth_fastapi._http.once import warn_once
from crossauth_fastapi._http.origins import is_own_page, read_origins
from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    CookieTransport,
    JWTStrategy,
    KeyStorageStrategy,
)
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from tests.accounts import Browser, World
from tests.fastapi_users.app import SECRET, Site
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_core import Manager
from tests.services.uvicorn import serve

ARTHUR, MALLORY = "arthur@camelot.bt", "mallory@evil.bt"
FORM = {"username": ARTHUR, "password": "guinevere"}
FRONT = "https://app.camelot.bt"
# What browsers send with a request of a page of somebody else's; the last are browsers that say no Sec-Fetch-Site.
FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://neighbour.camelot.bt", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.test", "Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.test"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "x" * 5000},
]
# Where the browser says that a page is another one's, no Host makes it this site's: a proxy may have left the port away, as
# nginx does by `proxy_set_header Host $host`, and TLS may end where nobody says so.
SAYS_OTHERWISE = ["same-site", "cross-site", "same-origin, cross-site", "Same-Origin", "garbage"]


@pytest.fixture
def arthur(tmp_path: Path) -> Iterator[Api]:
    with open_site(tmp_path) as api:
        api.register()
        api.register(MALLORY, "mallorypw")
        yield api


def here(api: Api) -> str:
    return str(api.base_url).rstrip("/")


def test_of_two_cookies_of_one_name_none_counts(arthur: Api) -> None:
    """A neighbouring subdomain plants its own session beside the user's, in whatever order the browser sends them."""
    good, planted = arthur.cookie_login()["Cookie"], arthur.cookie_login(MALLORY, "mallorypw")["Cookie"]
    for cookie in (f"{good}; {planted}", f"{planted}; {good}", f"a=b;{planted};\t{good}"):
        assert arthur.get("/hello", headers={"Cookie": cookie}).status_code == 401
        assert arthur.get("/maybe", headers={"Cookie": cookie}).json() == {"email": None}
        assert arthur.patch("/users/me", headers={"Cookie": cookie}, json={"password": "x" * 9}).status_code == 401
    assert arthur.get("/hello", headers={"Cookie": f"other=1; {good}; more=2"}).status_code == 200


def test_two_cookie_headers_are_one(arthur: Api) -> None:
    good, planted = arthur.cookie_login()["Cookie"], arthur.cookie_login(MALLORY, "mallorypw")["Cookie"]
    headers = [("Cookie", good), ("Cookie", planted)]
    assert arthur.get("/hello", headers=headers).status_code == 401


@pytest.mark.parametrize("page", FOREIGN, ids=str)
def test_a_page_of_another_site_changes_nothing_by_the_cookie(arthur: Api, page: dict[str, str]) -> None:
    cookie = arthur.cookie_login()
    headers = {**cookie, **page}
    for answer in (
        arthur.patch("/users/me", headers=headers, json={"password": "another"}),
        arthur.delete("/auth/sessions", headers=headers),
        arthur.post("/auth/cookie/logout", headers=headers),
    ):
        assert (answer.status_code, detail(answer)) == (403, "CROSS_ORIGIN_REQUEST"), answer.text
    assert arthur.get("/hello", headers=headers).status_code == 200, "a link may lead there"
    assert arthur.get("/hello", headers=cookie).status_code == 200, "nobody was logged out"
    assert arthur.log_in().status_code == 200, "and the password is the same"


@pytest.mark.parametrize("page", FOREIGN, ids=str)
def test_a_page_of_another_site_logs_no_browser_in(arthur: Api, page: dict[str, str]) -> None:
    """As somebody else, who then sees what the browser's owner does."""
    answer = arthur.post("/auth/cookie/login", data=FORM, headers=page)
    assert (answer.status_code, detail(answer)) == (403, "CROSS_ORIGIN_REQUEST")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("site", SAYS_OTHERWISE)
def test_a_matching_host_does_not_overrule_what_the_browser_says(arthur: Api, site: str) -> None:
    page = {"Origin": here(arthur), "Sec-Fetch-Site": site}
    answer = arthur.patch("/users/me", headers={**arthur.cookie_login(), **page}, json={"password": "another"})
    assert (answer.status_code, detail(answer)) == (403, "CROSS_ORIGIN_REQUEST")
    assert arthur.post("/auth/cookie/login", data=FORM, headers=page).status_code == 403
    assert arthur.log_in().status_code == 200, "the password is the same"


@pytest.mark.parametrize("method", ["get", "Head", "oPTIONS", "trace", "QUERY", "X"])
def test_a_method_counts_as_safe_only_as_the_standard_writes_it(tmp_path: Path, method: str) -> None:
    """What is not exactly GET, HEAD, OPTIONS or TRACE may change something (RFC 9110 §9.1, §9.2.1)."""
    site = Site(f"sqlite:///{tmp_path}/u.db")

    @site.app.post("/probe", dependencies=[Depends(site.users.current_user())])
    async def probe() -> None: ...

    route: Any = site.app.router.routes[-1]
    route.methods = {method}
    with serve(site.app, http="h11") as url, Api(url, site, f"{tmp_path}/u.db") as api:
        api.register()
        cookie = api.cookie_login()
        for page, status in ((here(api), 200), ("https://evil.test", 403)):
            assert raw_status(url, method, "/probe", {**cookie, "Origin": page}) == status, page


def raw_status(url: str, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of a request whose method goes out as it is written; uvicorn's h11 passes it on so."""
    with closing(http.client.HTTPConnection(url.removeprefix("http://"))) as connection:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status


def test_a_page_of_this_site_and_clients_without_a_page_go_on(arthur: Api) -> None:
    cookie = arthur.cookie_login()
    for page in (
        {},
        {"Origin": here(arthur)},
        {"Origin": here(arthur), "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},  # Referrer-Policy: no-referrer
        {"Origin": "https://hidden.by.a.proxy.test", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert arthur.patch("/users/me", headers={**cookie, **page}, json={}).status_code == 200, page
        assert arthur.post("/auth/cookie/login", data=FORM, headers=page).status_code == 204, page


def test_a_bearer_token_is_good_from_every_page(arthur: Api) -> None:
    """No page sends it by itself. A cookie beside it counts for nothing then."""
    token, cookie = arthur.bearer(), arthur.cookie_login(MALLORY, "mallorypw")
    page = {"Origin": "https://evil.test"}
    assert arthur.post("/auth/jwt/login", data=FORM, headers=page).status_code == 200
    answer = arthur.patch("/users/me", headers={**token, **cookie, **page}, json={})
    assert (answer.status_code, answer.json()["email"]) == (200, ARTHUR)


def front_end(name: str, **options: Any) -> Any:
    transport = CookieTransport(cookie_name=name, **options)
    return AuthenticationBackend(name, transport, lambda: JWTStrategy(SECRET, 60))


def test_a_page_of_another_site_uses_no_route_of_the_application_by_the_cookie(tmp_path: Path) -> None:
    """Whatever is asked for: the user, or the claims of the token."""
    with open_site(tmp_path, more_backends=[front_end("front")]) as api:
        users = api.site.users

        @api.site.app.post("/spend", dependencies=[Depends(users.current_user())])
        @api.site.app.post("/claims", dependencies=[Depends(users.current_claims())])
        async def consume_once() -> None: ...

        @api.site.app.post("/perhaps")
        async def perhaps(user: Any = Depends(users.current_user(optional=True))) -> bool:  # noqa: B008
            return user is not None

        api.register()
        answer = api.post("/auth/front/login", data=FORM)
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        for page, status, known in ((here(api), 200, True), ("https://evil.test", 403, False)):
            headers = {**cookie, "Origin": page}
            for path in ("/spend", "/claims"):
                assert api.post(path, headers=headers).status_code == status, (path, page)
            assert api.post("/perhaps", headers=headers).json() is known, page


def test_a_page_of_another_site_answers_no_question_for_a_second_factor() -> None:
    """That would log the browser in as well."""
    world = World()
    cookie: Any = AuthenticationBackend("cookie", CookieTransport(), lambda: KeyStorageStrategy(world.keys, 60))

    async def get_user_manager() -> Manager:
        return Manager(CrossauthUserDatabase(world.manager))

    users = FastAPIUsers[Any, int](get_user_manager, [cookie], session_manager=world.manager)
    world.server.app.include_router(users.get_auth_router(cookie), prefix="/rest")
    with world.open() as url, Browser(url) as browser:
        for page, status in (({}, 400), ({"Origin": url.rstrip("/")}, 400), ({"Origin": "https://evil.test"}, 403)):
            answer = browser.post("/rest/login/factor2", data={"mfa_token": "x", "otp": "000000"}, headers=page)
            assert answer.status_code == status, answer.text


def test_a_front_end_on_another_origin_is_named(tmp_path: Path) -> None:
    with open_site(tmp_path, more_backends=[front_end("front", trusted_origins=[FRONT])]) as api:
        api.register()
        for page, status in ((FRONT, 204), ("https://app.camelot.bt:444", 403), ("https://camelot.bt", 403)):
            headers = {"Origin": page, "Sec-Fetch-Site": "same-site"}
            answer = api.post("/auth/front/login", data=FORM, headers=headers)
            assert answer.status_code == status, page
            assert api.post("/auth/cookie/login", data=FORM, headers=headers).status_code == 403, "each its own"
        answer = api.post("/auth/front/login", data=FORM)
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        for page, status in ((FRONT, 200), ("https://evil.test", 403)):
            assert api.patch("/users/me", headers={**cookie, "Origin": page}, json={}).status_code == status


@pytest.fixture
def by_cors(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Api]:
    site = Site(f"sqlite:///{tmp_path}/u.db")
    site.app.add_middleware(CORSMiddleware, **request.param)
    with serve(site.app) as url, Api(url, site, f"{tmp_path}/u.db") as api:
        api.register()
        yield api


NAMED = {"allow_origins": [FRONT], "allow_credentials": True}
MATCHED = {"allow_origin_regex": r"https://[a-z]+\.camelot\.bt", "allow_credentials": True}


@pytest.mark.parametrize("by_cors", [NAMED, MATCHED], ids=str, indirect=True)
def test_a_front_end_that_cors_allows_with_credentials_needs_no_other_word(by_cors: Api) -> None:
    cookie = by_cors.cookie_login()
    for page, status in ((FRONT, 200), ("https://evil.test", 403), ("https://app.camelot.bt.evil.test", 403)):
        assert by_cors.patch("/users/me", headers={**cookie, "Origin": page}, json={}).status_code == status


EVERYBODY = [
    {"allow_origins": ["*"], "allow_credentials": True},
    {"allow_origin_regex": ".*", "allow_credentials": True},
    {"allow_origin_regex": "https?://.*", "allow_credentials": True},
    {"allow_origin_regex": "https://.*", "allow_credentials": True},
    {"allow_origins": [FRONT]},
]


@pytest.mark.parametrize("by_cors", EVERYBODY, ids=str, indirect=True)
def test_cors_for_everybody_or_without_credentials_trusts_nobody_with_the_cookie(by_cors: Api) -> None:
    headers = {**by_cors.cookie_login(), "Origin": FRONT}
    assert by_cors.patch("/users/me", headers=headers, json={}).status_code == 403
    assert by_cors.patch("/users/me", headers={**headers, "Origin": "*"}, json={}).status_code == 403


BY_PATTERN = [
    ("http://.*", "http://evil.test"),
    (r"https?://[a-z.]+:\d+", "https://evil.test:8443"),
    (r"(http|https|app)://.*", "app://evil"),
    (r"https://app\.camelot\.bt|null", "null"),
    (r"https://app\.camelot\.bt|http://[a-z.]+", "http://evil.test"),
]


@pytest.mark.parametrize(("pattern", "evil"), BY_PATTERN)
def test_a_cors_pattern_for_every_host_of_a_scheme_or_port_names_nobody(
    tmp_path: Path, pattern: str, evil: str
) -> None:
    site = Site(f"sqlite:///{tmp_path}/u.db")
    site.app.add_middleware(CORSMiddleware, allow_origin_regex=pattern, allow_credentials=True)
    with serve(site.app) as url, Api(url, site, f"{tmp_path}/u.db") as api:
        api.register()
        assert api.post("/auth/cookie/login", data=FORM, headers={"Origin": evil}).status_code == 403
        named = 204 if "camelot" in pattern else 403
        assert api.post("/auth/cookie/login", data=FORM, headers={"Origin": FRONT}).status_code == named


def test_an_origin_that_is_part_of_a_named_one_is_another(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/u.db")
    site.app.add_middleware(CORSMiddleware, allow_origins=FRONT, allow_credentials=True)  # type: ignore[arg-type]
    with serve(site.app) as url, Api(url, site, f"{tmp_path}/u.db") as api:
        api.register()
        for page, status in ((FRONT, 204), (FRONT[:-1], 403)):
            assert api.post("/auth/cookie/login", data=FORM, headers={"Origin": page}).status_code == status


def test_cors_around_the_application_is_not_seen_and_the_log_says_what_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_once.cache_clear()
    site = Site(f"sqlite:///{tmp_path}/u.db")
    around = CORSMiddleware(site.app, allow_origins=[FRONT], allow_credentials=True)
    with serve(around) as url, Api(url, site, f"{tmp_path}/u.db") as api:
        api.register()
        page = {"Origin": FRONT, "Sec-Fetch-Site": "same-site"}
        assert api.post("/auth/cookie/login", data=FORM, headers=page).status_code == 403
    assert "add_middleware() has put it on this very application" in caplog.text
    assert "trusted_origins" in caplog.text


def test_the_site_is_where_its_url_says(tmp_path: Path) -> None:
    """Behind a proxy that sends another Host, for browsers that say no Sec-Fetch-Site."""
    with open_site(tmp_path, site_url="https://castle.test:8443") as api:
        api.register()
        cookie = {**api.cookie_login(), "Host": "castle.test"}
        for page, status in (
            ("https://castle.test:8443", 200), ("http://castle.test:8443", 403), (here(api), 403),
            # The host that the proxy says, where another site is.
            ("https://castle.test", 403), ("http://castle.test", 403),
        ):  # fmt: skip
            assert api.patch("/users/me", headers={**cookie, "Origin": page}, json={}).status_code == status, page


@pytest.mark.parametrize("url", ["https://castle.test", "http://castle.test"])
def test_a_plain_page_opens_no_websocket_of_an_https_site(tmp_path: Path, url: str) -> None:
    """Also where TLS ends at a proxy that nobody named: no other connection carries a cookie that is Secure."""
    with TestClient(Site(f"sqlite:///{tmp_path}/ws.db").app, base_url=url) as client:
        client.post("/auth/register", json={"email": ARTHUR, "password": "guinevere"})
        answer = client.post("/auth/cookie/login", data=FORM)
        headers = {"Cookie": answer.headers["set-cookie"].partition(";")[0], "Origin": "https://castle.test"}
        client.cookies.clear()
        socket = url.replace("http", "ws", 1) + "/ws"
        with client.websocket_connect(socket, headers=headers) as ws:
            assert ws.receive_text() == ARTHUR
        for origin in ("http://castle.test", "http://castle.test:80", "https://castle.test:444"):
            with (
                pytest.raises(WebSocketDisconnect),
                client.websocket_connect(socket, headers={**headers, "Origin": origin}),
            ):
                pass


def own(scheme: str, host: str, origin: str, **options: Any) -> bool:
    return is_own_page(scheme, [(b"host", host.encode()), (b"origin", origin.encode())], **options)


def test_the_origin_of_a_page_is_scheme_host_and_port() -> None:
    assert own("https", "Castle.test", "https://castle.test")
    assert own("https", "castle.test:443", "https://castle.test")
    assert own("http", "castle.test", "https://castle.test"), "TLS ends at a proxy"
    assert own("http", "castle.test", "http://castle.test"), "a site on plain http, with cookies that are not Secure"
    assert own("http", "localhost:8000", "http://localhost:8000", secure_cookie=True)
    for scheme, origin, options in (
        ("https", "http://castle.test", {}),
        ("wss", "http://castle.test", {}),
        ("http", "http://castle.test", {"secure_cookie": True}),
        ("http", "http://castle.test", {"site_url": "https://castle.test"}),
        ("https", "https://castle.test:8443", {}),
        ("https", "ftp://castle.test", {}),
        ("https", "//castle.test", {}),
        ("https", "https://:443", {}),
        ("https", "castle.test", {}),
        ("https", "https://user@castle.test", {}),
    ):
        assert not own(scheme, "castle.test", origin, **options), origin
    assert not own("https", "", "https://"), "no host is no host"
    long = "a" * 292
    assert own("https", long, f"https://{long}")
    assert not own("https", long, f"https://{long}.evil.test"), "not what is left when it is cut"
    twice = [(b"host", b"castle.test"), (b"origin", b"https://castle.test"), (b"origin", b"https://evil.test")]
    assert not is_own_page("https", twice)


SITES = [
    ("https://castle.test", "https://castle.test", True),
    ("https://Castle.test:443/app/", "https://castle.test", True),
    ("https://castle.test", "https://inner", False),
    ("https://castle.test", "http://localhost:8000", False),
    ("http://castle.test", "https://castle.test", False),
    ("http://castle.test", "http://castle.test", True),
    ("https://m\xfcnchen.test:8443", "https://xn--mnchen-3ya.test:8443", True),
    ("castle.test", "https://castle.test", False),
    ("https://[x", "https://castle.test", False),
    ("https://\u2060", "https://castle.test", False),
]


@pytest.mark.parametrize(("site_url", "page", "is_own"), SITES)
def test_where_the_site_is_said_no_host_that_a_proxy_writes_counts(site_url: str, page: str, is_own: bool) -> None:
    for host in ("inner", page.partition("://")[2]):
        assert own("http", host, page, site_url=site_url) is is_own, host


def test_development_on_localhost_goes_on_by_whatever_name_of_this_machine() -> None:
    for site_url in (None, "http://localhost:8000"):
        for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000", "localhost:5173", "app.localhost:8000"):
            assert own("http", host, f"http://{host}", site_url=site_url, secure_cookie=True), host
            assert not own("http", host, "http://localhost:1", site_url=site_url), host
    assert own("http", "127.0.0.1:9000", "http://localhost:8000", site_url="http://localhost:8000"), "behind a proxy"
    assert not own("http", "castle.test", "http://castle.test", site_url="http://localhost:8000")


WRONG = [
    "https://app.camelot.bt", ["*"], ["https://*.camelot.bt"], ["null"], ["app.camelot.bt"], ["https://app.camelot.bt/"],
    ["https://app.camelot.bt/x"], ["https://App.camelot.bt"], ["https://app.camelot.bt:443"], ["http://app.camelot.bt"],
    ["https://a@app.camelot.bt"], ["https://[x"], ["https://app.camelot.bt:99999"], ["ftp://app.camelot.bt"], [""], [7], 7,
    ["https://"],
]  # fmt: skip


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_what_is_no_origin_does_not_start(given: Any) -> None:
    with pytest.raises(CrossauthError, match=r"'trusted_origins'.*write"):
        CookieTransport(trusted_origins=given)


def test_what_is_an_origin_starts() -> None:
    good = ["https://app.camelot.bt", "https://app.camelot.bt:8443", "http://localhost:3000", "https://[::1]:3000"]
    assert read_origins("trusted_origins", good, secure=True) == set(good)
    assert read_origins("trusted_origins", ["http://intranet"], secure=False)


@pytest.mark.parametrize(
    "options",
    [
        {"cookie_name": "__Host-a", "cookie_secure": False},
        {"cookie_name": "__host-a", "cookie_path": "/api"},
        {"cookie_name": "__Host-a", "cookie_domain": "camelot.bt"},
        {"cookie_name": "__Secure-a", "cookie_secure": False},
    ],
    ids=str,
)
def test_a_name_whose_prefix_no_browser_would_accept_does_not_start(options: Any) -> None:
    with pytest.raises(CrossauthError, match="cookie_secure=True"):
        CookieTransport(**options)
    CookieTransport(cookie_name="__Host-a")
    CookieTransport(cookie_name="__Secure-a", cookie_domain="camelot.bt", cookie_path="/api")

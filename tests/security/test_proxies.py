"""A forwarded header counts only from a proxy that was named, and then only if it is an address."""

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import Request, WebSocket
from starlette.testclient import TestClient

from crossauth_backend import InMemoryAuditStorage
from crossauth_fastapi._http.address import peer_address, read_address
from crossauth_fastapi._http.once import warn_once
from crossauth_fastapi._http.proxies import believe_proxies, read_proxies
from tests.accounts import RecordingListener
from tests.services.uvicorn import Server
from tests.support import CSRF, PASSWORD, Client, make_server

LOCALHOST = "http://localhost:8000"


@pytest.fixture(autouse=True)
def _warnings_anew() -> None:
    warn_once.cache_clear()


@contextmanager
def as_users_run_it(app: Any, **options: Any) -> Iterator[str]:
    """uvicorn with its own defaults, which reads X-Forwarded-For of its own machine, or with these options."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = Server(uvicorn.Config(app, log_level="warning", lifespan="on", **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("[::ffff:10.0.0.5]:99", "10.0.0.5"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("10.0.0.1 reason=none", None),
        ("10.0.0.1\nx", None),
        ("fe80::1%eth0 login_succeeded", None),
        ("[fe80::1%x]:1", None),
        ("10.0.0.1:", None),
        ("10.0.0.1:x", None),
        ("10.0.0.1:123456", None),
        ("[10.0.0.1:80", None),
        ("2001:db8::1:", None),
        ("１.2.3.4", None),
        ("1.2.3.4:٣", None),
        ("01.2.3.4", None),
        ("a" * 100_000, None),
    ],
)
def test_only_an_address_is_an_address(text: str, address: str | None) -> None:
    found = read_address(text)
    assert (str(found) if found else None) == address


def scope(client: Any, *hops: str) -> dict[str, Any]:
    return {"client": client, "headers": [(b"x-forwarded-for", hop.encode("latin-1")) for hop in hops]}


@pytest.mark.parametrize(
    ("client", "hops", "trusted", "expected"),
    [
        # Nobody is named: the peer of the connection, unless the server has put a hop in its place.
        (("203.0.113.9", 5), [], [], "203.0.113.9"),
        (("203.0.113.9", 5), ["198.51.100.1"], [], "203.0.113.9"),
        (("1.2.3.4", 1), ["1.2.3.4:1"], [], "forwarded"),
        (("1.2.3.4", 0), ["1.2.3.4"], [], "forwarded"),
        (("1.2.3.4", 7), ["9.9.9.9, 1.2.3.4:7"], [], "forwarded"),
        (("2001:db8::1", 7), ["[2001:db8::1]:7"], [], "forwarded"),
        (("any text", 1), ["any text:1"], [], "forwarded"),
        (("10.0.0.1 reason=none login_succeeded", 1), ["10.0.0.1 reason=none login_succeeded:1"], [], "forwarded"),
        (("x", 1), ["\xa0x:1"], [], "forwarded"),
        (("::ffff:203.0.113.9", 5), [], [], "203.0.113.9"),
        (("fe80::1%eth0", 5), [], [], "fe80::1"),
        (("testclient", 50000), [], [], ""),
        # Named proxies.
        (("::ffff:10.0.0.5", 5), ["203.0.113.9"], ["10.0.0.0/8"], "203.0.113.9"),
        (("10.0.0.5", 5), ["203.0.113.7:4711"], ["10.0.0.0/8"], "203.0.113.7"),
        (("10.0.0.5", 5), ["1.1.1.1", "[2001:db8::1]:80"], ["10.0.0.0/8"], "2001:db8::1"),
        (("10.0.0.5", 5), ["1.1.1.1, 203.0.113.9, ::ffff:10.0.0.6"], ["10.0.0.0/8"], "203.0.113.9"),
        (("10.0.0.5", 5), ["10.0.0.5, 203.0.113.9"], ["10.0.0.0/8"], "203.0.113.9"),
        (("10.0.0.5", 5), ["203.0.113.9, any text"], ["10.0.0.0/8"], "10.0.0.5"),
        (("203.0.113.9", 5), ["198.51.100.1"], ["10.0.0.0/8"], "203.0.113.9"),
        # uvicorn has read the header: its own machine is a named proxy, or else nobody knows who wrote it.
        (("203.0.113.9", 0), ["1.1.1.1, 203.0.113.9"], ["127.0.0.1"], "203.0.113.9"),
        (("1.1.1.1", 0), ["1.1.1.1, 203.0.113.9"], ["127.0.0.1"], "forwarded"),
        (("1.1.1.1", 1), ["1.1.1.1:1"], ["10.0.0.0/8"], "forwarded"),
        (("10.0.0.5", 1), ["1.1.1.1, 10.0.0.5:1"], ["10.0.0.0/8"], "forwarded"),
        (("any text", 1), ["any text:1"], ["10.0.0.0/8"], "forwarded"),
    ],
)
def test_whose_address_counts(client: Any, hops: list[str], trusted: list[str], expected: str) -> None:
    assert peer_address(scope(client, *hops), read_proxies(trusted)) == expected


def test_visitors_cannot_choose_their_address_behind_an_unnamed_proxy() -> None:
    """uvicorn as it comes believes X-Forwarded-For of its own machine, and nginx as it comes passes it on."""
    heard = RecordingListener()
    server = make_server(attempt_limits={"login_account": None}, event_listeners=[heard], site_url=LOCALHOST)
    with as_users_run_it(server.app) as url, Client(url) as client:
        token = client.token()
        seen = set()
        for n in range(120):
            forged = f"10.9.8.{n} reason=none login_succeeded userid=1:1" if n % 2 else f"10.9.8.{n}:1"
            answer = client.post(
                "/api/login",
                json={"username": f"u{n}", "password": "x"},
                headers={CSRF: token, "X-Forwarded-For": forged},
            )
            seen.add(answer.status_code)
        assert seen == {401, 429}
    assert {event.address for event in heard.events} == {"forwarded"}


def test_no_text_of_a_visitor_gets_into_log_and_audit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = make_server(
        is_admin_fn=lambda user: True, enable_admin_endpoints=True, audit_storage=InMemoryAuditStorage(), site_url=LOCALHOST
    )  # fmt: skip
    with as_users_run_it(server.app) as url, Client(url) as client:
        client.sign_up()
        forged = {"X-Forwarded-For": "10.0.0.1 reason=none login_succeeded userid=1:1"}
        client.post("/api/login", json={"username": "x", "password": "y"}, headers={CSRF: client.token(), **forged})
        client.call("/api/logout")
        client.post(
            "/api/login", json={"username": "alice", "password": PASSWORD}, headers={CSRF: client.token(), **forged}
        )
        events = client.get("/admin/api/audit").json()["events"]
    assert {event["address"] for event in events} <= {"127.0.0.1", "forwarded"}
    assert not any(
        "10.0.0.1" in record.getMessage() for record in caplog.records if record.name.startswith("crossauth")
    )


def test_an_unnamed_proxy_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with as_users_run_it(make_server(site_url=LOCALHOST).app, proxy_headers=False) as url, Client(url) as client:
        client.log_in()
        assert "trusted_proxies" not in caplog.text
        for _ in range(3):
            client.post(
                "/api/login", json={"username": "x", "password": "y"},
                headers={CSRF: client.token(), "X-Forwarded-For": "203.0.113.9"},
            )  # fmt: skip
    warnings = [r for r in caplog.records if "trusted_proxies" in r.message]
    assert len(warnings) == 1
    assert warnings[0].levelno == logging.WARNING


def cookies_of(url: str, **headers: str) -> set[str]:
    with Client(url) as client:
        answer = client.get("/api/getcsrftoken", headers=headers)
        return {c.partition("=")[0] for c in answer.headers.get_list("set-cookie")}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.9:1"}, {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "shop.example"}, {"Forwarded": "for=203.0.113.9"}, {"Via": "1.1 proxy"},
        {"X-Forwarded-For": ""}, {"Connection": "close"}, {"Origin": "https://shop.example"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("proxy_headers", [True, False])
def test_behind_a_proxy_that_nobody_configured_cookies_are_secure(
    headers: dict[str, str], proxy_headers: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with as_users_run_it(make_server().app, proxy_headers=proxy_headers) as url:
        assert cookies_of(url) == {"CSRFTOKEN"}, "on localhost itself development works"
        assert "site_url" not in caplog.text
        assert cookies_of(url, **headers) == {"__Host-CSRFTOKEN"}
        assert cookies_of(url, **headers) == {"__Host-CSRFTOKEN"}
    if headers != {"X-Forwarded-Proto": "https"} or not proxy_headers:
        assert len([r for r in caplog.records if "site_url" in r.message]) == 1, "and the log says what to set"


def test_nginx_as_it_comes_speaks_http_1_0_and_gets_secure_cookies() -> None:
    with as_users_run_it(make_server().app) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as s:
            s.sendall(f"GET /api/getcsrftoken HTTP/1.0\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: s.recv(65536), b""))
    assert b"set-cookie: __Host-CSRFTOKEN=" in answer.lower().replace(b"__host-csrftoken", b"__Host-CSRFTOKEN")


@pytest.mark.parametrize("client", [("192.168.1.5", 1), ("172.17.0.1", 1), ("::ffff:192.168.1.5", 1)])
def test_localhost_is_believed_of_this_machine_only(client: tuple[str, int]) -> None:
    test_client = TestClient(make_server().app, base_url="http://localhost", client=client)
    assert "__Host-CSRFTOKEN" in test_client.get("/api/getcsrftoken").headers["set-cookie"]


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("::1", 1), ("::ffff:127.0.0.1", 1), ("testclient", 50000)])
@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "app.localhost"])
def test_localhost_of_this_machine_is_localhost(client: tuple[str, int], host: str) -> None:
    test_client = TestClient(make_server().app, base_url=f"http://{host}", client=client)
    assert test_client.get("/api/getcsrftoken").headers["set-cookie"].startswith("CSRFTOKEN=")


def test_site_url_decides_where_it_is_set() -> None:
    with as_users_run_it(make_server(site_url="http://localhost:8000").app) as url:
        assert cookies_of(url, **{"X-Forwarded-For": "203.0.113.9"}) == {"CSRFTOKEN"}
    with as_users_run_it(make_server(site_url="https://shop.example").app) as url:
        assert cookies_of(url) == {"__Host-CSRFTOKEN"}


@pytest.fixture
def shop() -> Any:
    """An application behind a proxy that ends TLS, as the docs say."""
    server = make_server(trusted_proxies=["127.0.0.1"], site_url="https://shop.test")

    @server.app.get("/orders")
    async def orders(request: Request) -> dict[str, str]:
        return {"url": str(request.url_for("orders")), "scheme": request.url.scheme}

    @server.app.websocket("/live")
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(str(websocket.url))
        await websocket.close()

    return server.app


BEHIND = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.test", "X-Forwarded-For": "203.0.113.9"}


@pytest.mark.parametrize("proxy_headers", [True, False])
def test_urls_behind_a_named_proxy_are_those_of_the_browser(shop: Any, proxy_headers: bool) -> None:
    with as_users_run_it(shop, proxy_headers=proxy_headers) as url, Client(url) as client:
        assert client.get("/orders/", headers=BEHIND).headers["location"] == "https://shop.test/orders"
        assert client.get("/orders", headers=BEHIND).json() == {"url": "https://shop.test/orders", "scheme": "https"}


def test_web_sockets_behind_a_named_proxy_have_the_browsers_scheme(shop: Any) -> None:
    client = TestClient(shop, client=("127.0.0.1", 5))
    with client.websocket_connect("/live", headers=BEHIND) as live:
        assert live.receive_text() == "wss://shop.test/live"


def test_scheme_and_host_of_an_unnamed_proxy_are_not_believed(shop: Any) -> None:
    stranger = TestClient(shop, base_url="http://real.test", client=("203.0.113.77", 5))
    assert stranger.get("/orders", headers=BEHIND).json() == {"url": "http://real.test/orders", "scheme": "http"}
    # A visitor who says his own address as a hop is still no proxy.
    forged = {**BEHIND, "X-Forwarded-For": "203.0.113.77, 127.0.0.1"}
    assert stranger.get("/orders", headers={**forged, "X-Forwarded-For": "1.1.1.1"}).json()["scheme"] == "http"
    none = TestClient(make_server().app, base_url="http://real.test", client=("127.0.0.1", 5))
    assert "http://real.test" in none.get("/me/", headers=BEHIND, follow_redirects=False).headers["location"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-forwarded-host", "evil.test/path"), ("x-forwarded-host", "evil.test\r\nX: y"), ("x-forwarded-host", "a b"),
        ("x-forwarded-host", "user@evil.test"), ("x-forwarded-host", ""), ("x-forwarded-proto", "javascript"),
        ("x-forwarded-proto", ""),
    ],
)  # fmt: skip
def test_what_is_no_scheme_or_host_is_left_alone(name: str, value: str) -> None:
    headers = [(b"host", b"real.test"), (name.encode(), value.encode())]
    provided = {"client": ("10.0.0.5", 5), "scheme": "http", "headers": headers}
    believe_proxies(provided, read_proxies(["10.0.0.0/8"]))
    assert (provided["scheme"], dict(provided["headers"])[b"host"]) == ("http", b"real.test")


def test_of_a_list_the_nearest_proxy_counts() -> None:
    headers = [
        (b"host", b"inner"),
        (b"x-forwarded-proto", b"http, https"),
        (b"x-forwarded-host", b"forged.test, shop.test"),
    ]
    provided = {"client": ("10.0.0.5", 5), "scheme": "http", "headers": headers}
    believe_proxies(provided, read_proxies(["10.0.0.0/8"]))
    assert (provided["scheme"], dict(provided["headers"])[b"host"]) == ("https", b"shop.test")


def test_a_test_client_on_plain_http_is_told_why_every_form_fails(caplog: pytest.LogCaptureFixture) -> None:
    """`TestClient(app)` speaks to http://testserver, and drops Secure cookies as a browser does."""
    client = TestClient(make_server().app)
    token = client.get("/api/getcsrftoken").json()["csrfToken"]
    for _ in range(2):
        refused = client.post(
            "/api/signup", json={"username": "alice", "password": PASSWORD}, headers={CSRF: token}
        ).json()
        assert refused["errorCodeName"] == "InvalidCsrf"
        for word in ("http://testserver", "https", "http://localhost", "secure=False"):
            assert word in refused["errorMessage"]
    assert len([r for r in caplog.records if "secure=False" in r.message and r.levelno == logging.WARNING]) == 1
    page = client.post("/login", data={"username": "alice", "password": "x", "csrfToken": token})
    assert "http://localhost" in page.text
    for base in ("https://testserver", "http://localhost"):
        working = TestClient(make_server().app, base_url=base)
        token = working.get("/api/getcsrftoken").json()["csrfToken"]
        answer = working.post("/api/signup", json={"username": "alice", "password": PASSWORD}, headers={CSRF: token})
        assert answer.status_code == 200


def test_where_a_proxy_says_https_plain_http_is_not_blamed() -> None:
    refused = TestClient(make_server().app, base_url="http://shop.test").post(
        "/api/login", json={}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "secure=False" not in refused.text
    assert "llow cookies" in refused.text


def test_a_request_that_is_not_believed_to_be_local_is_told_to_set_site_url() -> None:
    client = TestClient(make_server().app, base_url="http://localhost:8000", client=("172.17.0.1", 5))
    assert "site_url" in client.post("/api/login", json={}).json()["errorMessage"]


def test_plain_http_by_name_is_not_blamed() -> None:
    weak = {"secure": False}
    server = make_server(session_cookie_options=weak, double_submit_cookie_options=weak)
    client = TestClient(server.app)
    assert "secure=False" not in client.post("/api/login", json={}).json()["errorMessage"]


@pytest.mark.parametrize("host", ["evil.test/<script>", "a b", "x" * 500])
def test_no_host_that_is_none_gets_into_the_text(host: str) -> None:
    refused = TestClient(make_server().app).post("/api/login", json={}, headers={"Host": host}).json()
    assert host not in refused["errorMessage"]
    assert "http://…" in refused["errorMessage"]


def test_without_any_cookie_the_refusal_says_that_cookies_are_needed() -> None:
    """Switched off in the browser, or not kept by a script: reloading the page cannot help."""
    server = make_server(site_url="https://shop.test")
    client = TestClient(server.app, base_url="https://shop.test")
    for path in ("/api/login", "/login"):
        refused = client.post(path, data={"username": "alice", "password": PASSWORD})
        assert re.search(r"[Aa]llow cookies", refused.text)
    client.get("/api/getcsrftoken")
    assert "llow cookies" not in client.post("/api/login", json={}).text

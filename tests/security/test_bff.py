"""The backend-for-frontend: paths, headers, pages by which somebody would reach more of the API, or the site, than is meant."""

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from crossauth_backend import CrossauthError, InMemoryKeyStorage
from crossauth_backend.events.listeners import Events
from crossauth_backend.limits.leases import LeasedLimit
from crossauth_backend.limits.rules import Limit
from crossauth_fastapi._oauth_client.bff.access import Allowance
from tests.bff import Api, Site, open_site, sent
from tests.deployments import DEPLOYMENTS, Deployment
from tests.services.uvicorn import serve
from tests.support import CSRF, Client

World = tuple[Client, Api, Site]
PROXIED = {
    "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil.test", "X-Forwarded-User": "admin", "Forwarded": "for=6.6.6.6",
    "X-Real-IP": "6.6.6.6", "X-Original-URL": "/v1/secret", "X-Rewrite-URL": "/v1/secret", "X-HTTP-Method-Override": "DELETE",
    "X_Forwarded_For": "6.6.6.6", "Content_Length": "5", "Authorization": "Bearer mine", "Proxy-Authorization": "Basic eA==",
    "X_Authorization": "Bearer mine", "Remote-User": "admin", "CF-Connecting-IP": "6.6.6.6", "Sec-Fetch-Mode": "cors",
    "Referer": "https://site.test/page?code=secret", "Cookie2": "$Version=1", "DPoP": "x", "TE": "trailers", "Via": "1.1 x",
    "Proxy": "http://evil.test", "Client-Cert": ":eA==:", "Client-Cert-Chain": ":eA==:", "Remote-Groups": "admins",
    "SSL-Client-S-DN": "CN=admin", "X-Auth-Request-Email": "admin@site.test", "X-Authenticated-Userid": "admin",
    "X-Client-Cert": "x", "X-Consumer-Username": "admin", "X-Goog-Authenticated-User-Email": "admin@site.test",
    "X-MS-CLIENT-PRINCIPAL-NAME": "admin", "X-WEBAUTH-USER": "admin", "X-ARR-ClientCert": "x",
}  # fmt: skip
OF_THIS_SITE = {
    "Set-Cookie": "SESSIONID=planted; Path=/", "Clear-Site-Data": '"cookies"', "Service-Worker-Allowed": "/",
    "Refresh": "0; url=https://evil.test", "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true",
    "Content-Security-Policy": "script-src *", "X-Frame-Options": "ALLOWALL", "Strict-Transport-Security": "max-age=0",
    "X-Accel-Redirect": "/etc/passwd", "X-Sendfile": "/etc/passwd", "X-Sendfile2": "/etc/passwd 0-",
    "X-LIGHTTPD-send-tempfile": "/etc/passwd", "X-REPROXY-FILE": "/etc/passwd", "X-LiteSpeed-Purge": "*",
    "NEL": "{}", "Report-To": "{}", "Set-Login": "logged-in",
    "Sec-Session-Registration": '(ES256);path="/"', "Cross-Origin-Opener-Policy": "unsafe-none", "SourceMap": "/x",
    "CDN-Cache-Control": "public, max-age=900", "Surrogate-Control": "max-age=900", "X-CROSSAUTH-CSRF": "planted",
    "WWW-Authenticate": 'Basic realm="Log in"', "Timing-Allow-Origin": "*", "Content-Location": "https://evil.test/",
    "Proxy-Authenticate": "Basic", "Speculation-Rules": '"/x"', "Referrer-Policy": "unsafe-url", "Alt-Svc": 'h3="evil:1"',
}  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with open_site() as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    client, api, site = shared
    api.seen.clear()
    api.answer = (200, [], b"")
    return client, api, site


def asked(client: Client, target: str, *headers: str, method: str = "GET") -> bytes:
    """The answer to a request whose target is sent as it is written here."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    lines = (
        f"{method} {target} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Cookie: {cookies}",
        "Connection: close",
        *headers,
        "",
        "",
    )
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "/../secret", "/./../secret", "/a/../../secret", "/%2e%2e/secret", "/%2E%2E/secret", "/.%2e/secret", "/..%2fsecret",
        "/..%5csecret", "/%2e%2e%2fsecret", "/a%2f..%2f..%2fsecret", "/%252e%252e/secret", "/..%252fsecret",
        "/%25252e%25252e/secret",
        "/..;/secret", "/..;x=1/secret", "/%2e%2e;/secret", "/%2e%2e%3b/secret", "/a%00", "/a%0d%0aX-Own:%201",
        "/%c0%ae%c0%ae/secret",
        "/%c0%af..%c0%afsecret", "/%ef%bc%8e%ef%bc%8e/secret", "//secret", "/a//b", "/\\..\\secret", "/a\\b", "/..%20/secret",
        "/%",
        "/%zz", "/%2", "/...", "/a%ef%bc%8f..", "/%uff0e%uff0e/secret", "/a%5c..%5csecret", "/a\xe4", "/a|b", '/a"b', "/a<b>",
    ],
)  # fmt: skip
def test_paths_that_leave_what_is_offered(world: World, path: str) -> None:
    client, api, _ = world
    answer = asked(client, f"/bff/echo{path}")
    assert answer.split(b" ", 2)[1] in (b"400", b"404"), answer
    assert api.seen == [], "nothing of it was passed on"


def test_paths_in_another_form_are_not_what_is_offered(world: World) -> None:
    client, api, _ = world
    for path in (
        "/bff/%65cho",
        "/b%66f/echo",
        "/bff%2fecho",
        "/bff/echo%2f",
        "/BFF/echo",
        "/bff//echo",
        "//bff/echo",
        "/bff/echo/%2e",
    ):
        assert asked(client, path).split(b" ", 2)[1] in (b"400", b"404"), path
    assert asked(client, "http://evil.test/bff/echo").split(b" ", 2)[1] in (b"200", b"400", b"404")
    assert all(seen["path"] == "/v1/echo" for seen in api.seen)


def test_harmless_paths_are_passed_on_as_they_are(world: World) -> None:
    client, api, _ = world
    for path in (
        "/a/b/",
        "/a%20b",
        "/100%25",
        "/%C3%A4",
        "/.well-known",
        "/a..b",
        "/a;v=1",
        "/x:y@z!$&'()*+,=~",
        "/%41",
    ):
        assert asked(client, f"/bff/echo{path}").startswith(b"HTTP/1.1 200 "), path
        assert api.seen[-1]["path"] == f"/v1/echo{path}"


@pytest.mark.parametrize("query", ["?a b", "?\xe4", "?a\tb", "?a\x00b", "?" + "x" * 20_000])
def test_queries_that_are_none(world: World, query: str) -> None:
    client, api, _ = world
    answer = asked(client, f"/bff/echo{query}")
    assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"414", b"431")
    assert api.seen == []


def test_a_browser_is_not_taken_for_a_proxy_nor_for_somebody_else(world: World) -> None:
    client, _, _ = world
    answer = asked(client, "/bff/echo", *(f"{name}: {value}" for name, value in PROXIED.items()))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    headers = dict(json.loads(answer.partition(b"\r\n\r\n")[2])["headers"])
    assert headers.pop("authorization").startswith("Bearer token-")
    assert set(headers) <= {"host", "accept", "connection"}, headers


def test_what_a_connection_header_names_goes_no_further(world: World) -> None:
    client, api, _ = world
    answer = asked(client, "/bff/echo", "Connection: X-One, Authorization, Content-Length", "X-One: 1", "X-Two: 2")
    headers = dict(json.loads(answer.partition(b"\r\n\r\n")[2])["headers"])
    assert "x-one" not in headers
    assert headers["x-two"] == "2"
    assert headers["authorization"].startswith("Bearer token-"), "that is ours"
    api.answer = (
        200,
        [(b"connection", b"x-inner, x-content-type-options"), (b"x-inner", b"1"), (b"x-outer", b"1")],
        b"",
    )
    returned = client.get("/bff/answer").headers
    assert ("x-inner" in returned, returned["x-outer"], returned["x-content-type-options"]) == (False, "1", "nosniff")


def test_an_api_says_nothing_about_this_site(world: World) -> None:
    client, api, _ = world
    api.answer = (
        200,
        [(n.lower().encode(), v.encode()) for n, v in OF_THIS_SITE.items()] + [(b"x-fine", b"1")],
        b"data",
    )
    cookies = dict(client.cookies)
    answer = client.get("/bff/answer")
    assert answer.headers["x-fine"] == "1"
    for name, value in OF_THIS_SITE.items():
        assert value not in answer.headers.get_list(name), name
    assert dict(client.cookies) == cookies
    assert "cookie" not in sent(client.get("/bff/echo")), "nor are its cookies kept for the next one"


@pytest.mark.parametrize(
    "kind", [b"text/html", b"image/svg+xml", b"text/javascript", b"application/xhtml+xml", b"text/xml", b""]
)
def test_what_the_api_sends_is_no_page_and_no_script_of_this_site(world: World, kind: bytes) -> None:
    client, api, _ = world
    api.answer = (200, [(b"content-type", kind)] if kind else [], b"<script>alert(1)</script>")
    headers = client.get("/bff/answer").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-security-policy"].endswith("sandbox")
    for destination in ("script", "serviceworker", "worker", "style", "sharedworker", "xslt"):
        same = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": destination}
        assert client.get("/bff/answer", headers=same).status_code == 403


def test_what_is_not_modified_keeps_what_was_said_of_it(world: World) -> None:
    client, api, _ = world
    # Of the same bytes, kept as a page: with these headers it would leave the sandbox.
    api.answer = (304, [(b"content-type", b"application/pdf"), (b"etag", b'"1"')], b"")
    headers = client.get("/bff/answer", headers={"If-None-Match": '"1"'}).headers
    assert headers["etag"] == '"1"'
    assert not {"content-type", "content-security-policy"} & set(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.test"}, {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "image"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_pages_of_other_sites_have_nothing_passed_on(world: World, headers: dict[str, str], method: str) -> None:
    client, api, _ = world
    with_token = {CSRF: client.token()} if method == "POST" else {}
    assert client.request(method, "/bff/echo", headers=headers | with_token).status_code == 403
    assert api.seen == []


def test_a_csrf_token_counts_in_the_header_only(world: World) -> None:
    client, api, _ = world
    token = client.token()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        tries = (
            client.request(method, "/bff/echo"),
            client.request(method, "/bff/echo", data={"csrfToken": token}),
            client.request(method, "/bff/echo", json={"csrfToken": token}),
            client.request(method, "/bff/echo", headers={CSRF: "wrong"}, data={"csrfToken": token}),
            client.request(method, f"/bff/echo?csrfToken={token}"),
        )
        assert [(a.status_code, a.json()["error_code_name"]) for a in tries] == [(403, "InvalidCsrf")] * 5
    assert api.seen == []


def test_another_credential_beside_the_cookie_does_not_replace_the_token(world: World) -> None:
    client, api, _ = world
    for credential in ("Bearer x", "ApiKey x", "Basic eDp4"):
        assert client.post("/bff/echo", headers={"Authorization": credential}).status_code == 403
    assert api.seen == []


def test_a_request_cannot_hide_another_one(world: World) -> None:
    client, api, _ = world
    token = client.token()
    hidden = "GET /v1/secret HTTP/1.1\r\nHost: x\r\n\r\n"
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"POST /bff/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n{CSRF}: {token}\r\n"
    chunk = f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n"
    for framing, body in (
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunk),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunk),
        ("Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n", chunk),
        ("Content_Length: 4\r\nTransfer-Encoding: chunked\r\n", chunk),
        ("Content-Length: 4\r\nContent-Length: 400\r\n", "abcd"),
    ):
        with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=10) as connection:
            connection.settimeout(0.5)
            connection.sendall((head + framing + "\r\n" + body).encode())
            with contextlib.suppress(TimeoutError):
                connection.recv(65_536)
        client.get("/bff/read")
    assert all(seen["path"] in ("/v1/echo", "/v1/read") for seen in api.seen), api.seen


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/v1/echo/new?x=1#part", "/bff/echo/new?x=1#part"), ("BASE/v1/echo", "/bff/echo"), ("echo/7", "/bff/echo/7"),
        ("?page=2", "/bff/answer?page=2"), ("/v1/secret", None), ("/v2/echo", None), ("https://evil.test/v1/echo", None),
        ("//evil.test/v1/echo", None), ("/v1/echo/../secret", None), ("/v1/echo/%2e%2e/secret", None), ("\\\\evil.test", None),
        ("javascript:alert(1)", None), ("http://user@HOST/v1/echo", None), ("BASE.evil.test/v1/echo", None),
        ("/v1/echo\t/x", None),
        ("http://[", None), ("data:text/html,x", None), ("/v1/echox", None), ("", "/bff/answer"), ("/v1", None),
    ],
)  # fmt: skip
def test_redirects_stay_where_they_are_offered(world: World, location: str, shown: str | None) -> None:
    client, api, _ = world
    base = str(sent(client.get("/bff/echo"))["host"])
    text = location.replace("BASE", f"http://{base}").replace("HOST", base)
    for status in (301, 302, 303, 307, 308):
        api.answer = (status, [(b"location", text.encode())], b"moved")
        answer = client.get("/bff/answer")
        if shown is None:
            assert (answer.status_code, "location" in answer.headers) == (502, False)
            assert "evil" not in answer.text
        else:
            assert (answer.status_code, answer.headers["location"]) == (status, shown)
    api.answer = (201, [(b"location", text.encode())], b"made")
    made = client.get("/bff/answer")
    assert (made.status_code, made.headers.get("location")) == (201, shown)


def test_a_redirect_is_not_followed_here(world: World) -> None:
    client, api, _ = world
    api.answer = (302, [(b"location", b"/v1/secret")], b"")
    client.get("/bff/answer")
    assert [seen["path"] for seen in api.seen] == ["/v1/answer"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment.name)
def test_wherever_the_application_is_the_path_is_the_one_that_was_sent(deployment: Deployment) -> None:
    api = Api()
    # The lifespan of a mounted application does not run: nothing would close connections that are kept.
    with serve(api.app, headers=[("connection", "close")]) as api_url:
        site = Site(api_url, app=deployment.new_app())

        @site.server.app.get("/close")
        async def close() -> None:
            await site.client.close()

        with deployment.open(site.server.app) as visitor:
            fields = {"username": "alice", "password": "Correct1horse", "repeat_password": "Correct1horse"}
            token = visitor.get(f"{visitor.root}/api/getcsrftoken").json()["csrfToken"]
            visitor.send("POST", f"{visitor.root}/api/signup", json=fields, headers={CSRF: token})
            answer = visitor.get(f"{visitor.root}/bff/echo/a%20b")
            assert (answer.status_code, answer.json()["path"]) == (200, "/v1/echo/a%20b"), answer.text
            assert visitor.get(f"{visitor.root}/bff/echo/%2e%2e/secret").status_code in (400, 404)
            api.answer = (302, [(b"location", b"/v1/echo")], b"")
            assert visitor.get(f"{visitor.root}/bff/answer").headers["location"] == f"{visitor.root}/bff/echo"
            assert visitor.get(f"{visitor.root}/close").status_code == 200


def test_a_session_has_so_many_requests_passed_on() -> None:
    allowance = Allowance(LeasedLimit(InMemoryKeyStorage(), "bff"), Limit(3, 3600), Events(()))
    with open_site(allowance=allowance) as (client, api, _):
        assert [client.get("/bff/echo").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert int(client.get("/bff/echo").headers["retry-after"]) > 0
        assert len(api.seen) == 3
        with Client(str(client.base_url)) as other:
            other.log_in()
            assert other.get("/bff/echo").status_code == 200, "the limit is of the other session"


def test_what_goes_wrong_says_nothing_of_the_token(world: World, caplog: pytest.LogCaptureFixture) -> None:
    client, api, site = world
    caplog.set_level("DEBUG")
    site.tokens.error = CrossauthError.from_oauth_error("temporarily_unavailable")
    try:
        assert client.get("/bff/echo").status_code == 503
    finally:
        site.tokens.error = None
    api.answer = (999, [], b"")
    texts = [client.get("/bff/answer").text, client.get("/bff/echo/%2e%2e").text, caplog.text]
    assert not [text for text in texts if "token-1" in text]

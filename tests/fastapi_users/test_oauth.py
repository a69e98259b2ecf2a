"""Logging in with, linking and unlinking accounts at a real OpenID provider, and what must not work."""

import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from httpx_oauth.clients.openid import OpenID
from httpx_oauth.exceptions import GetIdEmailError
from httpx_oauth.oauth2 import GetAccessTokenError

from crossauth_backend import CrossauthError
from crossauth_fastapi.fastapi_users.router.oauth import generate_state_token
from tests.fastapi_users.app import SECRET, UserRead
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.services.oidc import CLIENT_ID, CLIENT_SECRET, OidcProvider, oidc_provider

LOGIN, COOKIE, LINK, FRONT = "/oauth/login", "/oauth/cookie", "/oauth/link", "/oauth/front"
BACK = "http://app.test"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider(*(f"{BACK}{path}/callback" for path in (LOGIN, COOKIE, LINK, FRONT))) as provider:
        yield provider


@contextmanager
def open_oauth(folder: Any, client: Any, back: str = BACK, **options: Any) -> Iterator[Api]:
    """The application with OAuth: by bearer, by cookie, with a redirect to a front end, and for linking."""
    with open_site(folder, site_url=back) as api:
        site = api.site
        for path, backend, more in (
            (LOGIN, site.jwt, options), (COOKIE, site.cookie, {}),
            (FRONT, site.cookie, {"login_redirect_url": "https://front.test/in?x=1"}),
        ):  # fmt: skip
            more = {"redirect_url": f"{back}{path}/callback", **more}
            site.app.include_router(site.users.get_oauth_router(client, backend, SECRET, **more), prefix=path)
        link = site.users.get_oauth_associate_router(client, UserRead, SECRET, f"{back}{LINK}/callback")
        site.app.include_router(link, prefix=LINK)
        yield api


@pytest.fixture
def client(provider: OidcProvider) -> Any:
    url = f"{provider.url}/.well-known/openid-configuration"
    return OpenID(CLIENT_ID, CLIENT_SECRET, url, name="castle", base_scopes=["openid", "email"])


@pytest.fixture
def api(tmp_path: Any, client: Any) -> Iterator[Api]:
    with open_oauth(tmp_path, client) as api:
        yield api


class Flow:
    """One user's way to the provider and back."""

    def __init__(self, api: Api, path: str = LOGIN, headers: dict[str, str] | None = None) -> None:
        self.api, self.path, self.headers = api, path, headers or {}
        answer = api.get(f"{path}/authorize", headers=self.headers)
        assert answer.status_code == 200, answer.text
        self.url = answer.json()["authorization_url"]
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}
        self.set_cookie = answer.headers["set-cookie"]
        self.cookie = self.set_cookie.partition(";")[0]

    def sign_in(self, provider: OidcProvider, name: str = "arthur") -> "Flow":
        back = urlsplit(provider.sign_in(self.url, name))
        assert back.netloc == urlsplit(BACK).netloc
        self.given = {name: values[0] for name, values in parse_qs(back.query).items()}
        return self

    def come_back(self, path: str | None = None, cookie: str | None = None, **changed: str) -> httpx2.Response:
        cookies = "; ".join(c for c in (self.headers.get("Cookie"), self.cookie if cookie is None else cookie) if c)
        query = {**getattr(self, "given", {}), **changed}
        return self.api.get(
            f"{path or self.path}/callback",
            params=query,
            headers={**self.headers, "Cookie": cookies.encode("latin-1")},  # type: ignore[dict-item]
        )


def bearer(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_new_user(api: Api, provider: OidcProvider) -> None:
    flow = Flow(api).sign_in(provider)
    assert flow.asked["response_type"] == "code"
    assert (flow.asked["scope"], flow.asked["code_challenge_method"]) == ("openid email", "S256")
    assert flow.set_cookie.partition("; ")[2] == "HttpOnly; Max-Age=3600; Path=/; SameSite=lax; Secure"
    assert flow.cookie.startswith("fastapiusersoauthcsrf=")
    assert len(flow.cookie.partition("=")[2]) == 43
    answer = flow.come_back()
    assert 'fastapiusersoauthcsrf=""; HttpOnly; Max-Age=0' in answer.headers["set-cookie"]
    me = api.get("/users/me", headers=bearer(answer)).json()
    assert (me["email"], me["is_verified"]) == ("arthur@example.com", False)
    linked = me["oauth_accounts"][0]
    assert (linked["oauth_name"], linked["account_id"], linked["account_email"]) == ("castle", "arthur", me["email"])
    assert [call[0] for call in api.site.calls] == ["register", "login"]


def test_a_known_account(api: Api, provider: OidcProvider) -> None:
    first = Flow(api).sign_in(provider).come_back()
    old = api.get("/users/me", headers=bearer(first)).json()
    new = api.get("/users/me", headers=bearer(Flow(api).sign_in(provider).come_back())).json()
    assert new["id"] == old["id"]
    assert len(new["oauth_accounts"]) == 1
    assert new["oauth_accounts"][0]["access_token"] != old["oauth_accounts"][0]["access_token"]


def test_by_cookie_and_with_a_redirect(api: Api, provider: OidcProvider) -> None:
    answer = Flow(api, COOKIE).sign_in(provider).come_back()
    assert answer.status_code == 204
    assert any(c.startswith("fastapiusersauth=") for c in answer.headers.get_list("set-cookie"))
    flow = Flow(api, FRONT).sign_in(provider)
    answer = flow.come_back()
    assert (answer.status_code, answer.headers["location"]) == (303, "https://front.test/in?x=1")
    cookies = answer.headers.get_list("set-cookie")
    session = next(c for c in cookies if c.startswith("fastapiusersauth="))
    assert any(c.startswith('fastapiusersoauthcsrf=""') for c in cookies)
    assert api.get("/hello", headers={"Cookie": session.partition(";")[0]}).status_code == 200
    again = flow.come_back()
    assert again.headers["location"] == "https://front.test/in?x=1&error=OAUTH_INVALID_STATE"
    assert not any(c.startswith("fastapiusersauth=") for c in again.headers.get_list("set-cookie"))


def test_scopes_that_are_asked_for(api: Api) -> None:
    url = api.get(f"{LOGIN}/authorize?scopes=openid&scopes=x").json()["authorization_url"]
    assert parse_qs(urlsplit(url).query)["scope"] == ["openid x"]


@pytest.mark.parametrize(
    ("name", "proven_here", "status"),
    [("arthur", True, 200), ("arthur", False, 400), ("unproven-arthur", True, 400), ("unproven-arthur", False, 400)],
)
def test_a_user_of_the_same_address(
    api: Api, provider: OidcProvider, name: str, proven_here: bool, status: int
) -> None:
    """Linked only where both sides have proven the address."""
    email = f"{name}@example.com"
    me = api.register(email).json()
    api.set(email, is_verified=int(proven_here))
    answer = Flow(api).sign_in(provider, name).come_back()
    assert answer.status_code == status, answer.text
    if status == 200:
        assert api.get("/users/me", headers=bearer(answer)).json()["id"] == me["id"]
        assert api.log_in(email).status_code == 400, "whose password it was is not known"
    else:
        assert detail(answer) == "OAUTH_USER_ALREADY_EXISTS"
        assert api.sql("SELECT * FROM oauth_account") == []


def test_never_linked_by_name(tmp_path: Any, client: Any, provider: OidcProvider) -> None:
    with open_oauth(tmp_path, client, associate_by_email=False) as api:
        api.register("arthur@example.com")
        api.set("arthur@example.com", is_verified=1)
        assert detail(Flow(api).sign_in(provider).come_back()) == "OAUTH_USER_ALREADY_EXISTS"


def test_pre_registered_password_survives_oauth_link(tmp_path: Any, client: Any, provider: OidcProvider) -> None:
    """Where linking is switched on by name, whoever registered another's address beforehand keeps nothing."""
    with open_oauth(tmp_path, client, associate_by_email=True) as api:
        api.register("arthur@example.com")
        attacker = [api.bearer("arthur@example.com"), api.cookie_login("arthur@example.com")]
        owner = bearer(Flow(api).sign_in(provider).come_back())
        assert api.get("/hello", headers=owner).status_code == 200
        assert detail(api.log_in("arthur@example.com")) == "LOGIN_BAD_CREDENTIALS"
        for header in attacker:
            assert api.get("/hello", headers=header).status_code == 401


def test_verified_by_default(tmp_path: Any, client: Any, provider: OidcProvider) -> None:
    with open_oauth(tmp_path, client, is_verified_by_default=True) as api:
        header = bearer(Flow(api).sign_in(provider).come_back())
        assert api.get("/users/me", headers=header).json()["is_verified"] is True


def test_an_inactive_user(api: Api, provider: OidcProvider) -> None:
    Flow(api).sign_in(provider).come_back()
    api.set("arthur@example.com", is_active=0)
    answer = Flow(api).sign_in(provider).come_back()
    assert (answer.status_code, detail(answer)) == (400, "LOGIN_BAD_CREDENTIALS")


def test_a_provider_that_gives_no_address(api: Api, provider: OidcProvider) -> None:
    answer = Flow(api).sign_in(provider, "nomail").come_back()
    assert answer.status_code == 400
    assert detail(answer) in ("OAUTH_NOT_AVAILABLE_EMAIL", "OAUTH_PROVIDER_ERROR")


def test_a_provider_that_refuses(api: Api, provider: OidcProvider) -> None:
    for query, response in (
        ({}, "Bad Request"), ({"error": "access_denied"}, "access_denied"),
        ({"error": "<script>"}, "OAUTH_PROVIDER_ERROR"), ({"error": "x" * 5000}, "OAUTH_PROVIDER_ERROR"),
    ):  # fmt: skip
        answer = api.get(f"{LOGIN}/callback", params=query)
        assert (answer.status_code, detail(answer)) == (400, response)
    answer = Flow(api).sign_in(provider).come_back(code="not the code")
    assert (answer.status_code, detail(answer)) == (400, "OAUTH_PROVIDER_ERROR")


def test_state_replay(api: Api, provider: OidcProvider) -> None:
    flow = Flow(api).sign_in(provider)
    with ThreadPoolExecutor(5) as pool:
        statuses = sorted(a.status_code for a in pool.map(lambda _: flow.come_back(), range(5)))
    assert statuses == [200] + [400] * 4
    assert detail(flow.come_back()) == "OAUTH_INVALID_STATE"


@pytest.mark.parametrize(
    "cookie", ["", "fastapiusersoauthcsrf=", "fastapiusersoauthcsrf=x", "fastapiusersoauthcsrf=\xe9"]
)
def test_cve_2025_68481_a_callback_in_another_browser(api: Api, provider: OidcProvider, cookie: str) -> None:
    flow, other = Flow(api).sign_in(provider), Flow(api)
    for wrong in (cookie, other.cookie):
        answer = flow.come_back(cookie=wrong or "a=b")
        assert (answer.status_code, detail(answer)) == (400, "OAUTH_INVALID_STATE")
    assert flow.come_back().status_code == 200, "nothing of it used the state up"


def test_cve_2025_14546_states_that_are_not_ours(api: Api, provider: OidcProvider) -> None:
    flow = Flow(api).sign_in(provider)
    csrf = flow.cookie.partition("=")[2]
    for state, response in (
        ("", "ACCESS_TOKEN_DECODE_ERROR"), ("x.y.z", "ACCESS_TOKEN_DECODE_ERROR"),
        (flow.given["state"][:-3], "ACCESS_TOKEN_DECODE_ERROR"),
        (generate_state_token({"csrftoken": csrf}, SECRET + "x"), "ACCESS_TOKEN_DECODE_ERROR"),
        (generate_state_token({"csrftoken": csrf}, SECRET, -1), "ACCESS_TOKEN_ALREADY_EXPIRED"),
        (generate_state_token({"csrftoken": csrf}, SECRET), "OAUTH_INVALID_STATE"),
        (generate_state_token({"csrftoken": [csrf]}, SECRET), "OAUTH_INVALID_STATE"),
        (api_token(api), "ACCESS_TOKEN_DECODE_ERROR"),
    ):  # fmt: skip
        answer = flow.come_back(state=state)
        assert (answer.status_code, detail(answer)) == (400, response)
    missing = api.get(f"{LOGIN}/callback", params={"code": flow.given["code"]}, headers={"Cookie": flow.cookie})
    assert (missing.status_code, detail(missing)) == (400, "ACCESS_TOKEN_DECODE_ERROR")


def api_token(api: Api) -> str:
    """A token of another purpose, signed with the same secret."""
    api.register("token@example.com")
    return api.bearer("token@example.com")["Authorization"].removeprefix("Bearer ")


def test_state_mixing(api: Api, provider: OidcProvider) -> None:
    """A state is for one provider, one backend and one purpose."""
    header = bearer(Flow(api).sign_in(provider).come_back())
    login, link = Flow(api).sign_in(provider), Flow(api, LINK, header).sign_in(provider)
    for flow, path in ((login, COOKIE), (login, LINK), (link, LOGIN)):
        flow.headers = header
        answer = flow.come_back(path)
        assert (answer.status_code, detail(answer)) == (400, "OAUTH_INVALID_STATE"), path
    stranger = {"csrftoken": login.cookie.partition("=")[2], "flow": "moat login jwt", "jti": "1"}
    assert detail(login.come_back(state=generate_state_token(stranger, SECRET))) == "OAUTH_INVALID_STATE"


def test_host_header(tmp_path: Any, client: Any) -> None:
    with open_site(tmp_path) as api:
        users, jwt = api.site.users, api.site.jwt
        api.site.app.include_router(users.get_oauth_router(client, jwt, SECRET), prefix="/bare")
        answer = api.get("/bare/authorize", headers={"Host": "evil.example"})
        assert (answer.status_code, detail(answer)) == (400, "OAUTH_REDIRECT_URL_NEEDED")
        local = api.get("/bare/authorize", headers={"Host": "localhost:8000"}).json()["authorization_url"]
        assert parse_qs(urlsplit(local).query)["redirect_uri"] == ["http://localhost:8000/bare/callback"]
    with open_site(tmp_path, site_url="https://castle.example/") as api:
        users, jwt = api.site.users, api.site.jwt
        api.site.app.include_router(users.get_oauth_router(client, jwt, SECRET), prefix="/bare")
        url = api.get("/bare/authorize", headers={"Host": "evil.example"}).json()["authorization_url"]
        assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["https://castle.example/bare/callback"]


def test_linking_and_unlinking(api: Api, provider: OidcProvider) -> None:
    me = api.register().json()
    header = api.bearer()
    assert api.get(f"{LINK}/authorize").status_code == 401
    assert api.get(f"{LINK}/callback").status_code == 401
    flow = Flow(api, LINK, header).sign_in(provider, "lancelot")
    linked = flow.come_back().json()
    assert [a["account_id"] for a in linked["oauth_accounts"]] == ["lancelot"]
    again = Flow(api, LINK, header).sign_in(provider, "lancelot").come_back().json()
    assert len(again["oauth_accounts"]) == 1, "linked twice is linked once"
    by_provider = bearer(Flow(api).sign_in(provider, "lancelot").come_back())
    assert api.get("/users/me", headers=by_provider).json()["id"] == me["id"]
    api.register("other@camelot.bt")
    other = api.bearer("other@camelot.bt")
    taken = Flow(api, LINK, other).sign_in(provider, "lancelot").come_back()
    assert (taken.status_code, detail(taken)) == (400, "OAUTH_USER_ALREADY_EXISTS")
    assert api.delete(f"{LINK}/linked/lancelot", headers=other).status_code == 404
    assert api.delete(f"{LINK}/linked/lancelot").status_code == 401
    assert api.delete(f"{LINK}/linked/lancelot", headers=header).status_code == 204
    assert detail(api.delete(f"{LINK}/linked/lancelot", headers=header)) == "OAUTH_ACCOUNT_NOT_LINKED"
    assert api.get("/users/me", headers=header).json()["oauth_accounts"] == []


def test_linking_to_whoever_began(api: Api, provider: OidcProvider) -> None:
    api.register()
    api.register("other@camelot.bt")
    flow = Flow(api, LINK, api.bearer()).sign_in(provider)
    flow.headers = api.bearer("other@camelot.bt")
    answer = flow.come_back()
    assert (answer.status_code, detail(answer)) == (400, "Bad Request")
    assert api.sql("SELECT * FROM oauth_account") == []


def test_an_account_that_two_users_have(tmp_path: Any, client: Any, provider: OidcProvider) -> None:
    """A table from before may hold it: the login is no 500."""
    before = (Path(__file__).parent / "migration" / "before.sql").read_text()
    with sqlite3.connect(tmp_path / "users.db") as connection:
        connection.executescript(before[before.index("CREATE TABLE oauth_account") : before.index("CREATE TABLE user")])
    connection.close()
    with open_oauth(tmp_path, client) as api:
        _log_in_by_an_account_of_two(api, provider)


def _log_in_by_an_account_of_two(api: Api, provider: OidcProvider) -> None:
    ids = [api.register(f"k{n}@camelot.bt").json()["id"] for n in range(2)]
    for number, owner in enumerate(ids):
        api.sql(
            "INSERT INTO oauth_account (id, user_id, oauth_name, access_token, account_id, account_email) "
            "VALUES (?, ?, 'castle', 't', 'arthur', 'a@b.co')", str(uuid.UUID(int=number)), owner,
        )  # fmt: skip
    header = bearer(Flow(api).sign_in(provider).come_back())
    assert api.get("/users/me", headers=header).json()["id"] == ids[0]


class Plain:
    """A client of an application's own: the smallest there can be, without PKCE."""

    name = "plain"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def get_authorization_url(self, redirect_uri: str, state: str | None = None, scope: Any = None) -> str:
        return f"https://plain.test/?state={state}"

    async def get_access_token(self, code: str, redirect_uri: str, code_verifier: str | None = None) -> dict[str, Any]:
        if isinstance(self.error, GetAccessTokenError):
            raise self.error
        return {"access_token": "t"}

    async def get_id_email(self, token: str) -> tuple[str, str | None]:
        if self.error is not None:
            raise self.error
        return "7", None if token == "x" else "plain@example.com"


def test_any_object_is_a_client(tmp_path: Any) -> None:
    with open_oauth(tmp_path, Plain()) as api:
        flow = Flow(api)
        assert (
            api.get("/users/me", headers=bearer(flow.come_back(code="c", state=flow.asked["state"]))).status_code == 200
        )


@pytest.mark.parametrize("error", [GetAccessTokenError("secret"), GetIdEmailError("secret"), ValueError("secret")])
def test_a_client_that_fails(tmp_path: Any, error: Exception) -> None:
    with open_oauth(tmp_path, Plain(error)) as api:
        flow = Flow(api)
        answer = flow.come_back(code="c", state=flow.asked["state"])
        assert (answer.status_code, detail(answer)) == (400, "OAUTH_PROVIDER_ERROR")


def test_no_token_in_a_url(tmp_path: Any) -> None:
    with open_site(tmp_path) as api, pytest.raises(CrossauthError, match="only a CookieTransport"):
        api.site.users.get_oauth_router(Plain(), api.site.jwt, SECRET, login_redirect_url="https://front.test")

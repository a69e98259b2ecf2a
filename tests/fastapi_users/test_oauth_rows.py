"""Every row of the documented OAuth routes: path, status, code, body. A row's name is the name of its test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from httpx_oauth.exceptions import GetIdEmailError
from httpx_oauth.oauth2 import GetAccessTokenError

from crossauth_fastapi.fastapi_users.router.oauth import generate_state_token
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, detail
from tests.fastapi_users.test_oauth import COOKIE, LINK, LOGIN, Flow, api_token, open_oauth
from tests.fastapi_users.test_providers import Says

EMAIL = "arthur@camelot.bt"
Requirement = Callable[[Api, Says], httpx2.Response]


@pytest.fixture
def says() -> Says:
    says = Says()
    says.account = ("7", EMAIL)
    return says


@pytest.fixture
def api(tmp_path: Path, says: Says) -> Iterator[Api]:
    with open_oauth(tmp_path, says) as api:
        yield api


def back(path: str = LOGIN, headers: Callable[[Api], dict[str, str]] | None = None, **changed: Any) -> Requirement:
    """Come back from the provider, with what a test changes."""

    def ask(api: Api, says: Says) -> httpx2.Response:
        flow = Flow(api, path, headers(api) if headers else None)
        cookie = changed.get("cookie")
        query = {"code": "c", "state": flow.asked["state"], **{k: v for k, v in changed.items() if k != "cookie"}}
        return flow.come_back(cookie=cookie, **query)

    return ask


def state(*args: Any, **claims: Any) -> Requirement:
    """Come back with a state of one's own making, for the right cookie."""

    def ask(api: Api, says: Says) -> httpx2.Response:
        flow = Flow(api)
        own = {"csrftoken": flow.cookie.partition("=")[2], **claims}
        return flow.come_back(code="c", state=generate_state_token(own, *args))

    return ask


def first(before: Callable[[Api, Says], object], ask: Requirement) -> Requirement:
    def asked(api: Api, says: Says) -> httpx2.Response:
        before(api, says)
        return ask(api, says)

    return asked


def fails(error: Exception) -> Callable[[Api, Says], object]:
    async def raises(*args: Any) -> Any:
        raise error

    name = "get_access_token" if isinstance(error, GetAccessTokenError) else "get_id_email"
    return lambda api, says: setattr(says, name, raises)


def registered(api: Api, says: Says) -> None:
    api.register()


def both_have_proven(api: Api, says: Says) -> None:
    api.register()
    api.set(is_verified=1)
    says.proves(EMAIL)


def known(api: Api, says: Says) -> None:
    assert back()(api, says).status_code == 200


def inactive(api: Api, says: Says) -> None:
    known(api, says)
    api.set(is_active=0)


def arthur(api: Api) -> dict[str, str]:
    api.register()
    return api.bearer()


def lancelot(api: Api) -> dict[str, str]:
    api.register("lancelot@camelot.bt")
    return api.bearer("lancelot@camelot.bt")


def as_lancelot(api: Api, says: Says) -> httpx2.Response:
    """Whoever began the flow is not who comes back."""
    flow = Flow(api, LINK, arthur(api))
    flow.headers = lancelot(api)
    return flow.come_back(code="c", state=flow.asked["state"])


def without_state(api: Api, says: Says) -> httpx2.Response:
    return api.get(f"{LOGIN}/callback", params={"code": "c"}, headers={"Cookie": Flow(api).cookie})


def state_of_the_login(api: Api, says: Says) -> httpx2.Response:
    flow = Flow(api, LOGIN)
    flow.headers = arthur(api)
    return flow.come_back(LINK, code="c", state=flow.asked["state"])


def access_token_as_state(api: Api, says: Says) -> httpx2.Response:
    return Flow(api).come_back(code="c", state=api_token(api))


ROWS: dict[str, tuple[Requirement, int, Any]] = {
    # 1.6 OAuth (login) router
    "authorize": (lambda a, s: a.get(f"{LOGIN}/authorize"), 200, "authorization_url"),
    "authorize, scopes": (lambda a, s: a.get(f"{LOGIN}/authorize?scopes=a&scopes=b"), 200, "authorization_url"),
    "callback, new user, bearer": (back(), 200, "access_token"),
    "callback, new user, cookie": (back(COOKIE), 204, None),
    "callback, known account": (first(known, back()), 200, "access_token"),
    "callback, e-mail of a user, both have proven it": (first(both_have_proven, back()), 200, "access_token"),
    "callback, e-mail of a user": (first(registered, back()), 400, "OAUTH_USER_ALREADY_EXISTS"),
    "callback, no code and no error": (lambda a, s: a.get(f"{LOGIN}/callback"), 400, "Bad Request"),
    "callback, error": (lambda a, s: a.get(f"{LOGIN}/callback?error=x"), 400, "x"),
    "callback, token endpoint fails": (
        first(fails(GetAccessTokenError("a secret")), back()), 400, "OAUTH_PROVIDER_ERROR"),
    "callback, profile fetch fails": (first(fails(GetIdEmailError("a secret")), back()), 400, "OAUTH_PROVIDER_ERROR"),
    "callback, state missing": (without_state, 400, "ACCESS_TOKEN_DECODE_ERROR"),
    "callback, state garbled": (back(state="x.y.z"), 400, "ACCESS_TOKEN_DECODE_ERROR"),
    "callback, state of a bad signature": (state(SECRET + "x"), 400, "ACCESS_TOKEN_DECODE_ERROR"),
    "callback, state of another audience": (access_token_as_state, 400, "ACCESS_TOKEN_DECODE_ERROR"),
    "callback, state expired": (state(SECRET, -1), 400, "ACCESS_TOKEN_ALREADY_EXPIRED"),
    "callback, state of no flow": (state(SECRET), 400, "OAUTH_INVALID_STATE"),
    "callback, CSRF cookie absent": (back(cookie="a=b"), 400, "OAUTH_INVALID_STATE"),
    "callback, CSRF cookie of another": (back(cookie="fastapiusersoauthcsrf=x"), 400, "OAUTH_INVALID_STATE"),
    "callback, CSRF cookie not ASCII": (back(cookie="fastapiusersoauthcsrf=\xe9"), 400, "OAUTH_INVALID_STATE"),
    "callback, no e-mail": (
        first(lambda a, s: setattr(s, "account", ("7", None)), back()), 400, "OAUTH_NOT_AVAILABLE_EMAIL"),
    "callback, inactive user": (first(inactive, back()), 400, "LOGIN_BAD_CREDENTIALS"),
    # 1.7 OAuth association router
    "associate, authorize": (lambda a, s: a.get(f"{LINK}/authorize", headers=arthur(a)), 200, "authorization_url"),
    "associate, authorize, missing token": (lambda a, s: a.get(f"{LINK}/authorize"), 401, "Unauthorized"),
    "associate, callback": (back(LINK, arthur), 200, "oauth_accounts"),
    "associate, callback, missing token": (lambda a, s: a.get(f"{LINK}/callback?code=c"), 401, "Unauthorized"),
    "associate, callback, state of another user": (as_lancelot, 400, "Bad Request"),
    "associate, callback, state of the login": (state_of_the_login, 400, "OAUTH_INVALID_STATE"),
    "associate, callback, account of another user": (first(known, back(LINK, lancelot)), 400, "OAUTH_USER_ALREADY_EXISTS"),
    "associate, callback, no e-mail": (
        first(lambda a, s: setattr(s, "account", ("7", None)), back(LINK, arthur)), 400, "OAUTH_NOT_AVAILABLE_EMAIL"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_row(api: Api, says: Says, name: str) -> None:
    ask, status, response = ROWS[name]
    answer = ask(api, says)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert detail(answer) == response
        assert "a secret" not in answer.text
    elif response is not None:
        assert answer.json()[response]

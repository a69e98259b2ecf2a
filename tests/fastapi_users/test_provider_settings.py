"""Providers by name in `get_oauth_router`: what is sent to them, what is believed of their answers, and what is not.

The providers are played by `Cloud`, on discovery documents written by hand after their documentation; a real OpenID provider
comes last.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from crossauth_backend import CrossauthError
from crossauth_fastapi.fastapi_users.providers import ProviderClient, provider_options
from tests.cloud import KEY, OTHER_KEY, Cloud
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_oauth import COOKIE, FRONT, LINK, LOGIN, Flow, bearer, open_oauth
from tests.services.oidc import CLIENT_ID, CLIENT_SECRET, OidcProvider, oidc_provider
from tests.unit.oauth.client.test_provider_settings import DISCOVERY, SETTINGS, TENANT

BACK = "https://app.test"
EMAIL = "arthur@camelot.bt"
OTHER_TENANT = "00000000-1111-2222-3333-444444444444"


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Cloud:
    return Cloud(getattr(request, "param", "google"))


@pytest.fixture
def api(tmp_path: Path, cloud: Cloud) -> Iterator[Api]:
    settings = {**SETTINGS[cloud.name.partition("_")[0]], "fetcher": cloud}
    if cloud.name == "microsoft_organizations":
        settings = {**settings, "tenant": None, "tenants": [TENANT, OTHER_TENANT]}
    with open_oauth(tmp_path, provider_options(cloud.name.partition("_")[0], **settings), BACK) as api:
        yield api


def come_back(api: Api, cloud: Cloud, path: str = LOGIN, headers: dict[str, str] | None = None, **changed: str) -> Any:
    flow = Flow(api, path, headers)
    cloud.nonce = cloud.claims.get("nonce", flow.asked.get("nonce"))
    return flow.come_back(**{"code": "c", "state": flow.asked["state"], **changed})


def as_provider(*names: str) -> Any:
    return pytest.mark.parametrize("cloud", names, indirect=True)


def accounts(api: Api, answer: httpx2.Response) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/users/me", headers=bearer(answer)).json()["oauth_accounts"]
    return found


def test_a_new_user_of_google(api: Api, cloud: Cloud) -> None:
    cloud.claims = {"email": EMAIL, "email_verified": True}
    flow = Flow(api)
    assert flow.url.startswith("https://accounts.google.com/o/oauth2/v2/auth?")
    assert (flow.asked["scope"], flow.asked["code_challenge_method"]) == ("openid profile email", "S256")
    assert len(flow.asked["nonce"]) == 43
    assert flow.asked["nonce"] not in (flow.asked["state"], flow.asked["code_challenge"])
    account = accounts(api, come_back(api, cloud))[0]
    assert (account["oauth_name"], account["account_id"], account["account_email"]) == ("google", "7", EMAIL)
    assert account["access_token"] == "at"
    assert set(cloud.posted) >= {"code", "code_verifier", "redirect_uri"}
    assert "client_secret" not in cloud.posted, "by Basic, as the document has it"


WRONG: list[dict[str, Any]] = [
    {"nonce": "another"}, {"nonce": None}, {"aud": "another"}, {"iss": "https://evil.test"}, {"sub": None}, {"iat": None},
    {"exp": 1}, {"sub": ""}, {"aud": ["client", "another"]},
]  # fmt: skip


@pytest.mark.parametrize("claims", WRONG)
def test_an_id_token_that_is_not_for_this_login(api: Api, cloud: Cloud, claims: dict[str, Any]) -> None:
    cloud.claims = {"email": EMAIL, "email_verified": True, **claims}
    answer = come_back(api, cloud)
    assert (answer.status_code, detail(answer)) == (400, "OAUTH_PROVIDER_ERROR")
    assert api.sql('SELECT * FROM "user"') == []


def test_an_id_token_that_nobody_signed(api: Api, cloud: Cloud) -> None:
    cloud.claims, cloud.key = {"email": EMAIL}, OTHER_KEY
    assert detail(come_back(api, cloud)) == "OAUTH_PROVIDER_ERROR"
    cloud.key, cloud.id_token = KEY, False
    assert detail(come_back(api, cloud)) == "OAUTH_PROVIDER_ERROR", "an access token alone says of nobody who logged in"
    cloud.id_token = True
    assert come_back(api, cloud).status_code == 200


def test_a_provider_that_is_away(api: Api, cloud: Cloud) -> None:
    cloud.document = {}
    answer = api.get(f"{LOGIN}/authorize")
    assert (answer.status_code, detail(answer)) == (400, "OAUTH_PROVIDER_ERROR")
    cloud.document = DISCOVERY["google"]
    assert api.get(f"{LOGIN}/authorize").status_code == 200


def test_an_answer_of_another_server(api: Api, cloud: Cloud) -> None:
    """RFC 9207: the code is not even sent to the provider."""
    cloud.claims = {"email": EMAIL}
    assert detail(come_back(api, cloud, iss="https://evil.test")) == "OAUTH_PROVIDER_ERROR"
    assert [request for request in cloud.asked if request.method == "POST"] == []
    assert come_back(api, cloud, iss="https://accounts.google.com").status_code == 200


@pytest.mark.parametrize(("verified", "status"), [(True, 200), (False, 400), ("true", 400), (None, 400)])
def test_a_known_address_is_linked_only_where_google_has_proven_it(
    api: Api, cloud: Cloud, verified: Any, status: int
) -> None:
    api.register(EMAIL)
    api.set(EMAIL, is_verified=1)
    cloud.claims = {"email": EMAIL, "email_verified": verified}
    assert come_back(api, cloud).status_code == status


@as_provider("microsoft")
def test_what_microsoft_says_of_an_address_proves_nothing(api: Api, cloud: Cloud) -> None:
    """The administrator of any tenant may write the address of anybody into an account there."""
    api.register(EMAIL)
    api.set(EMAIL, is_verified=1)
    cloud.claims = {"email": EMAIL, "email_verified": True, "xms_edov": True, "tid": TENANT}
    answer = come_back(api, cloud)
    assert (answer.status_code, detail(answer)) == (400, "OAUTH_USER_ALREADY_EXISTS")
    cloud.claims["email"] = "gawain@camelot.bt"
    assert accounts(api, come_back(api, cloud))[0]["account_id"] == f"{TENANT}/7"


@as_provider("microsoft_organizations")
def test_microsoft_of_several_tenants(api: Api, cloud: Cloud) -> None:
    """The same `sub` in another tenant is another account; a tenant that is not listed is refused."""

    def of(tenant: str, email: str, claimed: str | None = None) -> httpx2.Response:
        issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
        cloud.claims = {"iss": issuer, "tid": claimed or tenant, "email": email}
        answer: httpx2.Response = come_back(api, cloud)
        return answer

    assert accounts(api, of(TENANT, EMAIL))[0]["account_id"] == f"{TENANT}/7"
    assert accounts(api, of(OTHER_TENANT, "b@camelot.bt"))[0]["account_id"] == f"{OTHER_TENANT}/7"
    for tenant, claimed in ((TENANT[::-1], None), (TENANT, OTHER_TENANT), (TENANT, TENANT[::-1])):
        assert detail(of(tenant, "c@camelot.bt", claimed)) == "OAUTH_PROVIDER_ERROR"


@as_provider("github")
def test_github_by_its_primary_proven_address(api: Api, cloud: Cloud) -> None:
    cloud.user = {"id": 583231, "login": "octocat", "email": "boss@corp.com"}
    cloud.emails = [
        {"email": "boss@corp.com", "primary": False, "verified": False},
        {"email": EMAIL, "primary": True, "verified": True},
    ]
    api.register(EMAIL)
    api.set(EMAIL, is_verified=1)
    flow = Flow(api)
    assert "nonce" not in flow.asked
    assert (flow.asked["scope"], flow.asked["code_challenge_method"]) == ("read:user user:email", "S256")
    account = accounts(api, come_back(api, cloud))[0]
    assert (account["account_id"], account["account_email"]) == ("583231", EMAIL)
    assert cloud.posted["client_secret"] == "secret"


@as_provider("github")
def test_github_without_a_proven_address(api: Api, cloud: Cloud) -> None:
    cloud.user, cloud.emails = {"id": 1, "email": EMAIL}, [{"email": EMAIL, "primary": True, "verified": False}]
    assert detail(come_back(api, cloud)) == "OAUTH_NOT_AVAILABLE_EMAIL"
    for cloud.user, cloud.emails in (({}, []), (None, None), ([], {}), ({"id": True}, [])):
        assert detail(come_back(api, cloud)) == "OAUTH_PROVIDER_ERROR"


@as_provider("discord")
@pytest.mark.parametrize(("verified", "status"), [(True, 200), (False, 400), ("true", 400)])
def test_discord(api: Api, cloud: Cloud, verified: Any, status: int) -> None:
    api.register(EMAIL)
    api.set(EMAIL, is_verified=1)
    cloud.user = {"id": "80351110224678912", "username": "nelly", "email": EMAIL, "verified": verified}
    assert come_back(api, cloud).status_code == status


@as_provider("apple")
@pytest.mark.parametrize("path", [LOGIN, COOKIE, LINK])
def test_apple_comes_back_by_a_form(api: Api, cloud: Cloud, path: str) -> None:
    """A form of another site brings no cookie with it; the redirect that answers it does."""
    cloud.claims = {"email": EMAIL, "email_verified": "true"}
    headers = None
    if path == LINK:
        api.register(EMAIL)
        headers = api.bearer(EMAIL)
    flow = Flow(api, path, headers)
    cloud.nonce = flow.asked["nonce"]
    assert flow.asked["response_mode"] == "form_post"
    form = {"code": "c", "state": flow.asked["state"], "user": '{"name": {"firstName": "Arthur"}}'}
    posted = api.post(f"{path}/callback", data=form, headers={"Origin": "https://appleid.apple.com"})
    assert posted.status_code == 303
    assert "set-cookie" not in posted.headers
    assert "no-store" in posted.headers["cache-control"]
    location = posted.headers["location"]
    assert location.startswith("?"), "nothing of the host, which a request may say as it likes"
    flow.given = {name: values[0] for name, values in parse_qs(location[1:]).items()}
    assert set(flow.given) == {"code", "state"}
    assert flow.come_back().status_code in (200, 204)
    assert cloud.posted["client_secret"].count(".") == 2
    assert flow.come_back().status_code == 400, "once"


@as_provider("apple")
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/x-www-form-urlencoded", 303), (b'{"code": "c"}', "application/json", 415), (b"x", "", 415),
        (b"code=1&code=2", "application/x-www-form-urlencoded", 400), (b"code=%00", "application/x-www-form-urlencoded", 400),
        (b"code=%ff", "application/x-www-form-urlencoded", 400),
        (b"code=" + b"x" * 5000, "application/x-www-form-urlencoded", 400),
        (b"x" * 70_000, "application/x-www-form-urlencoded", 413), (b"a&" * 20_000, "application/x-www-form-urlencoded", 400),
        (b"state=%0d%0aSet-Cookie:+a=b", "application/x-www-form-urlencoded", 303),
    ],
)  # fmt: skip
def test_a_form_that_is_none(api: Api, cloud: Cloud, body: bytes, kind: str, status: int) -> None:
    answer = api.post(f"{LOGIN}/callback", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers


def test_a_provider_that_does_not_post_has_no_such_route(api: Api) -> None:
    assert api.post(f"{LOGIN}/callback", data={"code": "c"}).status_code == 405


def test_linking_and_a_redirect(api: Api, cloud: Cloud) -> None:
    api.register("lancelot@camelot.bt")
    header = api.bearer("lancelot@camelot.bt")
    cloud.claims = {"email": EMAIL, "email_verified": True}
    linked = come_back(api, cloud, LINK, header).json()
    assert [a["account_id"] for a in linked["oauth_accounts"]] == ["7"]
    answer = come_back(api, cloud, FRONT)
    assert (answer.status_code, answer.headers["location"]) == (303, "https://front.test/in?x=1")


def test_two_clients_of_one_name(tmp_path: Path) -> None:
    with open_site(tmp_path) as api:
        users, jwt = api.site.users, api.site.jwt
        users.get_oauth_router(provider_options("google", **SETTINGS["google"]), jwt, SECRET)
        users.get_oauth_router(ProviderClient("google", **SETTINGS["google"]), jwt, SECRET)
        users.get_oauth_router(
            ProviderClient("google", name="work", **{**SETTINGS["google"], "client_id": "b"}), jwt, SECRET
        )
        with pytest.raises(CrossauthError, match="two OAuth clients are named 'google'"):
            users.get_oauth_router(ProviderClient("google", **{**SETTINGS["google"], "client_id": "b"}), jwt, SECRET)
        with pytest.raises(CrossauthError, match="'redirect_url' and 'site_url' must be https"):
            users.get_oauth_router(provider_options("google", **SETTINGS["google"]), jwt, SECRET, "http://app.test/cb")
        with pytest.raises(CrossauthError, match="provider_options"):
            users.get_oauth_router({"client_id": "a"}, jwt, SECRET)
        with pytest.raises(CrossauthError, match="'client_secret' is missing: Google"):
            users.get_oauth_router(provider_options("google", client_id="a"), jwt, SECRET)
        with pytest.raises(CrossauthError, match="unknown option 'tennant'"):
            users.get_oauth_router(provider_options("google", **SETTINGS["google"], tennant="x"), jwt, SECRET)


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider(f"{BACK}{LOGIN}/callback") as provider:
        yield provider


def test_a_real_provider(tmp_path: Path, provider: OidcProvider) -> None:
    """`oidc-provider`, with PKCE, nonce and `iss`."""
    settings = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "default_scope": "openid email"}
    client = ProviderClient("openid", issuer=provider.url, name="castle", **settings)
    with open_oauth(tmp_path, client, BACK) as api:
        flow = Flow(api).sign_in(provider)
        assert flow.given["iss"] == provider.url
        wrong = flow.come_back(iss="https://evil.test")
        assert wrong.status_code == 400
        account = accounts(api, Flow(api).sign_in(provider).come_back())[0]
        assert (account["oauth_name"], account["account_id"], account["account_email"]) == (
            "castle", "arthur", "arthur@example.com",
        )  # fmt: skip
        assert urlsplit(flow.url).netloc == urlsplit(provider.url).netloc


async def test_the_methods_of_httpx_oauth() -> None:
    """What an application may call by itself."""
    cloud = Cloud("github")
    cloud.user, cloud.emails = {"id": 7, "login": "octocat"}, [{"email": EMAIL, "primary": True, "verified": True}]
    client = ProviderClient("github", **SETTINGS["github"], fetcher=cloud)
    assert await client.get_id_email("at") == ("7", EMAIL)
    assert (await client.get_profile("at"))["preferred_username"] == "octocat"
    assert (await client.refresh_token("rt"))["access_token"] == "at"
    await client.revoke_token("at", "access_token")
    url = await client.get_authorization_url(
        "https://app.test/cb", "s", ["repo"], extras_params={"allow_signup": "false"}
    )
    asked = parse_qs(urlsplit(url).query)
    assert (asked["scope"], asked["allow_signup"], asked["state"]) == (["repo"], ["false"], ["s"])
    with pytest.raises(ValueError, match="S256"):
        await client.get_authorization_url(
            "https://app.test/cb", "s", code_challenge="c", code_challenge_method="plain"
        )
    await client.close()

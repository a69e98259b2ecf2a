"""Logging in with known providers by an OAuth client: all of them on one site, each from the start to the session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI, Request

from crossauth_backend import CrossauthError, InMemoryKeyStorage
from crossauth_fastapi import FastApiServer, provider_options
from tests.cloud import OTHER_KEY, Cloud
from tests.oauthclient import Visitor
from tests.services.uvicorn import serve
from tests.support import SECRET
from tests.unit.oauth.client.test_provider_settings import SETTINGS, TENANT

SITE = "http://localhost:8000"
KEEPS = {"token_response_type": "save_in_session_and_redirect", "authorized_url": "/welcome"}
SAID: dict[str, Any] = {"email": "arthur@camelot.bt", "email_verified": True, "name": "Arthur"}


class Clouds(dict[str, Cloud]):
    """One of each."""

    def __init__(self) -> None:
        super().__init__({name: Cloud(name) for name in SETTINGS})
        for name, cloud in self.items():
            cloud.claims = {**SAID, **({"tid": TENANT} if name == "microsoft" else {})}
        self["github"].user = {"id": 7, "login": "arthur"}
        self["github"].emails = [{"email": SAID["email"], "primary": True, "verified": True}]
        self["discord"].user = {"id": "7", "username": "arthur", "email": SAID["email"], "verified": True}
        for name in ("okta", "openid"):
            self[name].user = {"sub": "7", "nickname": "Wart"}


@asynccontextmanager
async def site(clouds: Clouds, **more: Any) -> AsyncIterator[Visitor]:
    """An application with every provider."""
    app = FastAPI()
    clients: list[Any] = [
        {"options": provider_options(name, **SETTINGS[name], **KEEPS, fetcher=clouds[name], **more)} for name in clouds
    ]
    FastApiServer(
        {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_clients": clients},
        {"app": app, "secret": SECRET, "site_url": SITE},
    )

    @app.get("/me")
    async def me(request: Request) -> Any:
        return request.state.id_payload

    with serve(app) as url:
        async with Visitor(url) as visitor:
            yield visitor


async def walk(visitor: Visitor, clouds: Clouds, name: str, **back: str) -> httpx2.Response:
    """Go to a provider and come back."""
    begun = await visitor.get(f"/{name}/authzcodeflow")
    assert begun.status_code == 302, begun.text
    asked = {field: values[0] for field, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    assert asked["redirect_uri"] == f"{SITE}/{name}/authzcode"
    assert asked["code_challenge_method"] == "S256"
    clouds[name].nonce = asked.get("nonce")
    document, fields = clouds[name].document, {"code": "c", "state": asked["state"], **back}
    if document.get("authorization_response_iss_parameter_supported"):
        fields["iss"] = document["issuer"]
    if asked.get("response_mode") != "form_post":
        return await visitor.get(f"/{name}/authzcode?{urlencode(fields)}")
    # The browser sends no cookie with a form of another site, but with the redirect that answers it.
    async with visitor.another() as without_cookies:
        posted = await without_cookies.post(f"/{name}/authzcode", data=fields)
    assert posted.status_code == 303
    return await visitor.get(posted.headers["location"])


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_login(name: str) -> None:
    clouds = Clouds()
    async with site(clouds) as visitor:
        done = await walk(visitor, clouds, name)
        assert (done.status_code, done.headers["location"]) == (302, "/welcome"), done.text
        me = (await visitor.get("/me")).json()
        assert (me["sub"], me["email"]) == ("7", SAID["email"])
        assert me.get("nickname") == ("Wart" if name in ("okta", "openid") else None)
        assert name not in ("apple", "github") or clouds[name].posted["client_secret"]


@pytest.mark.parametrize("name", ["google", "apple", "keycloak", "auth0"])
async def test_an_id_token_that_nobody_signed_is_refused(name: str) -> None:
    clouds = Clouds()
    clouds[name].key = OTHER_KEY
    async with site(clouds) as visitor:
        assert (await walk(visitor, clouds, name)).status_code == 401
        assert (await visitor.get("/me")).json() is None


async def test_a_code_of_one_provider_is_not_taken_by_another() -> None:
    """Each has a redirect URI of its own, and knows only what it has begun (RFC 9700 §4.4)."""
    clouds = Clouds()
    async with site(clouds) as visitor:
        begun = await visitor.get("/google/authzcodeflow")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        for name in ("github", "openid"):
            refused = await visitor.get(f"/{name}/authzcode?{urlencode({'code': 'c', 'state': state})}")
            assert refused.status_code == 401
            assert clouds[name].asked == []


async def test_what_a_provider_says_can_be_overridden() -> None:
    clouds = Clouds()
    async with site(clouds, default_scope="openid", authorization_params={"prompt": "login"}) as visitor:
        asked = parse_qs(urlsplit((await visitor.get("/google/authzcodeflow")).headers["location"]).query)
        assert (asked["scope"], asked["prompt"]) == (["openid"], ["login"])
        asked = parse_qs(urlsplit((await visitor.get("/apple/authzcodeflow")).headers["location"]).query)
        assert (asked["response_mode"], asked["prompt"]) == (["form_post"], ["login"])


def test_what_is_missing_is_said_at_the_start() -> None:
    options: Any = provider_options("google", client_id="a", **KEEPS)
    with pytest.raises(CrossauthError, match="'client_secret' is missing: Google"):
        FastApiServer(
            {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_client": {"options": options}},
            {"app": FastAPI(), "secret": SECRET, "site_url": SITE},
        )

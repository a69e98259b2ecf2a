"""examples/oauth_client.py at a real OpenID provider that answers by form, from a page of another site."""

import json
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Request, expect

from tests.browser.test_oauth_client_walk import EXAMPLE, Person, a_provider
from tests.services.processes import free_port, running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """To a browser, 127.0.0.1 is another site than localhost, where the provider is."""
    provider_port, port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    with a_provider(provider_port, f"http://localhost:{port}") as provider:
        settings = {
            "ISSUER": provider, "CROSSAUTH_SITE_URL": url,
            "CROSSAUTH_OAUTH_AUTHORIZATION_PARAMS": json.dumps({"response_mode": "form_post"}),
        }  # fmt: skip
        with running(EXAMPLE, tmp_path_factory.mktemp("client"), settings, port=port):
            yield url


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
@pytest.mark.asyncio(loop_scope="session")
async def test_a_login_where_the_provider_answers_by_form(browser: Browser, site: str, script: bool) -> None:
    context = await browser.new_context(java_script_enabled=script)
    grace = Person(await context.new_page(), site)
    sent: list[Request] = []
    grace.page.on("request", lambda request: sent.append(request))
    await grace.home()
    await grace.follow("Log in at the provider")
    await grace.at_the_provider("grace")
    if not script:
        # Its page sends the form by a script, or has a button for that.
        await grace.page.click("[type=submit]")
    await expect(grace.page).to_have_url(f"{site}/")
    await grace.is_in("grace")
    await grace.look("form-post")

    (posted,) = [request for request in sent if request.method == "POST" and request.url == f"{site}/authzcode"]
    assert "cookie" not in await posted.all_headers(), "a form of another site has none of our cookies"
    assert "code=" in (posted.post_data or "")
    assert not [request.url for request in sent if "code=" in request.url]
    cookies = {cookie["name"]: cookie for cookie in await context.cookies(site)}
    assert {cookies[name].get("sameSite") for name in cookies} == {"Lax"}
    assert any("SESSION" in name for name in cookies)
    await grace.follow("Call the API")
    await expect(grace.page.locator("body")).to_contain_text('"sub":"grace"')
    await context.close()

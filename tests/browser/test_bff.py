"""The backend-for-frontend in a real browser: what pages of the site can do, and what those of others cannot."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from fastapi import FastAPI
from playwright.async_api import Browser, Page
from starlette.responses import HTMLResponse

from tests.bff import Api, Site, soon
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD

World = tuple[str, Api]
SIGN_UP = """async ({csrf, password}) => {
  const token = (await (await fetch("/api/getcsrftoken")).json()).csrfToken;
  const body = JSON.stringify({username: "alice", password, repeat_password: password});
  const headers = {"Content-Type": "application/json", [csrf]: token};
  return (await fetch("/api/signup", {method: "POST", headers, body})).status;
}"""
CALL = """async ({path, method, body, csrf}) => {
  const token = (await (await fetch("/api/getcsrftoken")).json()).csrfToken;
  const headers = csrf ? {[csrf]: token} : {};
  const answer = await fetch(path, {method, body, headers});
  return [answer.status, await answer.text()];
}"""
FIRST_EVENT = """() => new Promise((done, fail) => {
  window.events = new EventSource("/bff/stream/events");
  window.events.onmessage = (event) => done(event.data);
  window.events.onerror = () => fail("no event");
})"""
ECHO = """(url) => new Promise((done) => {
  const socket = window.socket = new WebSocket(url, "chat");
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (event) => done(`${socket.protocol} ${event.data}`);
  socket.onerror = () => done("refused");
})"""
LOADED = """([tag, attribute, url]) => new Promise((done) => {
  const element = document.createElement(tag);
  element.onload = () => done("loaded");
  element.onerror = () => done("refused");
  element[attribute] = url;
  if (tag === "link") element.rel = "stylesheet";
  document.body.append(element);
})"""


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    app, api = FastAPI(), Api()

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>Page</title><body>")

    with serve(api.app) as api_url, serve(Site(api_url, app=app).server.app) as url:
        yield url, api


@pytest.fixture
def world(shared: World) -> World:
    url, api = shared
    api.forget()
    api.go_on.clear()
    api.answer = (200, [], b"")
    return url, api


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, world: World) -> AsyncIterator[Page]:
    """A page of the site, whose session has tokens."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{world[0]}/page")
    await page.evaluate(SIGN_UP, {"csrf": CSRF, "password": PASSWORD})
    await page.goto(f"{world[0]}/login")
    if await page.locator("#username").count():
        await page.fill("#username", "alice")
        await page.fill("#password", PASSWORD)
        await page.get_by_role("main").get_by_role("button", name="Log in").click()
        await page.wait_for_load_state()
    await page.goto(f"{world[0]}/page")
    yield page
    await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_pages_of_the_site_call_the_api(page: Page, world: World) -> None:
    _, api = world
    status, text = await page.evaluate(CALL, {"path": "/bff/echo/a%20b?x=1", "method": "GET"})
    assert (status, '"path":"/v1/echo/a%20b"' in text, "Bearer token-" in text) == (200, True, True)
    told = api.seen[-1]["headers"]
    assert not {"cookie", "origin", "referer"} & {name for name, _ in told}
    changed = {"path": "/bff/echo", "method": "POST", "body": "tea"}
    assert (await page.evaluate(CALL, changed))[0] == 403
    status, text = await page.evaluate(CALL, {**changed, "csrf": CSRF})
    assert (status, '"body":"tea"' in text) == (200, True)
    assert "token-" not in str(await page.context.cookies())
    assert await page.evaluate("document.cookie") == ""


@pytest.mark.asyncio(loop_scope="session")
async def test_events_and_sockets_end_with_the_page(page: Page, world: World) -> None:
    url, api = world
    assert await page.evaluate(FIRST_EVENT) == "first"
    assert await page.evaluate(ECHO, f"{url.replace('http', 'ws', 1)}/bff/ws") == "chat hello"
    assert api.gone == []
    await page.close()
    assert soon(lambda: len(api.gone) == 2), api.gone


@pytest.mark.asyncio(loop_scope="session")
async def test_what_the_api_sends_runs_nowhere(page: Page, world: World) -> None:
    url, api = world
    script = b"document.title = 'taken'"
    api.answer = (200, [(b"content-type", b"text/javascript"), (b"service-worker-allowed", b"/")], script)
    assert await page.evaluate(LOADED, ["script", "src", "/bff/answer"]) == "refused"
    register = "navigator.serviceWorker.register('/bff/answer').then(() => 'there', () => 'refused')"
    assert await page.evaluate(register) == "refused"
    worker = "new Promise((done) => { new Worker('/bff/answer').onerror = () => done('refused') })"
    assert await page.evaluate(worker) == "refused"
    api.answer = (200, [(b"content-type", b"text/css")], b"body { color: red }")
    assert await page.evaluate(LOADED, ["link", "href", "/bff/answer"]) == "refused"
    api.answer = (
        200,
        [(b"content-type", b"text/html")],
        b"<!doctype html><title>Data</title><script>" + script + b"</script>",
    )
    await page.goto(f"{url}/bff/answer")
    assert await page.title() == "Data"


@pytest.mark.asyncio(loop_scope="session")
async def test_pages_of_other_sites_get_nothing(page: Page, world: World) -> None:
    url, api = world
    other = FastAPI()

    @other.get("/page")
    async def evil() -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>Other</title><body>")

    # Another port of the same host: a browser sends the cookies along.
    with serve(other) as elsewhere:
        await page.goto(f"{elsewhere}/page")
        api.answer = (200, [(b"content-type", b"image/svg+xml")], b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        assert await page.evaluate(LOADED, ["img", "src", f"{url}/bff/answer"]) == "refused"
        assert await page.evaluate(LOADED, ["script", "src", f"{url}/bff/answer"]) == "refused"
        for method in ("GET", "POST"):
            sent = f"fetch('{url}/bff/echo', {{method: '{method}', mode: 'no-cors', credentials: 'include'}}).then(r => r.type)"
            assert await page.evaluate(sent) == "opaque"
        assert await page.evaluate(ECHO, f"{url.replace('http', 'ws', 1)}/bff/ws") == "refused"
        await page.evaluate(f"location.href = '{url}/bff/echo'")
        await page.wait_for_url(f"{url}/bff/echo")
        assert "Forbidden" in await page.inner_text("body")
    assert api.seen == [], "and the API has heard of none of it"

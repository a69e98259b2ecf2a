"""An application that begins flows as an authorization server does, and a browser that walks through pages as people do."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse, RedirectResponse

from crossauth_fastapi import OptionalUser
from crossauth_fastapi._actions.accounts import AccountServices, with_accounts
from crossauth_fastapi._http.redirects import with_more_query
from tests.accounts import Browser, World

CLIENT = "https://client.example"
CALLBACK = f"{CLIENT}/callback"
FLOW = "authorize"
RESUME = "/authorize/resume"
_FORM = re.compile(r"<form\b[^>]*>.*?</form>", re.S)


class Provider:
    """`GET /authorize` keeps a checked request; `GET /authorize/resume` answers it with a code, once somebody is logged in.

    Parameters:
        app: the application.
        callbacks: the redirect URIs that are registered.
    """

    def __init__(self, app: FastAPI, callbacks: tuple[str, ...] = (CALLBACK,)) -> None:
        self.callbacks, self.seen = callbacks, list[Mapping[str, Any]]()
        with_accounts(app, self._use)
        app.add_api_route("/authorize", self.authorize, methods=["GET", "POST"], response_model=None)
        app.add_api_route(RESUME, self.resume, response_model=None)
        app.add_api_route("/par", self.push, methods=["POST"], response_model=None)

    def _use(self, accounts: AccountServices) -> None:
        self.flows = accounts.interactions

    async def authorize(self, request: Request) -> Response:
        """Begin a flow, or go on with one that was pushed; always by way of the login page."""
        query = dict(request.query_params)
        if "request_uri" in query:
            begun = await self.flows.find(request, FLOW, query["request_uri"])
        else:
            callback = query.get("redirect_uri", self.callbacks[0])
            if callback not in self.callbacks:
                return JSONResponse({"error": "invalid_request"}, 400)
            begun = await self.flows.begin(request, FLOW, {**query, "redirect_uri": callback}, RESUME, ends_at=callback)
        page = query.get("page", "login")
        more = {"prompt": query["prompt"]} if "prompt" in query else {}
        return RedirectResponse(self.flows.page_url(request, begun, page, **more), 303)

    async def resume(self, request: Request, user: OptionalUser) -> Response:
        """Complete the flow; whoever is not logged in is sent to log in."""
        handle = request.query_params.get("interaction", "")
        found = await self.flows.find(request, FLOW, handle)
        if user is None and found.completed is None:
            return RedirectResponse(self.flows.page_url(request, found), 302)
        done = await self.flows.complete(request, FLOW, handle)
        if not done.first or user is None:
            return JSONResponse({"error": "replay"}, 400)
        self.seen.append(done.interaction.request)
        asked = done.interaction.request
        answer = {"code": f"code-of-{user.username}", "state": str(asked.get("state", ""))}
        return RedirectResponse(with_more_query(asked["redirect_uri"], answer), 302)

    async def push(self, request: Request) -> dict[str, str]:
        """Keep a request for later."""
        asked = await request.json()
        pushed = await self.flows.push(FLOW, asked, RESUME, ends_at=asked["redirect_uri"])
        return {"request_uri": pushed.handle}


class Walker(Browser):
    """A browser with a page in it: it follows links and redirects, and sends the forms that are there.

    Where it comes to another site it stops; that is where it has `arrived`.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.page: Any = None
        self.arrived = ""
        self.trail: list[str] = []

    def open(self, path: str) -> "Walker":
        """Type a URL in."""
        return self._come_to("GET", path)

    def click(self, text: str) -> "Walker":
        """Follow the last link that reads `text`: those of the page come behind those of the header."""
        links = re.findall(r'<a\b[^>]*href="([^"]*)"[^>]*>\s*([^<]*?)\s*</a>', self.page.text)
        found = [href for href, displayed in links if unescape(displayed) == text]
        assert found, f"no link {text!r} on {self.trail[-1]}: {[displayed for _, displayed in links]}"
        return self._come_to("GET", unescape(found[-1]))

    def click_first(self, text: str) -> "Walker":
        """Follow the first link that reads `text`, as the one in the header is."""
        links = re.findall(r'<a\b[^>]*href="([^"]*)"[^>]*>\s*([^<]*?)\s*</a>', self.page.text)
        return self._come_to("GET", unescape(next(href for href, displayed in links if unescape(displayed) == text)))

    def press(self, button: str, **fields: str) -> "Walker":
        """Fill in the form with this button, and press it."""
        forms = [
            form for form in _FORM.findall(self.page.text) if re.search(rf">\s*{re.escape(button)}\s*</button>", form)
        ]
        assert forms, f"no button {button!r} on {self.trail[-1]}: {self.page.text[-2500:]}"
        form = forms[0]
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
        names = set(re.findall(r'\bname="(\w+)"', form))
        assert set(fields) <= names, f"{set(fields) - names} is not in the form on {self.trail[-1]}"
        action = re.search(r'action="([^"]*)"', form)
        where = unescape(action[1]) if action else str(self.page.url.raw_path, "ascii")
        return self._come_to("POST", where, data={n: unescape(v) for n, v in hidden} | fields)

    def heading(self) -> str:
        """What the page says above everything."""
        found = re.search(r"<h1>(.*?)</h1>", self.page.text, re.S)
        return unescape(found[1].strip()) if found else ""

    @property
    def form_action(self) -> list[str]:
        """Where forms of the page may lead."""
        policy = self.page.headers["content-security-policy"]
        return next(part.split()[1:] for part in policy.split("; ") if part.startswith("form-action"))

    def _come_to(self, method: str, path: str, **kwargs: Any) -> "Walker":
        self.arrived = ""
        for _ in range(12):
            self.trail.append(f"{method} {path}")
            self.page = self.request(method, path, headers={"Accept": "text/html,*/*"}, **kwargs)
            target = self.page.headers.get("location")
            if target is None:
                return self
            if not target.startswith("/"):
                self.arrived = target
                return self
            method, path, kwargs = "GET", target, {}
        raise AssertionError(f"redirects without end: {self.trail[-4:]}")


def code_of(walker: Walker, callback: str = CALLBACK) -> str:
    """The code with which the browser came to the client."""
    assert walker.arrived.startswith(f"{callback}?"), (walker.arrived, walker.trail[-4:], walker.page.text[-1500:])
    return parse_qs(urlsplit(walker.arrived).query)["code"][0]


def handle_in(walker: Walker) -> str:
    """The handle of the flow that the page leads on to."""
    found = re.search(r"interaction(?:=|%3D)([A-Za-z0-9_-]{43})", walker.page.text)
    assert found is not None
    return found[1]


def provide(world: World) -> Provider:
    """A provider on the application of `world`."""
    return Provider(world.server.app)


def status_of(answer: httpx2.Response) -> tuple[int, str]:
    """Status and reason of a refusal."""
    return answer.status_code, str(answer.json().get("errorCodeName", ""))

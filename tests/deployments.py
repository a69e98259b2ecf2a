"""The ways in which an application is put somewhere else than at the root of its host."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx2
from fastapi import FastAPI

from tests.services.uvicorn import serve


@dataclass(frozen=True)
class Deployment:
    """One of them.

    Parameters:
        name: for the name of the test.
        root: where browsers find the application.
        mounts: where it is mounted, from the outermost application on.
        fastapi_root: `FastAPI(root_path=…)`.
        uvicorn_root: `uvicorn --root-path`.
        strips: whether a proxy takes the root path away before the server sees it.
    """

    name: str
    root: str = ""
    mounts: tuple[str, ...] = ()
    fastapi_root: str = ""
    uvicorn_root: str = ""
    strips: bool = False

    def new_app(self) -> FastAPI:
        """The application to put servers on."""
        if not self.fastapi_root:
            return FastAPI()
        # Deprecated in newer versions of FastAPI, and used.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return FastAPI(root_path=self.fastapi_root)

    @contextmanager
    def open(self, app: FastAPI) -> Iterator["Visitor"]:
        """Serve `app`; yields a browser."""
        for path in reversed(self.mounts):
            outer = FastAPI()
            outer.mount(path, app)
            app = outer
        with serve(app, root_path=self.uvicorn_root) as url, Visitor(url, self) as visitor:
            yield visitor


DEPLOYMENTS = (
    Deployment("root"),
    Deployment("uvicorn_root_path", "/app", uvicorn_root="/app", strips=True),
    Deployment("fastapi_root_path_stripped", "/app", fastapi_root="/app", strips=True),
    Deployment("fastapi_root_path_in_the_url", "/app", fastapi_root="/app"),
    Deployment("mounted", "/app", mounts=("/app",)),
    Deployment("mounted_in_a_mounted_one", "/a/app", mounts=("/a", "/app")),
)


class Visitor:
    """A browser: it knows public URLs only. What it sends goes through the proxy, where there is one."""

    def __init__(self, url: str, deployment: Deployment) -> None:
        self.root, self._strips, self._url = deployment.root, deployment.strips, url
        self._client = httpx2.Client(base_url=url, trust_env=False, timeout=20, headers={"Accept": "text/html"})

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def another(self) -> "Visitor":
        """Another browser, with no cookies."""
        found = Visitor.__new__(Visitor)
        found.root, found._strips, found._url = self.root, self._strips, self._url
        found._client = httpx2.Client(base_url=self._url, trust_env=False, timeout=20, headers={"Accept": "text/html"})
        return found

    def send(self, method: str, path: str, **kwargs: Any) -> httpx2.Response:
        """A request for a public path, which must be the application's own."""
        assert path == self.root or path.startswith(f"{self.root}/"), f"{path!r} is not under {self.root!r}"
        return self._client.request(method, path.removeprefix(self.root) if self._strips else path, **kwargs)

    def get(self, path: str) -> httpx2.Response:
        """GET."""
        return self.send("GET", path)

    def submit(self, page: str, **fields: str) -> httpx2.Response:
        """Fill in the first form of the page and send it to where it goes."""
        text = self.get(page).text
        form = next(f for f in re.findall(r"<form.*?</form>", text, re.S) if 'method="post"' in f)
        hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        action = re.search(r'action="([^"]*)"', form)
        assert action is not None
        sent = {name: unescape(value) for name, value in hidden.items()} | fields
        return self.send("POST", unescape(action[1]), data=sent)


def targets(page: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Where a page leads: its links and assets, and its forms as method and action."""
    links = {unescape(u) for u in re.findall(r'(?:href|src)="([^"#][^"]*)"', page)}
    forms = {
        (_attribute(f, "method", "get").upper(), _attribute(f, "action", "")) for f in re.findall(r"<form[^>]*>", page)
    }
    return links, forms


def _attribute(tag: str, name: str, default: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else default

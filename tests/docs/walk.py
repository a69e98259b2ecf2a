"""Follows a page of the tutorial as its reader would: writes its files, runs its commands, does in a browser what it says."""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import NamedTuple

import httpx2

from tests.services.oidc import OidcProvider
from tests.services.processes import free_port
from tests.services.wheel import install
from tests.support import Client

# A block with its language, its title if it has one, and its text; or a comment that says what the reader does in a browser.
_PART = re.compile(
    r"^```(\w+)(?: +title=\"([^\"]+)\")?[^\n]*\n(.*?)^```$|^<!-- test: (.*?) -->$", re.MULTILINE | re.DOTALL
)


class Part(NamedTuple):
    """One thing that the reader of a page does."""

    language: str
    title: str
    text: str
    action: str


def parts(page: str) -> list[Part]:
    """What a page says to do, in its order."""
    return [Part(*found) for found in _PART.findall(page)]


class _Form:
    """The parts of a form that a browser sends."""

    def __init__(self, text: str) -> None:
        tags = [
            dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<(?:input|select|button)[^>]*>", text)
        ]
        self.names = {tag["name"] for tag in tags if "name" in tag}
        self.hidden = {tag["name"]: unescape(tag["value"]) for tag in tags if tag.get("type") == "hidden"}
        action = re.search(r'<form[^>]*action="([^"]*)"', text)
        self.action = unescape(action[1]) if action else ""


class Walk:
    """A folder, a server in it, and a browser; one for the whole tutorial.

    Parameters:
        folder: an empty folder.
        python: that of an empty environment. What the pages install goes there.
        wheel: what `crossauth` is installed from.
        actions: what a comment in a page names, by its first word; each is given the walk and further words.
    """

    def __init__(self, folder: Path, python: Path, wheel: Path, actions: dict[str, Callable[..., None]]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.environment = {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
        }
        self.browser = Client(self.url)
        self.others: dict[str, Client] = {}
        # What stands in the pages for something that only the reader knows, and what the tests have in its place.
        self.known = {"localhost:8000": f"localhost:{self.port}"}
        self.totp_secret = ""
        self.provider: OidcProvider | None = None
        self._before = ""
        self._python, self._wheel, self._actions = python, wheel, actions
        self._extras: set[str] = set()
        self._server: subprocess.Popen[bytes] | None = None

    def follow(self, page: str) -> None:
        """Do what the page says, from its first line to its last."""
        for part in parts(page):
            if part.action:
                name, *words = shlex.split(part.action)
                self._actions[name](self, *words)
            elif part.title:
                self.write(part.title, part.text)
            elif part.language == "sh":
                self.run(part.text)
            elif part.language == "console":
                self.compare(part.text)

    def write(self, title: str, text: str) -> None:
        """Save a file of the page: the whole, what is added to it, or what takes the place of a part."""
        name, _, how = title.partition(" (")
        path, text = self.folder / name, self._here(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        if how == "before)":
            assert path.read_text().count(text) == 1, f"{name} does not have this once:\n{text}"
            self._before = text
        elif how == "after)":
            path.write_text(path.read_text().replace(self._before, text))
        else:
            path.write_text(path.read_text() + text if how == "add)" else text)

    def run(self, script: str) -> None:
        """Run the commands of a block without output; `uvicorn` goes on running, and a new one takes the place of the old."""
        command = self._here(script)
        expected = re.fullmatch(r'pip install(?: "?crossauth\[([\w,]+)\]"?)?((?: [\w-]+)*)\n', command)
        if expected is not None:
            self._extras |= set(filter(None, (expected[1] or "").split(",")))
            install(self._python, self._wheel, ",".join(sorted(self._extras)), *expected[2].split())
        elif "uvicorn " in command:
            self.serve(command)
        else:
            self.shell(command)

    def shell(self, command: str) -> str:
        """Run a command; what it prints."""
        # What a command exports, later ones see, as in one terminal.
        script = f"set -e\n{command}\nenv -0 > {self.folder}/.environment"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        entries = (self.folder / ".environment").read_text().split("\0")
        self.environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)
        (self.folder / ".environment").unlink()
        return done.stdout + done.stderr

    def compare(self, text: str) -> None:
        """Run the commands of a block with output, and compare: `…` stands for anything."""
        for example in re.split(r"(?m)^\$ ", text)[1:]:
            command, _, expected = example.partition("\n")
            found = self.shell(self._here(command)).replace("\r", "")
            pattern = re.escape(self._here(expected.strip())).replace("…", ".*?")
            assert re.fullmatch(pattern, found.strip(), re.DOTALL), f"{command}\nexpected:\n{expected}\nfound:\n{found}"

    def serve(self, command: str) -> None:
        """Start the application, or start it anew."""
        self.stop()
        command = f"exec {command.strip()}" + ("" if "--port" in command else f" --port {self.port}")
        with (self.folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", command], cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx2.get(f"{self.url}/openapi.json", trust_env=False)
                return
            except httpx2.TransportError:
                assert self._server.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.1)

    def log(self) -> str:
        """What the server has printed."""
        return (self.folder / "server.log").read_text()

    def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(30)
            self._server = None

    def form(self, path: str, **fields: str) -> httpx2.Response:
        """Open a page in the browser, fill in its form, and send it; what comes back, after redirects."""
        page = self.browser.get(path, follow_redirects=True)
        assert page.status_code == 200, page.text
        return self.send(page, **fields)

    def send(self, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """Fill in the form of a page that is open, and send it."""
        forms = [_Form(text) for text in re.findall(r"<form.*?</form>", page.text, re.DOTALL)]
        # The form of the page, and not the one that logs out.
        form = next(
            (f for f in forms if set(fields) <= f.names and "csrfToken" in f.hidden and "logout" not in f.action), None
        )
        assert form is not None, f"{page.url} has no form with {sorted(fields)}:\n{page.text}"
        target = str(page.url.join(form.action or str(page.url)))
        return self.browser.post(target, data={**form.hidden, **fields}, follow_redirects=True)

    def _here(self, text: str) -> str:
        for written, known in self.known.items():
            text = text.replace(written, known)
        return text


@contextmanager
def walking(folder: Path, python: Path, wheel: Path, actions: dict[str, Callable[..., None]]) -> Iterator[Walk]:
    """A walk that ends with the block."""
    walk = Walk(folder, python, wheel, actions)
    try:
        yield walk
    finally:
        walk.stop()
        walk.browser.close()
        for client in walk.others.values():
            client.close()

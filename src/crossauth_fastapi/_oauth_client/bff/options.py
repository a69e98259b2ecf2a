"""The options of the backend-for-frontend, read once at the start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.fetch import is_secure_url
from crossauth_fastapi._oauth_client.bff.paths import AllowedPath, is_plain
from crossauth_fastapi._oauth_client.options import BffEndpoint, BffMethod, ClientServerSettings, wrong

METHODS: Final[tuple[str, ...]] = get_args(BffMethod)
_EXAMPLE: Final = 'BffEndpoint(url="/orders", methods=["GET", "POST"], match_sub_urls=True)'
# Of what a path of this site is made: nothing that is encoded, or would be a parameter of a route.
_NAME: Final = re.compile(r"[A-Za-z0-9\-._~]+(?:/[A-Za-z0-9\-._~]+)*")
_URL: Final = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One endpoint of the API that is served.

    Parameters:
        path: its path there.
        methods: those that are passed on.
    """

    path: AllowedPath
    methods: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Between this site and the API.

    Parameters:
        base: URL of the API, without a slash at its end.
        prefix: the path of this application below which the API is served, likewise.
        entries: what is served.
        site_url: where browsers find this site.
        timeout: seconds until an answer has to begin.
        max_body: bytes that a request may have; `None` for any number.
    """

    base: str
    prefix: str
    entries: tuple[Entry, ...]
    site_url: str
    timeout: float
    max_body: int | None

    @property
    def paths(self) -> list[AllowedPath]:
        """The paths of the API that are served."""
        return [entry.path for entry in self.entries]


def read_passage(options: ClientServerSettings, prefix: str, site_url: str, *, is_confidential: bool) -> Passage:
    """What the options say.

    Parameters:
        options: of the client.
        prefix: of its endpoints.
        site_url: where browsers find this site.
        is_confidential: whether the client has a secret.

    Raises:
        CrossauthError: `Configuration`, naming the option and what would be right.
    """
    if not is_confidential:
        raise wrong(
            "option 'bff_endpoints': a backend-for-frontend is a confidential client: give it a 'client_secret'"
        )
    name = options.bff_endpoint_name.strip("/")
    if not _NAME.fullmatch(name) or any(set(part) == {"."} for part in name.split("/")):
        raise wrong(
            f"option 'bff_endpoint_name': {name!r} must be a name such as 'bff', of letters, digits, '-', '_' and '.'"
        )
    return Passage(
        base=_base(options.bff_base_url), prefix=f"{prefix.rstrip('/')}/{name}", site_url=site_url,
        entries=tuple(_entries(options.bff_endpoints)), timeout=options.bff_timeout, max_body=options.bff_max_body_size,
    )  # fmt: skip


def _base(url: str | None) -> str:
    if url is None:
        raise wrong("option 'bff_base_url' is missing: the URL of the API whose endpoints 'bff_endpoints' names")
    if not is_secure_url(url) or "?" in url or not is_plain(urlsplit(url).path or "/"):
        raise wrong(
            f"option 'bff_base_url': {url!r} must be an https URL such as 'https://api.example.com/v1' (http only to this "
            "machine), without query, credentials or dot segments"
        )
    return url.rstrip("/")


def _entries(given: Sequence[Any]) -> Iterator[Entry]:
    seen: set[tuple[str, str]] = set()
    for item in given:
        entry = _entry(item)
        for method in entry.methods:
            if (entry.path.url, method) in seen:
                raise wrong(f"option 'bff_endpoints': {method} {entry.path.url!r} is there twice")
            seen.add((entry.path.url, method))
        yield entry


def _entry(item: Any) -> Entry:
    try:
        found = BffEndpoint(**item) if isinstance(item, Mapping) else BffEndpoint(*item)
    except TypeError:
        raise _bad(item, "is none") from None
    url, methods, below = found
    if not isinstance(url, str) or not _URL.fullmatch(url) or not is_plain(url):
        raise _bad(url, "must be a path that begins with '/', without query, parameters or anything encoded")
    if isinstance(methods, str) or not isinstance(methods, Sequence) or not methods:
        raise _bad(methods, "must be a list of methods")
    names = [method.upper() if isinstance(method, str) else method for method in methods]
    unknown = [method for method in names if method not in METHODS]
    if unknown:
        raise _bad(unknown[0], f"is no method that is passed on; there are {', '.join(METHODS)}")
    if not isinstance(below, bool):
        raise _bad(below, "must be True or False")
    return Entry(AllowedPath(url, below), frozenset(names))


def _bad(value: object, problem: str) -> CrossauthError:
    return wrong(f"option 'bff_endpoints': {str(value)[:100]!r} {problem}; write {_EXAMPLE}")

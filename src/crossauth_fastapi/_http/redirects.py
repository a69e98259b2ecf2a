"""Where a browser may be sent after a form."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import RedirectResponse

from crossauth_backend.core.lookalikes import has_control_characters

logger = logging.getLogger("crossauth.pages")
_SAFE: Final = "/:?#[]@!$&'()*+,;=%~-._"
# As much as servers and proxies are to take of a request line (RFC 9112 §3), and not much less than most of them do: a browser
# would not get further with a longer one.
MAX_TARGET: Final = 8000


def local_path(target: str | None, default: str) -> str:
    """`target` if it is a path of this site, else `default`.

    Browsers read `//host`, `/\\host` and a path with a tab in it as other sites, so none of these is a path (OWASP
    unvalidated redirects).

    One that is longer than 8000 bytes, as a browser writes it, is not followed either, and the log says so at level `DEBUG`. A
    flow that needs more keeps it on the server, see `accounts.interaction`.
    """
    if (
        not target
        or not target.startswith("/")
        or target.startswith("//")
        or "\\" in target
        or has_control_characters(target)
    ):
        return default
    if len(target) > MAX_TARGET or len(quote(target, safe=_SAFE)) > MAX_TARGET:
        logger.debug("a path to go on to has more than %d bytes, and is left out", MAX_TARGET)
        return default
    return target


def with_query(url: str, **query: str) -> str:
    """`url` with the given query parameters, empty ones left out."""
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items() if value)
    return f"{url}?{pairs}" if pairs else url


def with_more_query(url: str, parameters: Mapping[str, str]) -> str:
    """`url` with more query parameters, as a form has them (RFC 6749 §4.1.2); its own stay, and empty values count."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters, errors='replace')}"


def see_other(url: str) -> RedirectResponse:
    """After a form: 303, so that the browser does not send the credentials again (RFC 9700 §4.12)."""
    return RedirectResponse(quote(url, safe=_SAFE), 303)


def found(url: str) -> RedirectResponse:
    """After a link: 302."""
    return RedirectResponse(quote(url, safe=_SAFE), 302)

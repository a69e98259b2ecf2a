"""Who may have a request passed on: a page of this site.

The session's cookie goes along with what a page of another site has a browser send. A changing request needs the CSRF token of
the session, in its header; every request has to come from a page of this site, as far as browsers say where from (RFC 10017).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import Request

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.origins import is_own_page
from crossauth_fastapi._middleware.decision import csrf_refusal
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState

# What would run with the rights of this site, whatever its headers say (Fetch §2.2.7).
_NOT_FOR: Final = frozenset(
    (
        "script", "style", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet", "xslt", "manifest",
        "speculationrules", "webidentity", "report", "fencedframe",
    )
)  # fmt: skip


def check_page(state: RequestState, site_url: str) -> None:
    """Refuse a request of a page of another site, and what this site would execute.

    Parameters:
        state: the request.
        site_url: where browsers find this site.

    Raises:
        CrossauthError: `Forbidden`.
    """
    if not is_own_page(state.scheme, state.headers, site_url=site_url):
        raise CrossauthError(ErrorCode.Forbidden, "This can be asked for by pages of this site only")
    if state.header(b"sec-fetch-dest") in _NOT_FOR:
        raise CrossauthError(ErrorCode.Forbidden, "What the API says is data, and not a part of this site")


ForeignCheck = Callable[[Request], Awaitable[bool]]
"""Whether a request has the CSRF token that sessions of another framework need, if they need one."""


async def check_csrf(request: Request, state: RequestState, foreign: ForeignCheck | None) -> None:
    """Refuse a changing request without the session's CSRF token in the header: the body is the API's.

    Parameters:
        request: the request.
        state: of the request.
        foreign: what knows the tokens of another framework; `None` where sessions are ours.

    Raises:
        CrossauthError: `InvalidCsrf`.
    """
    if state.method in SAFE_METHODS:
        return
    if foreign is not None:
        if not await foreign(request):
            raise csrf_refusal(state)
        return
    header = state.site.csrf_header
    if header is None or not state.header(header) or not state["csrf_token"]:
        raise csrf_refusal(state)


def check_socket(state: RequestState, site_url: str) -> None:
    """Refuse a WebSocket that no page of this site opens: a browser always says which does (RFC 6455 §10.2).

    Raises:
        CrossauthError: `Forbidden`.
    """
    if not state.header(b"origin"):
        raise CrossauthError(ErrorCode.Forbidden, "A WebSocket has to be opened by a page, which names its origin")
    check_page(state, site_url)

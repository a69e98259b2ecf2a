"""Who may have a request passed on: a page of this site.

The session's cookie goes along with what a page of another site has a browser send. A changing request needs the CSRF token of
the session, in its header; every request has to come from a page of this site, as far as browsers say where from (RFC 10017).
"""

from __future__ import annotations

from typing import Final

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
    if not is_own_page(state.scheme, state.headers_, site_url=site_url):
        raise CrossauthError(ErrorCode.Forbidden, "This can be asked for by pages of this site only")
    if state.header(b"sec-fetch-dest") in _NOT_FOR:
        raise CrossauthError(ErrorCode.Forbidden, "What the API says is data, and not a part of this site")


def check_csrf_header(state: RequestState) -> None:
    """Refuse a changing request without the session's CSRF token in the header: the body is the API's.

    Raises:
        CrossauthError: `InvalidCsrf`.
    """
    if state.method_ in SAFE_METHODS:
        return
    header = state.site.csrf_header
    # Without a header of ours, sessions are another framework's, which says itself whether the token was good.
    if header is not None and not state.header(header):
        raise csrf_refusal(state)
    if header is None and state["auth_type"] == "session":
        return
    if not state["csrf_token"]:
        raise csrf_refusal(state)


def check_socket(state: RequestState, site_url: str) -> None:
    """Refuse a WebSocket that no page of this site opens: a browser always says which does (RFC 6455 §10.2).

    Raises:
        CrossauthError: `Forbidden`.
    """
    if not state.header(b"origin"):
        raise CrossauthError(ErrorCode.Forbidden, "A WebSocket has to be opened by a page, which names its origin")
    check_page(state, site_url)

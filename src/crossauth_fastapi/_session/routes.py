"""The routes of a session server that are no actions: what a script asks, the stylesheet and the script."""

from __future__ import annotations

import gzip
from functools import cache

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from crossauth_fastapi._http.errors import NO_STORE
from crossauth_fastapi._http.openapi import schemes, security_requirement
from crossauth_fastapi._middleware.identity import OIDC
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._pages.brand import FAVICON, STYLESHEET, Brand
from crossauth_fastapi._pages.script import SCRIPT, script
from crossauth_fastapi._session.bodies import CsrfAnswer, UserAnswer
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.groups import ACCOUNT_TAG


def session_routes(router: APIRouter, ctx: SessionContext) -> None:
    """What a script asks: who is logged in."""

    async def user_for_session_key(request: Request) -> Response:
        state = state_of(request)
        user, token = state["user"], ctx.source.csrf.token_for_page(state)
        # Whoever is known by an ID token alone is not logged in here.
        is_here = user is not None and state["auth_type"] != OIDC
        view = {"ok": True, "user": ctx.public(user) if is_here else None, "csrfToken": token}
        return JSONResponse(view, headers=NO_STORE)

    for method in ("GET", "POST"):
        router.add_api_route(
            f"{ctx.prefix}api/userforsessionkey", user_for_session_key, methods=[method], response_model=None,
            name=f"userforsessionkey:{method.lower()}", summary="Get the current user",
            operation_id=_operation_id("account_current_user", method),
            responses={200: {"model": UserAnswer}}, tags=[ACCOUNT_TAG], openapi_extra=security_requirement(session=True),
        )  # fmt: skip


def csrf_routes(router: APIRouter, ctx: SessionContext) -> None:
    """What a script needs before it may change anything: a CSRF token."""

    async def get_csrf_token(request: Request) -> Response:
        token = state_of(request)["csrf_token"] or ctx.source.csrf.token_for_page(state_of(request))
        return JSONResponse({"ok": True, "csrfToken": token}, headers=NO_STORE)

    for method in ("GET", "POST"):
        router.add_api_route(
            f"{ctx.prefix}api/getcsrftoken", get_csrf_token, methods=[method], response_model=None,
            name=f"getcsrftoken:{method.lower()}", summary="Get a CSRF token",
            operation_id=_operation_id("account_csrf_token", method),
            responses={200: {"model": CsrfAnswer}}, tags=[ACCOUNT_TAG], openapi_extra=security_requirement(),
            dependencies=[Depends(scheme) for scheme in schemes(ctx.manager.csrf_header_name, ctx.session_scheme)],
        )  # fmt: skip


def static_routes(router: APIRouter, prefix: str, brand: Brand) -> None:
    """The stylesheet, the script and the icon of the default pages. Their URLs change with their content: kept for a year."""

    async def stylesheet(request: Request) -> Response:
        content, version = brand.stylesheet
        return _packed(request, content, "text/css", _kept(request, version))

    async def favicon(request: Request) -> Response:
        content, version = brand.favicon
        # Opened by itself it is a document, which may run nothing.
        policy = {"Content-Security-Policy": "default-src 'none'"}
        return Response(content, media_type="image/svg+xml", headers=_kept(request, version) | policy)

    async def small_script(request: Request) -> Response:
        content, version = script()
        return _packed(request, content, "text/javascript", _kept(request, version))

    for name, content in ((STYLESHEET, stylesheet), (SCRIPT, small_script), (FAVICON, favicon)):
        router.add_api_route(prefix + name, content, methods=["GET"], include_in_schema=False)


def _kept(request: Request, version: str) -> dict[str, str]:
    """How long caches may keep a file of ours: a year at the URL of its content, else not at all.

    While an update is rolled out, an old worker is asked for the files of new pages. Its answer must not stay in caches under
    their URLs, nor may anybody put it there before.
    """
    known = request.query_params.get("v") == version
    lasts = "public, max-age=31536000, immutable" if known else "no-cache"
    return {"Cache-Control": lasts, "X-Content-Type-Options": "nosniff"}


def _packed(request: Request, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    """A file of ours, compressed where the browser takes that: there is no secret in it that its length could give away."""
    headers = {**headers, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"], content = "gzip", _compressed(content)
    return Response(content, media_type=media_type, headers=headers)


@cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _operation_id(name: str, method: str) -> str:
    return name if method == "GET" else f"{name}_by_post"

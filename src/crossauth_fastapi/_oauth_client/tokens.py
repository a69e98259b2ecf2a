"""Looking at the tokens in the session, and forgetting them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from crossauth_fastapi._actions.forms import CsrfBody, Ok
from crossauth_fastapi._actions.request import read_body
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import NO_STORE, as_reason, with_retry_after
from crossauth_fastapi._http.redirects import local_path
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.bodies import DecodeBody, HaveAnswer, OwnClaims, ShownTokens
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint, Handler
from crossauth_fastapi._oauth_client.steps import page_error, provider_name, refuse_in_json
from crossauth_fastapi._oauth_client.tokenviews import KINDS, Kind, all_tokens, one_token, token_of


def showing(kind: Kind) -> Handler:
    """What shows a token of the session: its claims, or with `decode` false itself. 204 where there is none."""

    async def show(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
        found = await ctx.tokens.load(request)
        told = None if found is None else one_token(found, kind, _decode(form), ctx.options.jwt_tokens)
        return _told(told)

    return show


def having(kind: Kind) -> Handler:
    """What says whether the session has a token of a kind."""

    async def have(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
        found = await ctx.tokens.load(request)
        return _told({"ok": found is not None and token_of(found, kind) is not None})

    return have


async def show_all(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Show all tokens of the session: their claims, and with `decode` false those themselves that may be given."""
    found = await ctx.tokens.load(request)
    options = ctx.options
    told = None if found is None else all_tokens(found, options.token_endpoints, _decode(form), options.jwt_tokens)
    return _told(told)


async def show_deletion(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """The page that asks whether to forget the tokens."""
    return _page(ctx, request, {"next": local_path(form.getAsStr("next"), "")})


async def delete(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Forget the tokens, and say so on a page."""
    await _delete(ctx, request)
    return _page(ctx, request, {"ok": True, "next": local_path(form.getAsStr("next"), "")})


async def delete_in_json(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Forget the tokens."""
    await _delete(ctx, request)
    return _told({"ok": True})


async def refuse_deletion(ctx: ClientContext, request: Request, e: Exception) -> Response:
    """The page again, with what was wrong."""
    reason = as_reason(e)
    return with_retry_after(_page(ctx, request, {"ok": False, **page_error(reason)}, reason.http_status), reason)


async def _delete(ctx: ClientContext, request: Request) -> None:
    found = await ctx.tokens.load(request)
    await ctx.tokens.delete(request)
    if found is not None and found.refresh_token is not None:
        # Nobody has it any more; it need not be good until it ends (RFC 7009 §1). Whether that is done, changes nothing here.
        await ctx.client.revoke(found.refresh_token, "refresh_token")


def _decode(form: JsonOrFormData) -> bool:
    decode = read_body(DecodeBody, form).decode
    return decode is None or decode


def _told(told: Mapping[str, Any] | None) -> Response:
    if told is None:
        return Response(status_code=204, headers=NO_STORE)
    return JSONResponse(dict(told), headers=NO_STORE)


def _page(ctx: ClientContext, request: Request, variables: Mapping[str, Any], status: int = 200) -> Response:
    path = ctx.options.delete_tokens_post_url
    urls = {} if path is None else {"deletetokens": state_of(request).url(ctx.prefix + path)}
    provided = {"urls": urls, "provider": provider_name(ctx), **variables}
    return ctx.render(request, ctx.options.page("delete_tokens_page"), provided, status)


def _has_sessions(ctx: ClientContext) -> bool:
    return ctx.has_sessions


def _of_kind(kind: Kind) -> tuple[ClientEndpoint, ClientEndpoint]:
    """The endpoints of one kind of token, each there only where it is named."""
    what = kind.replace("_", " ").replace("id token", "ID token")
    view = ClientEndpoint(
        name=kind, method="POST", handler=showing(kind), enabled=lambda ctx: kind in ctx.options.token_endpoints,
        refused=refuse_in_json, summary=f"Show the {what} of the session", operation_id=f"oauth_client_{kind}",
        body=DecodeBody, answer=OwnClaims, may_be_empty=True,
    )  # fmt: skip
    had = ClientEndpoint(
        name=f"have_{kind}", method="POST", handler=having(kind), refused=refuse_in_json,
        enabled=lambda ctx: f"have_{kind}" in ctx.options.token_endpoints,
        summary=f"Say whether the session has an {what}" if what[0] in "aI" else f"Say whether the session has a {what}",
        operation_id=f"oauth_client_have_{kind}", body=CsrfBody, answer=HaveAnswer,
    )  # fmt: skip
    return view, had


ENDPOINTS: Final = (
    *(endpoint for kind in KINDS for endpoint in _of_kind(kind)),
    ClientEndpoint(
        name="tokens", method="POST", handler=show_all, enabled=_has_sessions, refused=refuse_in_json,
        summary="Show the tokens of the session", operation_id="oauth_client_tokens", body=DecodeBody, answer=ShownTokens,
        may_be_empty=True,
    ),
    ClientEndpoint(
        name="deletetokens", option="delete_tokens_get_url", only_named=True, method="GET", handler=show_deletion,
        page=True, summary="Confirm deleting the tokens of the session", operation_id="oauth_client_delete_tokens_page",
        templates=("delete_tokens_page",),
    ),
    ClientEndpoint(
        name="deletetokens", option="delete_tokens_post_url", only_named=True, method="POST", handler=delete, page=True,
        refused=refuse_deletion, summary="Delete the tokens of the session and show a page",
        operation_id="oauth_client_delete_tokens_form", templates=("delete_tokens_page",),
    ),
    ClientEndpoint(
        name="api/deletetokens", option="api_delete_tokens_post_url", only_named=True, method="POST",
        handler=delete_in_json, refused=refuse_in_json, summary="Delete the tokens of the session",
        operation_id="oauth_client_delete_tokens", answer=Ok,
    ),
)  # fmt: skip

"""The device code flow (RFC 8628): this browser shows a code, and the user confirms it on another device.

What a browser gets as `device_code` is sealed: it can ask here whether the flow is complete, and take it nowhere else. The page
needs no script: its button asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import is_secure_url
from crossauth_backend.core.qr import qr_code
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client import OAuthDeviceAuthorizationResponse, OAuthFlows, OAuthTokenResponse
from crossauth_fastapi._actions.request import read_body
from crossauth_fastapi._http.bodies import JsonOrFormData, bad_request
from crossauth_fastapi._http.errors import NO_STORE, as_reason, with_retry_after
from crossauth_fastapi._middleware.refusals import prefers_html
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.answers import answer_tokens, as_crossauth_error, error_fields
from crossauth_fastapi._oauth_client.bodies import (
    DeviceCodeBodyType,
    DeviceCodeFlowResponse,
    DeviceCodePollBodyType,
    TokensGiven,
)
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint
from crossauth_fastapi._oauth_client.steps import (
    WAITING,
    answer_in_json,
    browser_of,
    count,
    count_flow,
    is_users,
    marked_browser,
    page_error,
    provider_name,
    scope_of,
)

_KIND: Final = "device code"
# RFC 8628 §3.2 names 5 seconds where the provider says nothing; its codes end by themselves, ours no later than this.
_INTERVAL: Final = 5
_MOST_SECONDS: Final = 3600
_DEFAULT_SECONDS: Final = 600
# RFC 8628 §3.5.
_SLOWER: Final = 5
_NOTICES: Final = {
    "authorization_pending": mark("Not confirmed yet. Confirm the code on the other device, then try again."),
    "slow_down": mark("That was too early. Wait a few seconds, then try again."),
}


async def begin_page(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Begin the flow, and show the code."""
    scope = ""
    try:
        scope = read_body(DeviceCodeBodyType, form).scope or ""
        return _page(ctx, request, await _begin(ctx, request, scope))
    except CrossauthError as e:
        reason = as_reason(e)
        view = {"scope": scope, **page_error(reason)}
        return with_retry_after(_page(ctx, request, view, reason.http_status), reason)


async def begin_json(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Begin the flow, and say the code."""
    begun = await _begin(ctx, request, read_body(DeviceCodeBodyType, form).scope or "")
    code = qr_code(begun.get("verification_uri_complete") or begun["verification_uri"])
    drawn = {} if code is None else {"verification_uri_qrdata": code.png}
    return JSONResponse({"ok": True, **begun, **drawn}, headers=NO_STORE)


async def poll_page(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Ask whether the flow is complete: a form's button gets the page again while it is not, a script JSON."""
    begun: dict[str, Any] = {}
    try:
        begun = _open(ctx, request, read_body(DeviceCodePollBodyType, form).device_code)
        response = await _poll(ctx, request, begun)
    except CrossauthError as e:
        if not prefers_html(request) or not is_users(e) or ctx.options.errors_as != "json_error":
            raise
        reason = as_reason(e)
        view = {"scope": begun.get("scope", ""), **page_error(reason)}
        return with_retry_after(_page(ctx, request, view, reason.http_status), reason)
    if "error" not in response:
        return await answer_tokens(ctx, request, response, OAuthFlows.DeviceCode)
    if not prefers_html(request):
        return _waiting(begun, response)
    view = {**_shown(ctx, begun), "device_code": form.get("device_code"), "notice": _NOTICES[response["error"]]}
    return _page(ctx, request, view)


async def poll_json(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Ask whether the flow is complete."""
    begun = _open(ctx, request, read_body(DeviceCodePollBodyType, form).device_code)
    response = await _poll(ctx, request, begun)
    if "error" in response:
        return _waiting(begun, response)
    return await answer_in_json(ctx, request, response, OAuthFlows.DeviceCode)


async def refuse_json(ctx: ClientContext, request: Request, e: Exception) -> Response:
    """An error of the JSON endpoints, with its name in OAuth beside the documented fields."""
    reason = as_reason(e)
    named = {"error": reason.oauthErrorCode, "error_description": reason.message}
    return with_retry_after(
        JSONResponse({"ok": False, **error_fields(reason), **named}, reason.http_status, headers=NO_STORE), reason
    )


async def _begin(ctx: ClientContext, request: Request, scope: str) -> dict[str, Any]:
    """Begin the flow: what the user is shown, with the device code sealed.

    Raises:
        CrossauthError: what the provider says; `TooManyAttempts`.
    """
    scope = scope_of(ctx, scope)
    await count_flow(ctx, request)
    response = await ctx.client.start_device_code_flow(scope=scope or None)
    if "error" in response:
        raise as_crossauth_error(response)
    return _sealed(ctx, request, response, scope)


def _sealed(
    ctx: ClientContext, request: Request, response: OAuthDeviceAuthorizationResponse, scope: str
) -> dict[str, Any]:
    seconds = min(max(response.get("expires_in", _DEFAULT_SECONDS), 1), _MOST_SECONDS)
    expires = ctx.now + timedelta(seconds=seconds)
    interval = min(max(response.get("interval", _INTERVAL), 1), _MOST_SECONDS)
    begun = {
        "device_code": response["device_code"],
        "user_code": response["user_code"],
        "verification_uri": _page_url(response["verification_uri"]),
        "interval": interval,
        "expires_at": int(expires.timestamp()),
        "scope": scope,
    }
    if response.get("verification_uri_complete"):
        begun["verification_uri_complete"] = _page_url(response["verification_uri_complete"])
    sealed = ctx.seals.seal(_KIND, begun, marked_browser(ctx, request), expires)
    return {**_shown(ctx, begun), "device_code": sealed}


def _shown(ctx: ClientContext, begun: Mapping[str, Any]) -> dict[str, Any]:
    """What the user is shown of a flow: all but the device code, and the time left in place of the end."""
    left = max(0, begun["expires_at"] - int(ctx.now.timestamp()))
    stored = {name: value for name, value in begun.items() if name not in ("device_code", "expires_at")}
    return {**stored, "expires_in": left}


def _page_url(url: str) -> str:
    """A URL that the user is to open.

    Raises:
        CrossauthError: `FetchError` for anything but a page, such as a script: it becomes a link.
    """
    if not is_secure_url(url):
        raise CrossauthError(ErrorCode.FetchError, detail="the verification URI is no https URL", status=502)
    return url


def _open(ctx: ClientContext, request: Request, sealed: str) -> dict[str, Any]:
    if not sealed:
        raise bad_request("device_code is missing")
    try:
        return ctx.seals.open(_KIND, sealed, browser_of(ctx, request), ctx.now)
    except CrossauthError as e:
        if e.code is not ErrorCode.Expired:
            raise
        raise CrossauthError(ErrorCode.ExpiredToken, mark("The code has expired. Get a new one.")) from e


async def _poll(ctx: ClientContext, request: Request, begun: Mapping[str, Any]) -> OAuthTokenResponse:
    """Ask the provider: tokens, or an error after which asking again helps.

    Raises:
        CrossauthError: any other error; `TooManyAttempts`.
    """
    await count(ctx, request, device_poll=hash_token(begun["device_code"]))
    response = await ctx.client.poll_device_code_flow(begun["device_code"])
    if "error" in response and response["error"] not in WAITING:
        raise as_crossauth_error(response)
    return response


def _waiting(begun: Mapping[str, Any], response: OAuthTokenResponse) -> Response:
    """That the user has not confirmed yet, as a token endpoint says it."""
    interval = begun["interval"] + (_SLOWER if response["error"] == "slow_down" else 0)
    return JSONResponse(
        {
            "ok": False,
            "error": response["error"],
            "error_description": _NOTICES[response["error"]],
            "interval": interval,
        },
        headers=NO_STORE,
    )


def _page(ctx: ClientContext, request: Request, variables: Mapping[str, Any], status: int = 200) -> Response:
    state, options = state_of(request), ctx.options
    paths = {"device": options.device_code_flow_url, "devicepoll": options.device_code_poll_url}
    code = qr_code(str(variables.get("verification_uri_complete") or variables.get("verification_uri") or ""))
    drawn = {} if code is None else {"qrSvg": code.svg, "verification_uri_qrdata": code.png}
    until = datetime.fromtimestamp(ctx.now.timestamp() + variables.get("expires_in", 0), UTC)
    provided = {
        "urls": {name: state.url(ctx.prefix + path) for name, path in paths.items()},
        "provider": provider_name(ctx),
        "expires_text": f"{until:%H:%M} UTC",
        **drawn,
        **variables,
    }
    return ctx.render(request, options.page("device_code_flow_page"), provided, status)


_FLOW: Final = (OAuthFlows.DeviceCode,)
_BEGIN: Final = ClientEndpoint(
    name="devicecodeflow", option="device_code_flow_url", method="POST", handler=begin_page, flows=_FLOW, page=True,
    summary="Start the device code flow and show the code", operation_id="oauth_client_device_code_flow_page",
    body=DeviceCodeBodyType, templates=("device_code_flow_page",), limits=("oauth_flow_address",),
)  # fmt: skip
_API_BEGIN: Final = ClientEndpoint(
    name="devicecodeflow", option="device_code_flow_url", api=True, method="POST", handler=begin_json, flows=_FLOW,
    refused=refuse_json, summary="Start the device code flow", operation_id="oauth_client_device_code_flow",
    body=DeviceCodeBodyType, answer=DeviceCodeFlowResponse, limits=("oauth_flow_address",),
)  # fmt: skip
_POLL: Final = ClientEndpoint(
    name="devicecodepoll", option="device_code_poll_url", method="POST", handler=poll_page, flows=_FLOW,
    summary="Poll the device code flow and continue when it is complete",
    operation_id="oauth_client_device_code_poll_page", body=DeviceCodePollBodyType, answer=TokensGiven, limits=("device_poll",),
)  # fmt: skip
_API_POLL: Final = ClientEndpoint(
    name="devicecodepoll", option="device_code_poll_url", api=True, method="POST", handler=poll_json, flows=_FLOW,
    refused=refuse_json, summary="Poll the device code flow", operation_id="oauth_client_device_code_poll",
    body=DeviceCodePollBodyType, answer=TokensGiven, limits=("device_poll",),
)  # fmt: skip
ENDPOINTS: Final = (_BEGIN, _API_BEGIN, _POLL, _API_POLL)

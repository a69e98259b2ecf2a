"""The password flow (RFC 6749 §4.3), and the second factor that a provider asks for in it, as Auth0 does.

The user gives this site the password of another one. RFC 9700 §2.4 advises against it; it is here for providers of one's own that
have no pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import normalize
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client import OAuthFlows, OAuthMfaChallengeResponse, OAuthTokenResponse
from crossauth_fastapi._actions.fielderrors import field_variables
from crossauth_fastapi._actions.request import read_body
from crossauth_fastapi._http.bodies import JsonOrFormData, bad_request
from crossauth_fastapi._http.errors import NO_STORE, as_reason, with_retry_after
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.answers import answer_tokens, as_crossauth_error
from crossauth_fastapi._oauth_client.bodies import OobBody, OtpBody, PasswordBody, ScopeBody, TokensGiven
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint
from crossauth_fastapi._oauth_client.secondfactors import Chosen, choose_factor
from crossauth_fastapi._oauth_client.steps import (
    LASTS,
    UNAVAILABLE,
    WAITING,
    browser_of,
    count,
    counted_by,
    is_users,
    limited,
    marked_browser,
    page_error,
    provider_name,
    scope_of,
    wants_json,
)

_FLOWS: Final = (OAuthFlows.Password, OAuthFlows.PasswordMfa)
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "password_flow_page": ("username", "password"), "mfa_otp_page": ("otp",), "mfa_oob_page": ("binding_code",),
}  # fmt: skip
_MFA: Final = "second factor"
_OOB: Final = "out-of-band code"
_NO_FACTOR: Final = mark("Logging in there requires a second factor, and none of yours can be used here")
# What is no try: the provider could not look at what was sent, or waits for something else.
_NOT_COUNTED: Final = (None, "mfa_required", *UNAVAILABLE, *WAITING)
_PENDING: Final = mark("Not confirmed yet. Confirm it where the message arrived, then continue.")


async def show(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """The page that asks for username and password."""
    return _page(ctx, request, "password_flow_page", {"scope": form.getAsStr("scope") or "", "username": ""})


async def submit(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Log in with username and password, or ask for the second factor."""
    try:
        return await _log_in(ctx, request, read_body(PasswordBody, form))
    except CrossauthError as e:
        view = {"scope": form.get("scope") or "", "username": form.get("username") or ""}
        return _again(ctx, request, "password_flow_page", view, e)


async def submit_otp(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Log in with the code of the user's own device."""
    body = read_body(OtpBody, form)
    sealed = _open(ctx, request, _MFA, body.mfa_token)
    view = {"mfa_token": body.mfa_token, "scope": body.scope or "", "challenge_type": body.challenge_type or "otp"}
    try:
        if not body.otp:
            raise bad_request(mark("Enter the code"))
        async with _one_try(ctx, request, sealed):
            response = await ctx.client.mfa_otp_complete(sealed["token"], body.otp, scope_of(ctx, body.scope) or None)
            _check_code(response)
        _check_available(response)
    except CrossauthError as e:
        return _again(ctx, request, "mfa_otp_page", view, e)
    return await answer_tokens(ctx, request, response, OAuthFlows.PasswordMfa)


async def submit_oob(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Log in with the code that was sent, or after it was confirmed where it arrived."""
    body = read_body(OobBody, form)
    sealed = _open(ctx, request, _MFA, body.mfa_token)
    sent = _open(ctx, request, _OOB, body.oob_code)
    names = ("mfa_token", "oob_code", "scope", "oob_channel", "challenge_type", "binding_method", "name")
    view = {name: getattr(body, name) or "" for name in names}
    try:
        # What waits for a confirmation is no try, and asks the provider all the same.
        await count(ctx, request, device_poll=hash_token(sealed["token"]))
        async with _one_try(ctx, request, sealed):
            code = body.binding_code or body.oob or ""
            if sent["binding_method"] and not code:
                raise bad_request(mark("Enter the code"))
            response = await ctx.client.mfa_oob_complete(
                sealed["token"], sent["code"], code, scope_of(ctx, body.scope) or None
            )
            _check_code(response)
        _check_available(response)
    except CrossauthError as e:
        return _again(ctx, request, "mfa_oob_page", view, e)
    if "error" in response:
        return _page(ctx, request, "mfa_oob_page", {**view, "notice": _PENDING})
    return await answer_tokens(ctx, request, response, OAuthFlows.PasswordMfa)


async def _log_in(ctx: ClientContext, request: Request, body: PasswordBody) -> Response:
    if not body.username or not body.password:
        raise bad_request(mark("Enter your username and password"))
    scope = scope_of(ctx, body.scope)
    account, address = counted_by(ctx, normalize(body.username)), ctx.origin(request).address
    async with limited(ctx, request, login_account=account, login_address=address, login_total_address=address):
        response = await ctx.client.password_flow(body.username, body.password, scope or None)
        error = response.get("error")
        if error == "invalid_grant":
            raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
        if error not in _NOT_COUNTED:
            raise as_crossauth_error(response)
    if error in (*UNAVAILABLE, *WAITING):
        raise as_crossauth_error(response)
    if error is None:
        return await answer_tokens(ctx, request, response, OAuthFlows.Password)
    if not ctx.has_flow(OAuthFlows.PasswordMfa) or not response.get("mfa_token"):
        raise CrossauthError(ErrorCode.MfaRequired, _NO_FACTOR)
    return await _ask(ctx, request, response["mfa_token"], scope, account)


async def _ask(ctx: ClientContext, request: Request, mfa_token: str, scope: str, account: str) -> Response:
    """The page that asks for a second factor, after the provider was told which."""
    found = await ctx.client.mfa_authenticators(mfa_token)
    if "error" in found:
        raise as_crossauth_error(found)
    chosen = choose_factor(found.get("authenticators", []))
    if chosen is None:
        raise CrossauthError(ErrorCode.MfaRequired, _NO_FACTOR)
    if chosen.kind == "oob":
        # A message is sent, whoever it is that knows the password.
        await count(ctx, request, code_account=account)
    challenge = await _challenge(ctx, mfa_token, chosen)
    browser, expires = marked_browser(ctx, request), ctx.now + LASTS
    sealed = ctx.seals.seal(_MFA, {"token": mfa_token, "account": account}, browser, expires)
    view = {"mfa_token": sealed, "scope": scope, "challenge_type": chosen.kind}
    if chosen.kind == "otp":
        return _page(ctx, request, "mfa_otp_page", view)
    method = challenge.get("binding_method", "")
    code = {"code": challenge.get("oob_code", ""), "binding_method": method}
    return _page(
        ctx, request, "mfa_oob_page",
        {
            **view, "oob_code": ctx.seals.seal(_OOB, code, browser, expires), "binding_method": method,
            "oob_channel": challenge.get("oob_channel") or chosen.channel, "name": challenge.get("name") or chosen.name,
        },
    )  # fmt: skip


async def _challenge(ctx: ClientContext, mfa_token: str, chosen: Chosen) -> OAuthMfaChallengeResponse:
    ask = ctx.client.mfa_otp_request if chosen.kind == "otp" else ctx.client.mfa_oob_request
    challenge = await ask(mfa_token, chosen.id)
    if "error" in challenge:
        raise as_crossauth_error(challenge)
    return challenge


def _one_try(ctx: ClientContext, request: Request, sealed: Mapping[str, Any]) -> Any:
    """One try at a code, which counts unless it is right."""
    return limited(
        ctx, request, factor2_challenge=hash_token(sealed["token"]), factor2_account=sealed["account"],
        factor2_address=ctx.origin(request).address,
    )  # fmt: skip


def _check_code(response: OAuthTokenResponse) -> None:
    """Raise the error of a response, where it is about the code."""
    error = response.get("error")
    if error == "invalid_grant":
        raise CrossauthError(ErrorCode.InvalidToken, mark("Invalid code"))
    if error not in _NOT_COUNTED or error == "mfa_required":
        raise as_crossauth_error(response)


def _check_available(response: OAuthTokenResponse) -> None:
    """Raise the error of a response, where the provider has not looked at the code."""
    if response.get("error") in UNAVAILABLE:
        raise as_crossauth_error(response)


def _open(ctx: ClientContext, request: Request, kind: str, text: str) -> dict[str, Any]:
    if not text:
        raise bad_request(mark("The %(kind)s is missing", kind=kind))
    return ctx.seals.open(kind, text, browser_of(ctx, request), ctx.now)


def _again(ctx: ClientContext, request: Request, page: str, shown: Mapping[str, Any], e: CrossauthError) -> Response:
    """The form with what was wrong; what the user can do nothing about is raised, and what a script asked for."""
    if not is_users(e) or wants_json(request):
        raise e
    reason = as_reason(e)
    return with_retry_after(
        _page(ctx, request, page, {**shown, **page_error(reason), **_wrong_fields(page, reason)}, reason.http_status),
        reason,
    )


def _wrong_fields(page: str, e: CrossauthError) -> dict[str, object]:
    """The fields that a page marks. A provider does not say which it means; what it counts is about none."""
    names = () if e.http_status == 429 else _FIELDS.get(page, ())
    return field_variables({name: e.messages if name == names[-1] else [] for name in names})


def _page(ctx: ClientContext, request: Request, page: str, variables: Mapping[str, Any], status: int = 200) -> Response:
    """A page; for a script, the same variables as JSON."""
    if wants_json(request):
        return JSONResponse({"ok": False, "error": "mfa_required", **variables}, status, headers=NO_STORE)
    state = state_of(request)
    paths = {
        "password": ctx.options.password_flow_url,
        "otp": ctx.options.password_otp_url or "passwordotp",
        "oob": ctx.options.password_oob_url or "passwordoob",
    }
    urls = {name: state.url(ctx.prefix + path) for name, path in paths.items()}
    provided = {"urls": urls, "provider": provider_name(ctx), **variables}
    return ctx.render(request, ctx.options.page(page), provided, status)


_SHOW: Final = ClientEndpoint(
    name="passwordflow", option="password_flow_url", method="GET", handler=show, flows=_FLOWS, page=True,
    summary="Ask for username and password", operation_id="oauth_client_password_flow_page", body=ScopeBody,
    templates=("password_flow_page",),
)  # fmt: skip
_SUBMIT: Final = ClientEndpoint(
    name="passwordflow", option="password_flow_url", method="POST", handler=submit, flows=_FLOWS,
    summary="Log in at the authorization server with username and password", operation_id="oauth_client_password_flow",
    body=PasswordBody, answer=TokensGiven, templates=("password_flow_page", "mfa_otp_page", "mfa_oob_page"),
    limits=("login_account", "login_address", "login_total_address", "code_account"),
)  # fmt: skip
_TRIES: Final = ("factor2_challenge", "factor2_account", "factor2_address")
_OTP_ENDPOINT: Final = ClientEndpoint(
    name="passwordotp", also=("passwordflowotp",), option="password_otp_url", method="POST", handler=submit_otp,
    flows=(OAuthFlows.PasswordMfa,), summary="Complete a password login with a one-time code",
    operation_id="oauth_client_password_otp", body=OtpBody, answer=TokensGiven, templates=("mfa_otp_page",), limits=_TRIES,
)  # fmt: skip
_OOB_ENDPOINT: Final = ClientEndpoint(
    name="passwordoob", also=("passwordflowoob",), option="password_oob_url", method="POST", handler=submit_oob,
    flows=(OAuthFlows.PasswordMfa,), summary="Complete a password login with a code that was sent",
    operation_id="oauth_client_password_oob", body=OobBody, answer=TokensGiven, templates=("mfa_oob_page",),
    limits=(*_TRIES, "device_poll"),
)  # fmt: skip
ENDPOINTS: Final = (_SHOW, _SUBMIT, _OTP_ENDPOINT, _OOB_ENDPOINT)

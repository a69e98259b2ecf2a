"""What every router has: error codes, how they are described, and answers to garbage."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.errors import ErrorCode as Reason
from crossauth_backend.core.hash_pool import hashing_for
from crossauth_backend.core.text import is_storable
from crossauth_fastapi._http.bodies import (
    FORM_TYPE,
    MULTIPART_TYPE,
    content_type,
    get_body,
)
from crossauth_fastapi._http.jsonbody import MAX_BODY_BYTES, MAX_FIELDS
from crossauth_fastapi._http.multipart import can_be_parsed, read_boundary
from crossauth_fastapi.fastapi_users._caching import keep_response_private, private_refusal
from crossauth_fastapi.fastapi_users.exceptions import ConstraintViolated, InvalidUserException
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType

if TYPE_CHECKING:
    from crossauth_fastapi.fastapi_users._core import Core
    from crossauth_fastapi.fastapi_users._storages import Storages

_SECRETS: Final = ("password", "token", "secret", "otp", "code")
_MASK: Final = "**********"
# Pydantic shows what is nested up to 255 deep; nobody needs as much.
_MAX_DEPTH: Final = 50


class ErrorModel(BaseModel):
    """A refusal: `detail` is a code, or a code with a reason."""

    detail: str | dict[str, Any]


class ErrorCodeReasonModel(BaseModel):
    """A refusal with a reason."""

    code: str
    reason: str


class ErrorCode(StrEnum):
    """The documented codes."""

    REGISTER_INVALID_PASSWORD = "REGISTER_INVALID_PASSWORD"
    REGISTER_USER_ALREADY_EXISTS = "REGISTER_USER_ALREADY_EXISTS"
    OAUTH_NOT_AVAILABLE_EMAIL = "OAUTH_NOT_AVAILABLE_EMAIL"
    OAUTH_USER_ALREADY_EXISTS = "OAUTH_USER_ALREADY_EXISTS"
    OAUTH_INVALID_STATE = "OAUTH_INVALID_STATE"
    LOGIN_BAD_CREDENTIALS = "LOGIN_BAD_CREDENTIALS"
    LOGIN_USER_NOT_VERIFIED = "LOGIN_USER_NOT_VERIFIED"
    RESET_PASSWORD_BAD_TOKEN = "RESET_PASSWORD_BAD_TOKEN"
    RESET_PASSWORD_INVALID_PASSWORD = "RESET_PASSWORD_INVALID_PASSWORD"
    VERIFY_USER_BAD_TOKEN = "VERIFY_USER_BAD_TOKEN"
    VERIFY_USER_ALREADY_VERIFIED = "VERIFY_USER_ALREADY_VERIFIED"
    UPDATE_USER_EMAIL_ALREADY_EXISTS = "UPDATE_USER_EMAIL_ALREADY_EXISTS"
    UPDATE_USER_INVALID_PASSWORD = "UPDATE_USER_INVALID_PASSWORD"
    ACCESS_TOKEN_ALREADY_EXPIRED = "ACCESS_TOKEN_ALREADY_EXPIRED"
    ACCESS_TOKEN_DECODE_ERROR = "ACCESS_TOKEN_DECODE_ERROR"


class FurtherErrorCode(StrEnum):
    """Codes of what goes beyond the documented routes."""

    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    CROSS_ORIGIN_REQUEST = "CROSS_ORIGIN_REQUEST"
    LOGIN_FACTOR2_REQUIRED = "LOGIN_FACTOR2_REQUIRED"
    LOGIN_FACTOR2_INVALID = "LOGIN_FACTOR2_INVALID"
    LOGIN_FACTOR2_SETUP_NEEDED = "LOGIN_FACTOR2_SETUP_NEEDED"
    LOGIN_PASSWORD_CHANGE_NEEDED = "LOGIN_PASSWORD_CHANGE_NEEDED"
    REFRESH_BAD_TOKEN = "REFRESH_BAD_TOKEN"
    UPDATE_USER_OLD_PASSWORD_INVALID = "UPDATE_USER_OLD_PASSWORD_INVALID"
    UPDATE_USER_CONFLICT = "UPDATE_USER_CONFLICT"
    CONSTRAINT_VIOLATED = "CONSTRAINT_VIOLATED"
    INVALID_USER = "INVALID_USER"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    OAUTH_PROVIDER_ERROR = "OAUTH_PROVIDER_ERROR"
    OAUTH_REDIRECT_URL_NEEDED = "OAUTH_REDIRECT_URL_NEEDED"
    OAUTH_ACCOUNT_NOT_LINKED = "OAUTH_ACCOUNT_NOT_LINKED"


def refused(code: ErrorCode | FurtherErrorCode, status: int = 400) -> HTTPException:
    """A refusal with a code."""
    return HTTPException(status, code.value)


def refused_with(code: ErrorCode | FurtherErrorCode, reason: Any, status: int = 400) -> HTTPException:
    """A refusal with a code and a reason."""
    return HTTPException(status, {"code": code.value, "reason": reason})


def describe(*codes: ErrorCode | FurtherErrorCode) -> dict[str, Any]:
    """The description of a refusal, with an example of each code."""
    return {"model": ErrorModel, "content": {"application/json": {"examples": {c.value: _example(c) for c in codes}}}}


def _example(code: ErrorCode | FurtherErrorCode) -> dict[str, Any]:
    reasons: dict[str, Any] = {"LOGIN_FACTOR2_REQUIRED": {"factor2": "totp", "mfa_token": "VuW0…"}}
    if code is FurtherErrorCode.INVALID_USER:
        reasons[code.value] = "Username must not contain control characters"
    if code.value.endswith("INVALID_PASSWORD"):
        reasons[code.value] = "Password should be at least 3 characters"
    if code.value in reasons:
        summary = _SUMMARIES.get(code.value, "The password is refused.")
        return {"summary": summary, "value": {"detail": {"code": code.value, "reason": reasons[code.value]}}}
    return {"summary": _SUMMARIES.get(code.value, code.value), "value": {"detail": code.value}}


_SUMMARIES: Final = {
    "LOGIN_BAD_CREDENTIALS": "Bad credentials or the user is inactive.",
    "LOGIN_USER_NOT_VERIFIED": "The user is not verified.",
    "REGISTER_USER_ALREADY_EXISTS": "A user with this email already exists.",
    "RESET_PASSWORD_BAD_TOKEN": "Bad or expired token.",
    "VERIFY_USER_BAD_TOKEN": "Bad token, not existing user or not the email currently set for the user.",
    "VERIFY_USER_ALREADY_VERIFIED": "The user is already verified.",
    "UPDATE_USER_EMAIL_ALREADY_EXISTS": "A user with this email already exists.",
    "OAUTH_NOT_AVAILABLE_EMAIL": "The provider gives no email address.",
    "OAUTH_USER_ALREADY_EXISTS": "Another user exists with this email address or account.",
    "OAUTH_INVALID_STATE": "The flow was not begun in this browser, or has been used.",
    "ACCESS_TOKEN_DECODE_ERROR": "The state is not ours.",
    "ACCESS_TOKEN_ALREADY_EXPIRED": "The state has expired.",
    "TOO_MANY_ATTEMPTS": "Try again after the seconds in the header Retry-After.",
    "CROSS_ORIGIN_REQUEST": "A page of another origin may not use the cookie.",
    "LOGIN_FACTOR2_REQUIRED": "A code is asked for; `reason` names the factor and holds the `mfa_token`.",
    "LOGIN_FACTOR2_INVALID": "Wrong or expired code.",
    "LOGIN_FACTOR2_SETUP_NEEDED": "The second factor must be set up in the session server first.",
    "LOGIN_PASSWORD_CHANGE_NEEDED": "The password must be changed in the session server first.",
    "REFRESH_BAD_TOKEN": "Bad, used or expired refresh token.",
    "UPDATE_USER_OLD_PASSWORD_INVALID": "The old password is missing or wrong.",
    "UPDATE_USER_CONFLICT": "Another request changed password or address meanwhile; nothing was changed.",
    "CONSTRAINT_VIOLATED": "A value is taken or missing, or something still refers to the user; nothing was changed.",
    "INVALID_USER": "The session server's rules refuse a field; `reason` says which, and what would be right.",
    "SESSION_NOT_FOUND": "There is no such login.",
    "OAUTH_PROVIDER_ERROR": "The provider refused, failed, or answered what cannot be used.",
    "OAUTH_REDIRECT_URL_NEEDED": "The application must say where providers send users back to.",
    "OAUTH_ACCOUNT_NOT_LINKED": "The account is not linked.",
}
UNAUTHORIZED: Final[OpenAPIResponseType] = {401: {"description": "Missing token or inactive user."}}
UNVERIFIED: Final[OpenAPIResponseType] = {403: {"description": "The user is not verified."}}
CONFLICT: Final[OpenAPIResponseType] = {409: describe(FurtherErrorCode.CONSTRAINT_VIOLATED)}
TOO_LARGE: Final = {"description": f"The body is larger than {MAX_BODY_BYTES // 1024} KiB."}
TOO_MANY: Final[OpenAPIResponseType] = {429: describe(FurtherErrorCode.TOO_MANY_ATTEMPTS)}


class UsersRoute(APIRoute):
    """A route that reads no more than 64 KiB and hashes no password for a client that has gone, and whose refusals can be sent
    whatever was in the request, and repeat no secret of it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if self.body_field is not None:
            self.responses = {413: TOO_LARGE, **self.responses}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler."""
        handler = super().get_route_handler()
        reads_body = self.body_field is not None

        async def answer(request: Request) -> Response:
            try:
                if reads_body:
                    # Before anything is parsed: FastAPI reads a body of any size, and parses JSON on the event loop.
                    _refuse_bad_form(request, await get_body(request))
                # Not before: asking whether the client has gone reads what has come of the body.
                with hashing_for(None, partial(_still_wanted, request)):
                    return await handler(request)
            except RequestValidationError as e:
                raise RequestValidationError(shown(e.errors()), body=e.body) from None
            except ClientDisconnect:
                raise HTTPException(400) from None
            except ConstraintViolated as e:
                raise refused(FurtherErrorCode.CONSTRAINT_VIOLATED, 409) from e
            except InvalidUserException as e:
                raise refused_with(FurtherErrorCode.INVALID_USER, e.reason) from e
            except CrossauthError as e:
                raise http_error(e) from e

        async def handle(request: Request) -> Response:
            try:
                response = await answer(request)
            except AnyHTTPException as e:
                e.headers = private_refusal(request.scope, e.headers)
                raise
            keep_response_private(request.scope, response.headers)
            return response

        return handle


async def _still_wanted(request: Request) -> bool:
    """Whether the client still waits for the response."""
    return not await request.is_disconnected()


def _refuse_bad_form(request: Request, body: bytes) -> None:
    """Refuse forms of more fields than any of these routes has, before each of them is looked at, and broken ones unlogged."""
    kind = content_type(request.headers.get("content-type", ""))
    fields = body.count(b"&") if kind == FORM_TYPE else 0
    if kind == MULTIPART_TYPE:
        fields = body.lower().count(b"content-disposition")
    if fields > MAX_FIELDS:
        raise HTTPException(400, "There was an error parsing the body")
    boundary = read_boundary(request.headers.get("content-type", ""))
    if boundary is not None and not can_be_parsed(body, boundary):
        raise HTTPException(400, "Invalid multipart data.")


def new_router(core: Core) -> APIRouter:
    """An empty router, whose storages are open whenever a route of it is called."""
    storages = core.storages
    return APIRouter(route_class=UsersRoute, lifespan=storages.lifespan, dependencies=[Depends(_opened_by(storages))])


def _opened_by(storages: Storages) -> Callable[[], Coroutine[Any, Any, None]]:
    async def opened() -> None:
        # Where the application is mounted in another one, nothing has run its lifespan.
        await storages.open()

    return opened


def http_error(e: CrossauthError) -> HTTPException:
    """A refusal of the core, as these routes answer."""
    headers = {"Retry-After": str(e.retry_after)} if e.retry_after else None
    if e.code is Reason.TooManyAttempts:
        return HTTPException(429, FurtherErrorCode.TOO_MANY_ATTEMPTS.value, headers)
    if e.http_status >= 500 and e.http_status != 503:
        return HTTPException(500)
    # What is wrong with a field is said; other refusals are known by their status.
    return HTTPException(e.http_status, e.message if e.code is Reason.BadRequest else None, headers)


def shown(errors: Sequence[Any]) -> list[Any]:
    """What is wrong with a request, fit to be sent: without secrets, and as JSON and UTF-8 can say it."""
    found = []
    for error in errors:
        secret = any(_is_secret(part) for part in error.get("loc", ()))
        stored = {name: value for name, value in error.items() if name != "ctx"}
        if secret and "input" in stored:
            stored["input"] = _MASK
        if "ctx" in error:
            plain = (str, int, float, bool, type(None))
            stored["ctx"] = {n: value if isinstance(value, plain) else str(value) for n, value in error["ctx"].items()}
        found.append(_sayable(stored))
    return found


def refuse_unstorable(body: BaseModel) -> None:
    """Refuse what some database would not take, or no answer could show again, as a field that is not valid."""
    found = {name: _problem(getattr(body, name)) for name in body.model_fields_set if name != "password"}
    errors = [
        {"type": "unstorable", "loc": ("body", name), "msg": problem}
        for name, problem in found.items()
        if problem is not None
    ]
    if errors:
        raise RequestValidationError(errors)


def _problem(value: Any, depth: int = 0) -> str | None:
    """What is wrong with a value or with something in it."""
    if isinstance(value, str):
        return None if is_storable(value) else "Text must have no NUL and no unpaired surrogate"
    if isinstance(value, BaseModel):
        value = value.__dict__
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    if not isinstance(inner, (list, tuple, set, frozenset)):
        return None
    if depth == _MAX_DEPTH:
        return f"Values must be nested at most {_MAX_DEPTH} deep"
    return next((problem for part in inner if (problem := _problem(part, depth + 1)) is not None), None)


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and any(word in name.lower() for word in _SECRETS)


def _sayable(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value[:1000].encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth > 8:
        return "..."
    if isinstance(value, dict):
        return {
            str(_sayable(str(name))): _MASK if _is_secret(name) else _sayable(inner, depth + 1)
            for name, inner in list(value.items())[:100]
        }
    if isinstance(value, (list, tuple)):
        return [_sayable(inner, depth + 1) for inner in value[:100]]
    return type(value).__name__

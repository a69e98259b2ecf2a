"""Typed dependencies for an application's own routes.

    @app.get("/orders")
    async def orders(user: CurrentUser) -> list[Order]: ...

They read what the middleware found; none costs a query. On a WebSocket they do the same; a refusal closes it with 1008. A cookie
counts there only where a page of this site opens it, as the header `Origin` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import APIKeyCookie
from starlette.requests import HTTPConnection

from crossauth_backend.api_keys.rules import checked_scopes
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.context import login_required
from crossauth_fastapi._actions.csrf import csrf_refusal
from crossauth_fastapi._http.openapi import SESSION_SCHEME
from crossauth_fastapi._middleware.challenges import ScopeMissing
from crossauth_fastapi._middleware.identity import AMBIENT
from crossauth_fastapi._middleware.refusals import reject
from crossauth_fastapi._middleware.state import SAFE_METHODS, is_administrator, state_of

__all__: Final = [
    "AdminUser",
    "CurrentUser",
    "OptionalUser",
    "current_user",
    "optional_user",
    "require_admin",
    "require_scopes",
]


class _SessionUser(APIKeyCookie):
    """The user of the request; in OpenAPI, the session cookie."""

    def __init__(self, required: bool) -> None:
        super().__init__(**SESSION_SCHEME)
        self.required = required

    async def __call__(self, request: HTTPConnection) -> User | None:  # type: ignore[override]
        """The user.

        Raises:
            CrossauthError: `Unauthorized` where one is required; `InvalidCsrf` for a request that changes something in
                the name of a session cookie and carries no valid CSRF token.
            WebSocketException: instead, on a WebSocket.
        """
        state = state_of(request)
        user: User | None = state["user"]
        if user is None:
            if self.required:
                raise reject(request, login_required(state))
            return None
        if state["auth_type"] in AMBIENT and state.method_ not in SAFE_METHODS and not state["csrf_token"]:
            raise csrf_refusal(state)
        return user


current_user: Final = _SessionUser(required=True)
optional_user: Final = _SessionUser(required=False)

CurrentUser = Annotated[User, Depends(current_user)]
OptionalUser = Annotated[User | None, Depends(optional_user)]


async def require_admin(request: HTTPConnection, user: CurrentUser) -> User:
    """Lets only administrators in, as the option `is_admin_fn` says.

    Raises:
        CrossauthError: `Unauthorized` where nobody is logged in, `InsufficientPriviledges` where the user is no administrator.
        WebSocketException: instead, on a WebSocket.
    """
    if not await is_administrator(state_of(request), user):
        raise reject(request, CrossauthError(ErrorCode.InsufficientPriviledges))
    return user


AdminUser = Annotated[User, Depends(require_admin)]


def require_scopes(*scopes: str) -> Callable[[HTTPConnection, User], User]:
    """A dependency that lets in who was given all of `scopes`: `user: Annotated[User, Depends(require_scopes("orders"))]`.

    An API key has the scopes it was created with, and one without any has none. A user who is logged in by cookie is not
    limited by scopes.

    Parameters:
        scopes: names of scopes, as they are given to keys.

    Raises:
        CrossauthError: `Configuration`, at once, where no scope or none that a key can have is named. The dependency raises
            `InsufficientScope` (403), and as `CurrentUser` does.
    """
    if not scopes:
        raise CrossauthError(ErrorCode.Configuration, "require_scopes: name at least one scope")
    try:
        checked_scopes(scopes)
    except CrossauthError as e:
        raise CrossauthError(ErrorCode.Configuration, f"require_scopes: {e.message}") from e

    def check(request: HTTPConnection, user: CurrentUser) -> User:
        state = state_of(request)
        if state["auth_type"] not in AMBIENT and not set(scopes) <= set(state["scope"] or ()):
            raise reject(request, ScopeMissing(scopes))
        return user

    return check

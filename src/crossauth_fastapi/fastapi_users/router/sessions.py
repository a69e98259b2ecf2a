"""Where a user is logged in."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import (
    UNAUTHORIZED,
    UNVERIFIED,
    FurtherErrorCode,
    describe,
    new_router,
    refused,
)
from crossauth_fastapi.fastapi_users._refresh import end_login
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.authentication.logins import Logins
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType


class SessionRead(BaseModel):
    """One login. `handle` names it and is worth nothing as a token."""

    handle: str
    created: datetime
    expires: datetime | None
    current: bool

    model_config = ConfigDict(from_attributes=True)


def get_sessions_router(
    authenticator: Authenticator[UP, ID], requires_verification: bool = False, *, core: Core | None = None
) -> APIRouter:
    """`/sessions`: lists the logins of whoever asks, by whatever backend, and ends them.

    Parameters:
        authenticator: knows who is logged in.
        requires_verification: whether users must have proven their address.
        core: limits and events; see `FastAPIUsers`.

    Raises:
        CrossauthError: `Configuration` where ids of users do not fit a key storage.
    """
    core = core or default_core()
    core.serve(authenticator)
    core.check_ids(authenticator, authenticator.get_user_manager)
    router = new_router(core)
    current = authenticator.current_user(active=True, verified=requires_verification)
    about: OpenAPIResponseType = {**UNAUTHORIZED, **(UNVERIFIED if requires_verification else {})}

    @router.get(
        "/sessions",
        response_model=list[SessionRead],
        name="sessions:list",
        summary="List your sessions",
        responses=about,
    )
    async def sessions(user: Any = Depends(current), logins: Logins = Depends(authenticator.logins)) -> object:
        """The live logins, newest first. Tokens that are not stored, such as JWTs, cannot be listed."""
        return await logins.list(user)

    changing: OpenAPIResponseType = {**authenticator.describe_forbidden(), **about}

    @router.delete(
        "/sessions", status_code=204, name="sessions:end_others", summary="End every other login", responses=changing
    )
    async def end_others(
        request: Request, user: Any = Depends(current), logins: Logins = Depends(authenticator.logins)
    ) -> Response:
        """End every login but the one that asks. Tokens that are not stored, such as JWTs, end by themselves; what would renew
        them ends now."""
        await core.end_logins(user, logins, keep_shown=True)
        core.emit(EventName.sessions_ended, request, user)
        return Response(status_code=204)

    missing: OpenAPIResponseType = {404: describe(FurtherErrorCode.SESSION_NOT_FOUND)}

    @router.delete(
        "/sessions/{handle}",
        status_code=204,
        name="sessions:end",
        summary="End one login",
        responses={**changing, **missing},
    )
    async def end(
        handle: str, request: Request, user: Any = Depends(current), logins: Logins = Depends(authenticator.logins)
    ) -> Response:
        """End one login, and what would renew it."""
        ended = await logins.end(user, handle)
        if ended is None:
            raise refused(FurtherErrorCode.SESSION_NOT_FOUND, 404)
        if ended.sid is not None:
            await end_login(core.keys, authenticator.backends, ended.sid)
        core.emit(EventName.session_ended, request, user)
        return Response(status_code=204)

    return router

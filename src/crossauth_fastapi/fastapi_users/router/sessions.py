"""Where a user is logged in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._answers import (
    UNAUTHORIZED,
    FurtherErrorCode,
    describe,
    new_router,
    refused,
)
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator, LoggedIn
from crossauth_fastapi.fastapi_users.authentication.strategy.base import SupportsTokenLists, TokenInfo
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
    """`/sessions`: lists the logins of whoever asks, made with the backend that is asked by, and ends them.

    Parameters:
        authenticator: knows who is logged in.
        requires_verification: whether users must have proven their address.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or Core()
    router = new_router()
    logged_in = authenticator.logged_in(active=True, verified=requires_verification)

    @router.get("/sessions", response_model=list[SessionRead], name="sessions:list", responses=UNAUTHORIZED)
    async def sessions(who: LoggedIn[UP, ID] = Depends(logged_in)) -> Sequence[TokenInfo]:
        """The live logins, newest first. Tokens that are not stored cannot be listed: the list is empty."""
        return await who.strategy.list_tokens(who.user, who.token) if _lists(who) else []  # type: ignore[attr-defined]

    @router.delete("/sessions", status_code=204, name="sessions:end_others", responses=UNAUTHORIZED)
    async def end_others(
        request: Request,
        who: LoggedIn[UP, ID] = Depends(logged_in),
        end_tokens: Any = Depends(authenticator.end_tokens()),
    ) -> Response:
        """End every login but the one that asks."""
        await core.end_logins(who.user, end_tokens, who.token)
        core.tell(EventName.sessions_ended, request, who.user)
        return Response(status_code=204)

    missing: OpenAPIResponseType = {404: describe(FurtherErrorCode.SESSION_NOT_FOUND)}

    @router.delete("/sessions/{handle}", status_code=204, name="sessions:end", responses={**UNAUTHORIZED, **missing})
    async def end(handle: str, request: Request, who: LoggedIn[UP, ID] = Depends(logged_in)) -> Response:
        """End one login."""
        if not _lists(who) or not await who.strategy.destroy_listed(who.user, handle):  # type: ignore[attr-defined]
            raise refused(FurtherErrorCode.SESSION_NOT_FOUND, 404)
        core.tell(EventName.session_ended, request, who.user)
        return Response(status_code=204)

    return router


def _lists(who: LoggedIn[Any, Any]) -> bool:
    return isinstance(who.strategy, SupportsTokenLists)

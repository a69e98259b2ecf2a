"""Proving an email address with a token from the mailbox."""

import logging
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Body, Depends, Request
from pydantic import EmailStr

from crossauth_backend.core.redaction import loggable
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import CONFLICT, TOO_MANY, ErrorCode, describe, new_router, refused
from crossauth_fastapi.fastapi_users.exceptions import (
    InvalidVerifyToken,
    UserAlreadyVerified,
    UserInactive,
    UserNotExists,
)
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.schemas import U

logger = logging.getLogger("crossauth.fastapi_users")


def get_verify_router(
    get_user_manager: UserManagerDependency[UP, ID], user_schema: type[U], *, core: Core | None = None
) -> APIRouter:
    """`/request-verify-token` and `/verify`.

    Parameters:
        get_user_manager: a dependency that gives the user manager.
        user_schema: the answer.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or default_core()
    core.check_ids(user_schema)
    router = new_router(core)

    @router.post(
        "/request-verify-token", status_code=202, name="verify:request-token",
        summary="Ask for a token that proves one's address", response_model=None,
        responses={**TOO_MANY},
    )  # fmt: skip
    async def request_verify_token(
        request: Request,
        background: BackgroundTasks,
        email: EmailStr = Body(embed=True),
        user_manager: BaseUserManager[UP, ID] = Depends(get_user_manager),
    ) -> None:
        address = core.origin(request).address
        await core.count(request, reset_address=address, verification_account=core.mailbox(email))
        # After the answer, or its time would say whether there is such a user.
        background.add_task(_request_verify, user_manager, email, request)

    codes = (ErrorCode.VERIFY_USER_BAD_TOKEN, ErrorCode.VERIFY_USER_ALREADY_VERIFIED)

    @router.post(
        "/verify",
        response_model=user_schema,
        name="verify:verify",
        summary="Prove one's address",
        responses={400: describe(*codes), **CONFLICT, **TOO_MANY},
    )
    async def verify(
        request: Request,
        token: str = Body(embed=True),
        user_manager: BaseUserManager[UP, ID] = Depends(get_user_manager),
    ) -> object:
        async with core.limited(request, token_address=core.origin(request).address):
            try:
                user = await user_manager.verify(token, request)
            except (InvalidVerifyToken, UserNotExists) as e:
                raise refused(ErrorCode.VERIFY_USER_BAD_TOKEN) from e
            except UserAlreadyVerified as e:
                raise refused(ErrorCode.VERIFY_USER_ALREADY_VERIFIED) from e
        core.emit(EventName.email_verified, request, user)
        return user_schema.model_validate(user)

    return router


async def _request_verify(user_manager: BaseUserManager[Any, Any], email: str, request: Request) -> None:
    try:
        await user_manager.request_verify(await user_manager.get_by_email(email), request)
    except (UserNotExists, UserInactive, UserAlreadyVerified):
        pass
    except Exception as e:
        # The answer is on its way; there is nobody but the log to be told.
        logger.exception("on_after_request_verify failed", exc_info=loggable(e))

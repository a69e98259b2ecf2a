"""Choosing a new password with a token from the mailbox."""

import logging
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Body, Depends, Request, Response
from pydantic import EmailStr

from crossauth_backend.core.redaction import loggable
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import (
    CONFLICT,
    TOO_MANY,
    ErrorCode,
    describe,
    new_router,
    refused,
    refused_with,
)
from crossauth_fastapi.fastapi_users._links import Links, knowing_links
from crossauth_fastapi.fastapi_users._ownpassword import note_own_password
from crossauth_fastapi.fastapi_users._passwords import ending_logins
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.authentication.logins import Logins
from crossauth_fastapi.fastapi_users.authentication.transport.base import EmptyResponse
from crossauth_fastapi.fastapi_users.exceptions import (
    InvalidPasswordException,
    InvalidResetPasswordToken,
    UserInactive,
    UserNotExists,
)
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP

logger = logging.getLogger("crossauth.fastapi_users")


def get_reset_password_router(
    get_user_manager: UserManagerDependency[UP, ID],
    *,
    authenticator: Authenticator[UP, ID] | None = None,
    core: Core | None = None,
) -> APIRouter:
    """`/forgot-password` and `/reset-password`.

    Parameters:
        get_user_manager: a dependency that gives the user manager.
        authenticator: whose tokens end with the password; `FastAPIUsers` gives its own.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or default_core()
    router = new_router(core)
    if authenticator is None:
        logger.warning("get_reset_password_router has no 'authenticator': stored logins go on after a reset")
        authenticator = Authenticator([], get_user_manager)
    core.serve(authenticator)

    @router.post(
        "/forgot-password",
        status_code=202,
        name="reset:forgot_password",
        summary="Ask for a new password",
        response_model=None,
        responses={**TOO_MANY},
    )
    async def forgot_password(
        request: Request,
        background: BackgroundTasks,
        email: EmailStr = Body(embed=True),
        user_manager: BaseUserManager[UP, ID] = Depends(get_user_manager),
    ) -> None:
        address = core.origin(request).address
        await core.count(request, reset_address=address, reset_account=core.mailbox(email))
        # After the answer, or its time would say whether there is such a user.
        background.add_task(_forgot, core, user_manager, email, request)

    codes = (ErrorCode.RESET_PASSWORD_BAD_TOKEN, ErrorCode.RESET_PASSWORD_INVALID_PASSWORD)

    @router.post(
        "/reset-password",
        name="reset:reset_password",
        summary="Choose a new password",
        response_model=None,
        responses={400: describe(*codes), **CONFLICT, **TOO_MANY},
    )
    async def reset_password(
        request: Request,
        token: str = Body(),
        password: str = Body(),
        user_manager: BaseUserManager[UP, ID] = Depends(get_user_manager),
        logins: Logins = Depends(authenticator.every_users_logins),
    ) -> Response:
        async with core.limited(request, token_address=core.origin(request).address):
            try:
                with ending_logins(lambda user: _end_everything(core, user, logins)), knowing_links(Links(core.keys)):
                    user = await user_manager.reset_password(token, password, request)
            except (InvalidResetPasswordToken, UserNotExists, UserInactive) as e:
                raise refused(ErrorCode.RESET_PASSWORD_BAD_TOKEN) from e
            except InvalidPasswordException as e:
                raise refused_with(ErrorCode.RESET_PASSWORD_INVALID_PASSWORD, e.reason) from e
        core.emit(EventName.password_reset, request, user)
        return EmptyResponse(200)

    return router


async def _end_everything(core: Core, user: Any, logins: Logins) -> None:
    await core.end_logins(user, logins)
    await note_own_password(core.keys, user)


async def _forgot(core: Core, user_manager: BaseUserManager[Any, Any], email: str, request: Request) -> None:
    try:
        user = await user_manager.get_by_email(email)
        core.emit(EventName.password_reset_requested, request, user)
        await user_manager.forgot_password(user, request)
    except (UserNotExists, UserInactive):
        pass
    except Exception as e:
        # The answer is on its way; there is nobody but the log to be told.
        logger.exception("on_after_forgot_password failed", exc_info=loggable(e))

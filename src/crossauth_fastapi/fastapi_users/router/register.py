"""Registering."""

from fastapi import APIRouter, Body, Depends, Request

from crossauth_backend.accounts.signup_names import mail_name_taken
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import (
    CONFLICT,
    TOO_MANY,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refuse_unstorable,
    refused,
    refused_with,
)
from crossauth_fastapi.fastapi_users.exceptions import InvalidPasswordException, UserAlreadyExists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.schemas import UC, BaseUserCreate, U


def get_register_router(
    get_user_manager: UserManagerDependency[UP, ID],
    user_schema: type[U],
    user_create_schema: type[UC],
    *,
    core: Core | None = None,
) -> APIRouter:
    """`/register`.

    Parameters:
        get_user_manager: a dependency that gives the user manager.
        user_schema: the answer.
        user_create_schema: the body.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or default_core()
    core.check_ids(user_schema)
    router = new_router(core)
    codes: list[ErrorCode | FurtherErrorCode] = [
        ErrorCode.REGISTER_USER_ALREADY_EXISTS, ErrorCode.REGISTER_INVALID_PASSWORD,
        *([FurtherErrorCode.INVALID_USER] if core.accounts is not None else []),
    ]  # fmt: skip

    @router.post(
        "/register",
        response_model=user_schema,
        status_code=201,
        name="register:register",
        summary="Register",
        responses={400: describe(*codes), **CONFLICT, **TOO_MANY},
    )
    async def register(
        request: Request,
        user_create: user_create_schema = Body(),  # type: ignore[valid-type]
        user_manager: BaseUserManager[UP, ID] = Depends(get_user_manager),
    ) -> object:
        values: BaseUserCreate = user_create
        refuse_unstorable(values)
        await core.count(request, signup_address=core.origin(request).address)
        try:
            user = await user_manager.create(values, safe=True, request=request)
        except UserAlreadyExists as e:
            if core.accounts is not None:
                # A username is the address where the schema has none.
                name = getattr(values, "username", None) or values.email
                mail_name_taken(core.accounts(), {"username": name, "email": values.email})
            raise refused(ErrorCode.REGISTER_USER_ALREADY_EXISTS) from e
        except InvalidPasswordException as e:
            raise refused_with(ErrorCode.REGISTER_INVALID_PASSWORD, e.reason) from e
        core.emit(EventName.signed_up, request, user)
        return user_schema.model_validate(user)

    return router

"""Reading and changing users."""

from typing import Any

from fastapi import APIRouter, Body, Depends, HTTPException, Request, Response

from crossauth_backend.core.text import is_storable, normalize
from crossauth_backend.events.record import EventName
from crossauth_fastapi.fastapi_users._answers import (
    UNAUTHORIZED,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refuse_unstorable,
    refused,
    refused_with,
)
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator, LoggedIn
from crossauth_fastapi.fastapi_users.exceptions import (
    InvalidID,
    InvalidPasswordException,
    UserAlreadyExists,
    UserNotExists,
)
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType
from crossauth_fastapi.fastapi_users.schemas import UU, BaseUserUpdate, U

_UPDATE_CODES = (ErrorCode.UPDATE_USER_EMAIL_ALREADY_EXISTS, ErrorCode.UPDATE_USER_INVALID_PASSWORD)
_NOT_SUPERUSER: OpenAPIResponseType = {
    403: {"description": "Not a superuser."},
    404: {"description": "The user does not exist."},
}


def get_users_router(
    get_user_manager: UserManagerDependency[UP, ID],
    user_schema: type[U],
    user_update_schema: type[UU],
    authenticator: Authenticator[UP, ID],
    requires_verification: bool = False,
    *,
    core: Core | None = None,
) -> APIRouter:
    """`/me` for everybody, `/{id}` for superusers.

    Parameters:
        get_user_manager: a dependency that gives the user manager.
        user_schema: the answers.
        user_update_schema: the bodies of changes.
        authenticator: knows who is logged in.
        requires_verification: whether users must have proven their address.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or Core()
    router = new_router()
    unverified: OpenAPIResponseType = (
        {403: {"description": "The user is not verified."}} if requires_verification else {}
    )
    current = authenticator.current_user(active=True, verified=requires_verification)

    @router.get("/me", response_model=user_schema, name="users:current_user", responses={**UNAUTHORIZED, **unverified})
    async def me(user: Any = Depends(current)) -> object:
        return user_schema.model_validate(user)

    old = (FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID,)

    @router.patch(
        "/me", response_model=user_schema, name="users:patch_current_user",
        responses={**UNAUTHORIZED, **unverified, 400: describe(*_UPDATE_CODES, *old)},
    )  # fmt: skip
    async def update_me(
        request: Request,
        who: LoggedIn[UP, ID] = Depends(authenticator.logged_in(active=True, verified=requires_verification)),
        user_update: user_update_schema = Body(),  # type: ignore[valid-type]
        user_manager: BaseUserManager[UP, ID] = Depends(get_user_manager),
        end_tokens: Any = Depends(authenticator.end_tokens()),
    ) -> object:
        values: BaseUserUpdate = user_update
        if values.password is not None and user_manager.require_old_password:
            await _check_old_password(core, user_manager, who.user, request)
        user = await _change(core, user_manager, values, who.user, request, safe=True)
        if values.password is not None:
            await core.end_logins(user, end_tokens, who.token)
        return user_schema.model_validate(user)

    _add_superuser_routes(router, core, get_user_manager, user_schema, user_update_schema, authenticator,
                          requires_verification)  # fmt: skip
    return router


def _add_superuser_routes(
    router: APIRouter, core: Core, get_user_manager: Any, user_schema: type[U],
    user_update_schema: type[UU], authenticator: Authenticator[Any, Any], requires_verification: bool,
) -> None:  # fmt: skip
    superuser = authenticator.current_user(active=True, verified=requires_verification, superuser=True)
    about: OpenAPIResponseType = {**UNAUTHORIZED, **_NOT_SUPERUSER}

    async def user_of_id(
        id: str, user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager), _: Any = Depends(superuser)
    ) -> Any:
        try:
            if not is_storable(id):
                raise InvalidID
            return await user_manager.get(user_manager.parse_id(id))
        except (UserNotExists, InvalidID) as e:
            raise HTTPException(404) from e

    superusers = [Depends(superuser)]

    @router.get("/{id}", response_model=user_schema, dependencies=superusers, name="users:user", responses=about)
    async def get_user(user: Any = Depends(user_of_id)) -> object:
        return user_schema.model_validate(user)

    @router.patch(
        "/{id}", response_model=user_schema, dependencies=superusers, name="users:patch_user",
        responses={**about, 400: describe(*_UPDATE_CODES)},
    )  # fmt: skip
    async def update_user(
        request: Request,
        user: Any = Depends(user_of_id),
        user_update: user_update_schema = Body(),  # type: ignore[valid-type]
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        end_tokens: Any = Depends(authenticator.end_tokens()),
    ) -> object:
        values: BaseUserUpdate = user_update
        user = await _change(core, user_manager, values, user, request, safe=False)
        if values.password is not None or not user.is_active:
            await core.end_logins(user, end_tokens)
        return user_schema.model_validate(user)

    @router.delete(
        "/{id}", status_code=204, response_class=Response, dependencies=superusers, name="users:delete_user",
        responses=about,
    )  # fmt: skip
    async def delete_user(
        request: Request,
        user: Any = Depends(user_of_id),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        end_tokens: Any = Depends(authenticator.end_tokens()),
    ) -> None:
        await core.end_logins(user, end_tokens)
        await user_manager.delete(user, request)
        core.tell(EventName.user_deleted, request, user)


async def _change(
    core: Core, user_manager: BaseUserManager[Any, Any], values: BaseUserUpdate, user: Any, request: Request,
    *, safe: bool,
) -> Any:  # fmt: skip
    refuse_unstorable(values.model_dump(exclude_unset=True))
    try:
        changed = await user_manager.update(values, user, safe=safe, request=request)
    except InvalidPasswordException as e:
        raise refused_with(ErrorCode.UPDATE_USER_INVALID_PASSWORD, e.reason) from e
    except UserAlreadyExists as e:
        raise refused(ErrorCode.UPDATE_USER_EMAIL_ALREADY_EXISTS) from e
    core.tell(EventName.user_updated, request, changed)
    if values.password is not None:
        core.tell(EventName.password_changed, request, changed)
    return changed


async def _check_old_password(core: Core, user_manager: BaseUserManager[Any, Any], user: Any, request: Request) -> None:
    body = await request.json()
    old = body.get("old_password") if isinstance(body, dict) else None
    async with core.limited(request, password_account=normalize(str(user.id))):
        if not isinstance(old, str) or not await user_manager.check_old_password(user, old):
            raise refused(FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID)

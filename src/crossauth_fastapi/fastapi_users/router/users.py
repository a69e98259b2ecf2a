"""Reading and changing users."""

from typing import Any

from fastapi import APIRouter, Body, Depends, HTTPException, Request, Response

from crossauth_backend.core.text import is_storable
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.record import KeyPrefix
from crossauth_fastapi.fastapi_users._core import Core, default_core
from crossauth_fastapi.fastapi_users._errors import (
    CONFLICT,
    TOO_MANY,
    UNAUTHORIZED,
    UNVERIFIED,
    ErrorCode,
    FurtherErrorCode,
    describe,
    new_router,
    refuse_unstorable,
    refused,
    refused_with,
)
from crossauth_fastapi.fastapi_users._ownchange import OwnChange, Proof, with_proofs
from crossauth_fastapi.fastapi_users._ownpassword import forget_own_password
from crossauth_fastapi.fastapi_users._passwords import ending_logins
from crossauth_fastapi.fastapi_users._records import key_owner
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.authentication.logins import Logins
from crossauth_fastapi.fastapi_users.exceptions import (
    InvalidID,
    InvalidPasswordException,
    UserAlreadyExists,
    UserChanged,
    UserNotExists,
)
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, UserManagerDependency
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType
from crossauth_fastapi.fastapi_users.schemas import UU, BaseUserUpdate, U

_UPDATE_CODES = (ErrorCode.UPDATE_USER_EMAIL_ALREADY_EXISTS, ErrorCode.UPDATE_USER_INVALID_PASSWORD)
_CONFLICT: OpenAPIResponseType = {
    409: describe(FurtherErrorCode.UPDATE_USER_CONFLICT, FurtherErrorCode.CONSTRAINT_VIOLATED)
}
_NOT_SUPERUSER: OpenAPIResponseType = {
    403: {"description": "Not a superuser."},
    404: {"description": "The user does not exist."},
}


_FACTOR2_OF_SUPERUSER: OpenAPIResponseType = {
    403: {
        **describe(FurtherErrorCode.LOGIN_FACTOR2_REQUIRED),
        "description": "Not a superuser, or one who must give the second factor.",
    }
}


def get_users_router(
    get_user_manager: UserManagerDependency[UP, ID],
    user_schema: type[U],
    user_update_schema: type[UU],
    authenticator: Authenticator[UP, ID],
    requires_verification: bool = False,
    *,
    require_old_password: bool | None = None,
    core: Core | None = None,
) -> APIRouter:
    """`/me` for everybody, `/{id}` for superusers.

    Parameters:
        get_user_manager: a dependency that gives the user manager.
        user_schema: the answers.
        user_update_schema: the bodies of changes.
        authenticator: knows who is logged in.
        requires_verification: whether users must have proven their address.
        require_old_password: whether users who change their password, their address or another name to log in by must send the
            old password, as `old_password`; a session server's users for every credential. `None`: for these.
        core: limits and events; see `FastAPIUsers`.
    """
    core = core or default_core()
    core.check_ids(user_schema)
    core.serve(authenticator)
    router = new_router(core)
    about: OpenAPIResponseType = {**UNAUTHORIZED, **(UNVERIFIED if requires_verification else {})}
    current = authenticator.current_user(active=True, verified=requires_verification)

    @router.get("/me", response_model=user_schema, name="users:current_user", summary="Who one is", responses=about)
    async def me(user: Any = Depends(current)) -> object:
        return user_schema.model_validate(user)

    own = OwnChange(core, core.accounts is not None if require_old_password is None else require_old_password)
    core.asks_password = own.asks_password
    body_schema: Any = with_proofs(user_update_schema, own)
    codes: tuple[ErrorCode | FurtherErrorCode, ...] = (*_UPDATE_CODES, *own.codes)
    forbidden = authenticator.describe_forbidden(
        *((FurtherErrorCode.LOGIN_FACTOR2_REQUIRED,) if core.accounts is not None else ())
    )

    @router.patch(
        "/me", response_model=user_schema, name="users:patch_current_user", summary="Change oneself",
        responses={**about, 400: describe(*codes), **forbidden, **_CONFLICT, **TOO_MANY},
    )  # fmt: skip
    async def update_me(
        request: Request,
        user: Any = Depends(current),
        user_update: body_schema = Body(),
        user_manager: BaseUserManager[UP, ID] = Depends(get_user_manager),
        logins: Logins = Depends(authenticator.logins),
    ) -> object:
        changed = await _change_oneself(own, user_manager, user_update, user, request, logins, authenticator, safe=True)
        return user_schema.model_validate(changed)

    _add_superuser_routes(router, own, get_user_manager, user_schema, body_schema, authenticator,
                          requires_verification)  # fmt: skip
    return router


def _add_superuser_routes(
    router: APIRouter, own: OwnChange, get_user_manager: Any, user_schema: type[U],
    body_schema: Any, authenticator: Authenticator[Any, Any], requires_verification: bool,
) -> None:  # fmt: skip
    core = own.core
    superuser = authenticator.current_user(active=True, verified=requires_verification, superuser=True)
    about: OpenAPIResponseType = {**UNAUTHORIZED, **_NOT_SUPERUSER}
    changing: OpenAPIResponseType = {**about, **(_FACTOR2_OF_SUPERUSER if core.accounts else {})}

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

    @router.get(
        "/{id}",
        response_model=user_schema,
        dependencies=superusers,
        name="users:user",
        summary="See a user",
        responses=about,
    )
    async def get_user(user: Any = Depends(user_of_id)) -> object:
        return user_schema.model_validate(user)

    @router.patch(
        "/{id}", response_model=user_schema, dependencies=superusers, name="users:patch_user", summary="Update a user",
        responses={**changing, 400: describe(*_UPDATE_CODES, *own.codes_of_superusers), **_CONFLICT, **TOO_MANY},
    )  # fmt: skip
    async def update_user(
        request: Request,
        asking: Any = Depends(superuser),
        user: Any = Depends(user_of_id),
        user_update: body_schema = Body(),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        logins: Logins = Depends(authenticator.logins),
    ) -> object:
        if user.id == asking.id:
            # Whoever holds a superuser's token is no more sure to be that user here than at `/me`.
            changed = await _change_oneself(
                own, user_manager, user_update, user, request, logins, authenticator, safe=False
            )
        else:
            await own.allow_administration(user_update, asking, user_manager, request)
            gone = HTTPException(404)
            changed = await _change(core, user_manager, user_update, user, request, logins, gone, safe=False)
        return user_schema.model_validate(changed)

    _add_delete(router, own, user_of_id, superuser, get_user_manager, authenticator, changing)


def _add_delete(
    router: APIRouter, own: OwnChange, user_of_id: Any, superuser: Any, get_user_manager: Any,
    authenticator: Authenticator[Any, Any], about: OpenAPIResponseType,
) -> None:  # fmt: skip
    core = own.core
    proven: OpenAPIResponseType = {400: describe(*own.codes_of_superusers), **TOO_MANY} if core.accounts else {}

    @router.delete(
        "/{id}", status_code=204, response_class=Response, dependencies=[Depends(superuser)], name="users:delete_user",
        summary="Delete a user", responses={**about, **CONFLICT, **proven},
    )  # fmt: skip
    async def delete_user(
        request: Request,
        asking: Any = Depends(superuser),
        user: Any = Depends(user_of_id),
        proof: Proof | None = Depends(_sent_proof if core.accounts else _no_proof),
        user_manager: BaseUserManager[Any, Any] = Depends(get_user_manager),
        logins: Logins = Depends(authenticator.logins),
    ) -> None:
        await own.allow_administration(proof, asking, user_manager, request)
        with ending_logins(lambda gone: core.end_logins(gone, logins)):
            await user_manager.delete(user, request)
        for prefix in (KeyPrefix.oauth_link, KeyPrefix.own_password):
            await core.keys.delete_all_for_user(key_owner(user), prefix)
        core.emit(EventName.user_deleted, request, user)


async def _sent_proof(proof: Proof | None = Body(None)) -> Proof | None:
    return proof


async def _no_proof() -> None:
    """Where none is asked for, the route has no body."""


async def _change_oneself(
    own: OwnChange, user_manager: BaseUserManager[Any, Any], body: BaseUserUpdate, user: Any, request: Request,
    logins: Logins, authenticator: Authenticator[Any, Any], *, safe: bool,
) -> Any:  # fmt: skip
    values, waiting = await own.allowed(body, user, user_manager, request, safe=safe)
    gone = authenticator.refused(request)
    user = await _change(
        own.core,
        user_manager,
        values,
        user,
        request,
        logins,
        gone,
        safe=safe,
        keep_shown=True,
        gave_old=own.asks_password,
    )
    if waiting is not None:
        # After what a new password ends, for a change of address that waits is part of it.
        await own.request_address(waiting, user, request)
    return user


async def _change(
    core: Core, user_manager: BaseUserManager[Any, Any], values: BaseUserUpdate, user: Any, request: Request,
    logins: Logins, gone: Exception, *, safe: bool, keep_shown: bool = False, gave_old: bool = False,
) -> Any:  # fmt: skip
    """The changed user; `gone` is raised where there is none any more. `gave_old`: whether the old password was given."""
    refuse_unstorable(values)

    async def end(changed: Any) -> None:
        await core.end_logins(changed, logins, keep_shown=keep_shown)
        if values.password is not None and not gave_old:
            await forget_own_password(core.keys, changed)

    try:
        with ending_logins(end):
            changed = await user_manager.update(values, user, safe=safe, request=request)
    except InvalidPasswordException as e:
        raise refused_with(ErrorCode.UPDATE_USER_INVALID_PASSWORD, e.reason) from e
    except UserAlreadyExists as e:
        raise refused(ErrorCode.UPDATE_USER_EMAIL_ALREADY_EXISTS) from e
    except UserChanged as e:
        raise refused(FurtherErrorCode.UPDATE_USER_CONFLICT, 409) from e
    except UserNotExists as e:
        raise gone from e
    core.emit(EventName.user_updated, request, changed)
    if values.password is not None:
        core.emit(EventName.password_changed, request, changed)
    return changed

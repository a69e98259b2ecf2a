"""The first superuser of an application with a `FastAPIUsers`, or one more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ConfigDict, ValidationError

from crossauth_fastapi.cli.administrator import Administrator
from crossauth_fastapi.cli.output import Refused
from crossauth_fastapi.cli.target import UserManager
from crossauth_fastapi.fastapi_users._rules import FLAGS
from crossauth_fastapi.fastapi_users.exceptions import (
    ConstraintViolated,
    InvalidPasswordException,
    InvalidUserException,
    UserAlreadyExists,
)
from crossauth_fastapi.fastapi_users.schemas import BaseUserCreate, BaseUserUpdate

DECIDED: Final = (*FLAGS, "email", "password")


class _SuperuserCreate(BaseUserCreate):
    model_config = ConfigDict(extra="allow")


async def create_superuser(
    manager: UserManager, email: str, password: Callable[[], str], fields: Mapping[str, str], *, keep: bool = False
) -> Administrator:
    """Create a user who is a superuser.

    Parameters:
        manager: the application's user manager.
        email: what the user logs in with.
        password: called where there is no such user.
        fields: further columns.
        keep: whether a superuser who exists is no mistake.

    Raises:
        Refused: the user exists, or the application or its database refuses.
    """
    found = await manager.user_db.get_by_email(email)
    if found is not None and keep and found.is_superuser:
        return _told(found, created=False, changed=False)
    flags: dict[str, Any] = {"is_active": True, "is_superuser": True, "is_verified": True}
    try:
        if found is not None:
            raise UserAlreadyExists
        provided = {**fields, "email": email, "password": password(), **flags}
        user = await manager.create(_SuperuserCreate.model_validate(provided))
    except Refused:
        raise
    except ValidationError as e:
        raise Refused("; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in e.errors())) from e
    except InvalidPasswordException as e:
        raise Refused(f"the password is refused: {e.reason}") from e
    except InvalidUserException as e:
        raise Refused(f"the user is refused: {e.reason}") from e
    except UserAlreadyExists as e:
        raise Refused(f"{email} exists already: add --promote to make that user a superuser") from e
    except Exception as e:
        # Of a database's error only what the driver said: the statement's values hold the hash.
        cause = getattr(e, "orig", None) or e
        raise Refused(
            f"the user cannot be stored ({type(cause).__name__}: {cause}); --field fills further columns"
        ) from None
    return _told(user, created=True, changed=True)


async def promote(manager: UserManager, email: str) -> Administrator:
    """Make a user who exists a superuser.

    Parameters:
        manager: the application's user manager.
        email: the address of the user.

    Raises:
        Refused: there is no such user, or the application or its database refuses.
    """
    user = await manager.user_db.get_by_email(email)
    if user is None:
        raise Refused(f"there is no user {email}: leave --promote out to create one")
    try:
        user = await manager.update(BaseUserUpdate(is_superuser=True), user)
    except InvalidUserException as e:
        raise Refused(f"the user is refused: {e.reason}") from e
    except ConstraintViolated as e:
        raise Refused(f"the database refuses: {e}") from e
    return _told(user, created=False, changed=True)


def _told(user: Any, *, created: bool, changed: bool) -> Administrator:
    return Administrator(user.id, user.email, user.email, created, changed, "a superuser")

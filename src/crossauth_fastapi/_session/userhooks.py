"""What the application's hooks make of a form, checked before anything is stored.

A hook that returns anything but what it is to return is a fault of the application: the log says which, and the client learns
nothing but that the request was refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import NoneType
from typing import Any, Final

from crossauth_backend.accounts.admin import STATES
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.users.record import User
from crossauth_fastapi._session.context import SessionRequest

_TEXT: Final = (str,)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "username": _TEXT, "state": _TEXT, "factor1": _TEXT, "factor2": (str, NoneType), "email": (str, NoneType),
    "admin": (bool,),
}  # fmt: skip


async def user_made(
    call: SessionRequest, body: dict[str, Any], editable: list[str], factors: list[str], needed: Collection[str]
) -> dict[str, Any]:
    """Return the user that `create_user_fn` makes.

    Parameters:
        call: the request.
        body: the fields of the form.
        editable: the fields that may be set.
        factors: the first factors that may be chosen.
        needed: the keys that the hook has to return.

    Raises:
        CrossauthError: `Configuration` for what is no user.
        Exception: whatever the hook raises.
    """
    made = await call_hook(call.ctx.settings.create_user_fn, call.request, body, editable, factors)
    fields = _fields("create_user_fn", made)
    missing = [name for name in needed if name not in fields]
    if missing:
        raise _fault("create_user_fn", f"must return a user with the keys {', '.join(missing)}")
    if fields.get("id") is not None and not isinstance(made, User):
        raise _fault("create_user_fn", "must not choose the id, which is the storage's to give")
    fields.pop("id", None)
    return fields


async def user_changed(call: SessionRequest, user: User, editable: list[str]) -> dict[str, Any]:
    """Return the fields of `user` as `update_user_fn` wants them.

    Parameters:
        call: the request.
        user: the user as stored.
        editable: the fields that may be set.

    Raises:
        CrossauthError: `Configuration` for what is no user, or is another one.
        Exception: whatever the hook raises.
    """
    body = call.form.to_dict()
    requested = _fields(
        "update_user_fn", await call_hook(call.ctx.settings.update_user_fn, user, call.request, body, editable), user
    )
    if "id" in requested and str(requested["id"]) != str(user.id):
        raise _fault("update_user_fn", "must return the user that it was given, not one with another id")
    return requested


def _fields(hook: str, returned: object, stored: User | None = None) -> dict[str, Any]:
    fields: Any = returned.to_dict() if isinstance(returned, User) else returned
    if not isinstance(fields, Mapping):
        raise _fault(hook, f"must return a user, as a dictionary or a record, not {type(returned).__name__}")
    for name, value in fields.items():
        if not isinstance(name, str):
            raise _fault(hook, f"must return a user whose keys are text, not {type(name).__name__}")
        if stored is not None and value == stored.get(name) and type(value) is type(stored.get(name)):
            continue
        if not isinstance(value, _TYPES.get(name, object)):
            right = " or ".join("None" if kind is NoneType else kind.__name__ for kind in _TYPES[name])
            raise _fault(hook, f"must return {right} as {name!r}, not {type(value).__name__}")
        if name == "state" and value not in STATES:
            raise _fault(hook, f"must return one of {', '.join(STATES)} as 'state'")
    return dict(fields)


def _fault(hook: str, what: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, detail=f"option {hook!r}: the function {what}")

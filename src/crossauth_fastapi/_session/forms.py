"""Users from form fields: what an application replaces by `create_user_fn` and `update_user_fn`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from fastapi import Request
from jinja2 import pass_context
from jinja2.runtime import Context

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jsonsafe import json_safe
from crossauth_backend.core.texts import mark
from crossauth_backend.users.record import User, UserInputFields, with_fields
from crossauth_backend.users.states import UserState

PREFIX: Final = "user_"
_TYPES: Final = {"email": "email", "phone": "tel"}
_LABELS: Final = {"email": mark("Email address"), "phone": mark("Phone number"), "username": mark("Username")}
# Never from a form, even where an application lists them as editable: they are the server's to set.
_RESERVED: Final = (
    "id", "state", "factor1", "factor2", "admin", "username_normalized", "email_normalized", "security_stamp",
    "email_verified_at", "signup_expires",
)  # fmt: skip


def editable_values(body: dict[str, Any], editable: list[str]) -> dict[str, str | int | float | None]:
    """The fields `user_x` of a body for which `x` may be edited, without the prefix.

    Raises:
        CrossauthError: `BadRequest` for a value that is no text, number or boolean.
    """
    values: dict[str, str | int | float | None] = {}
    for name in editable:
        if name in _RESERVED or PREFIX + name not in body:
            continue
        value = body[PREFIX + name]
        if not isinstance(value, (str, int, float, bool, type(None))):
            raise CrossauthError(ErrorCode.BadRequest, f"{PREFIX}{name} must be text, a number, or true or false")
        values[name] = value
    if not isinstance(values.get("username", ""), str):
        raise CrossauthError(ErrorCode.BadRequest, f"{PREFIX}username must be text")
    email = values.get("email")
    if isinstance(email, str):
        values["email"] = email.strip() or None
    elif email is not None:
        raise CrossauthError(ErrorCode.BadRequest, f"{PREFIX}email must be text")
    return values


@pass_context
def form_fields(context: Context, names: Sequence[str], user: User | None = None) -> list[dict[str, Any]]:
    """What a page shows of the fields that may be edited: for templates, `form_fields(userEditableFields, user)`.

    Parameters:
        context: the variables of the page; what was typed before a refusal is shown again.
        names: the fields, without `user_`. Those that no form sets, and the username, which has a place of its own, are left out.
        user: whose values they are; nobody's in a form for a new user.
    """
    view = [name for name in names if name not in _RESERVED and name != "username"]
    return [
        shown_field(name, context.get(PREFIX + name, "" if user is None else shown_value(user.get(name, ""))))
        for name in view
    ]


def shown_field(name: str, value: Any) -> dict[str, Any]:
    """Return what a page shows of one field of a user that may be edited."""
    label = _LABELS.get(name, name.replace("_", " ").capitalize())
    return {"name": PREFIX + name, "label": label, "value": value, "type": _TYPES.get(name, "text")}


def shown_value(value: Any) -> Any:
    """What a field of a form shows of a value: text that says the same when it is sent back."""
    plain = json_safe(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, (bool, dict, list)) else plain


def default_create_user(
    request: Request,
    body: dict[str, Any],
    userEditableFields: list[str],
    allowableFactor1: list[str],
) -> UserInputFields:
    """The user that a sign-up form describes.

    Takes the field `username`, and every `user_x` whose `x` is in `userEditableFields`.

    Parameters:
        request: the request.
        body: the fields of the form.
        userEditableFields: the fields a user may edit.
        allowableFactor1: the first factors a user may choose; `factor1` in the form chooses where there are several.

    Raises:
        CrossauthError: `BadRequest` where no first factor was chosen, `Forbidden` for one that is not offered.
    """
    factor1 = body.get("factor1")
    if factor1 is None:
        if len(allowableFactor1) != 1:
            raise CrossauthError(ErrorCode.BadRequest, f"Choose factor1: one of {', '.join(allowableFactor1)}")
        factor1 = allowableFactor1[0]
    if factor1 not in allowableFactor1:
        raise CrossauthError(ErrorCode.Forbidden, mark("This login method is not available"))
    user = {"username": body.get("username"), "state": UserState.active, "factor1": factor1}
    return cast(UserInputFields, user | editable_values(body, [f for f in userEditableFields if f != "username"]))


def default_update_user(
    user: User,
    request: Request,
    body: dict[str, Any],
    userEditableFields: list[str],
) -> User:
    """`user` with the changes that a form asks for: every `user_x` whose `x` is in `userEditableFields`.

    Parameters:
        user: the user as stored.
        request: the request.
        body: the fields of the form.
        userEditableFields: the fields a user may edit.
    """
    return with_fields(user, editable_values(body, userEditableFields))

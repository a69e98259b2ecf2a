"""Which fields of a form a refusal is about: what pages show beside each field.

A refusal that knows its fields says so (`CrossauthError.wrong_fields`). For others the code does, where it can only be about
one thing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.errors import PasswordRequired

# What a refusal is about where it says nothing more.
_BY_CODE: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.InvalidEmail: "email",
    ErrorCode.InvalidPhoneNumber: "phone",
    ErrorCode.InvalidUsername: "username",
    ErrorCode.PasswordFormat: "password",
    ErrorCode.PasswordMatch: "repeat_password",
    ErrorCode.InvalidToken: "otp",
    ErrorCode.Expired: "otp",
}
_PREFIXES: Final = ("", "new_", "user_")
_CODES: Final = ("recovery_code", "otp")


def field_errors(
    e: CrossauthError, shown: Collection[str], own_password: str = "", login: bool = False
) -> dict[str, list[str]]:
    """Return the texts for each form field that is wrong, in the order of the form; empty where none is.

    A field without a text is wrong together with another one that has it.

    Parameters:
        e: the refusal.
        shown: the fields of the form, in their order.
        own_password: the field for the password of the user who is asking, where the form has one.
        login: whether the form asks who its user is, so that a wrong password may be a wrong username.
    """
    if isinstance(e, PasswordRequired):
        return {e.field: e.messages}
    if e.code is ErrorCode.UsernameOrPasswordInvalid and not e.wrong_fields:
        # Which of the two is wrong is not said.
        found = {"username": [], "password": e.messages} if login else {own_password: e.messages}
        return {name: texts for name, texts in found.items() if name in shown}
    about = e.wrong_fields or ({_BY_CODE[e.code]: e.messages} if e.code in _BY_CODE else {})
    named = {name: texts for what, texts in about.items() if (name := _form_field(what, shown)) is not None}
    return dict(sorted(named.items(), key=lambda entry: list(shown).index(entry[0])))


def _form_field(what: str, shown: Collection[str]) -> str | None:
    """The form field for what a refusal is about; `None` where the form has none."""
    candidates = _CODES if what == "otp" else [prefix + what for prefix in _PREFIXES]
    found = [name for name in shown if name in candidates]
    # A new password is `new_password` where the form has both.
    if not found and what == "username":
        # Where the address is the username.
        found = [name for name in shown if name == "user_email"]
    return "new_password" if what == "password" and "new_password" in found else next(iter(found), None)


def field_variables(errors: Mapping[str, list[str]]) -> dict[str, object]:
    """Return what a page is given of `field_errors`; `focusField` is the first field that is wrong."""
    told = next((name for name, texts in errors.items() if texts), None)
    return {"fieldErrors": dict(errors), "focusField": told or next(iter(errors), None)}

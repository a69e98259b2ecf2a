"""Refusals that say which field of a form is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.passwords import composed_password
from crossauth_backend.core.secrets import equal
from crossauth_backend.factors.base import Authenticator, Params

REPEAT = "repeat_"
# What these refusals are about.
_FIELDS = {ErrorCode.InvalidEmail: "email", ErrorCode.InvalidPhoneNumber: "phone"}


def refusal(field: str, text: str, *more: str) -> CrossauthError:
    """Return a `FormEntry` with one public text, for a field and for those of `more`."""
    return CrossauthError(ErrorCode.FormEntry, text, fields={name: [text] for name in (field, *more)})


def taken(field: str) -> CrossauthError:
    """Return the `UserExists` of a username or an email address that is in use."""
    text = CrossauthError(ErrorCode.UserExists).message
    return CrossauthError(ErrorCode.UserExists, fields={field: [text]})


async def check_new_secrets(
    factor: Authenticator, new: Params, repeat: Params | None, otherwise: Iterable[str] = ()
) -> None:
    """Refuse secrets that the factor does not take. An unequal repetition is reported beside what else is wrong.

    Parameters:
        factor: the factor that will store them.
        new: the secrets.
        repeat: the same once more, where they were typed twice.
        otherwise: texts that count where the factor itself finds nothing wrong.

    Raises:
        CrossauthError: `PasswordFormat` (list). Where only the repetition is wrong, nothing: the factor says so when it stores
            the secrets.
    """
    problems = await factor.secret_problems(new) or list(otherwise)
    if not problems:
        return
    name = next(iter(factor.secret_names()), "password")
    fields = {name: problems}
    # Nobody repeats what was not given.
    if new.get(name) and differs_from_repeat(name, new, repeat):
        fields[REPEAT + name] = [CrossauthError(ErrorCode.PasswordMatch).message]
    raise CrossauthError(ErrorCode.PasswordFormat, [t for texts in fields.values() for t in texts], fields=fields)


async def with_secret_problems(
    factor: Authenticator | None, e: CrossauthError, new: Params, repeat: Params | None
) -> CrossauthError:
    """Return the refusal `e` of a form, and with it what is wrong with the secrets in the same form.

    Parameters:
        factor: the factor that would store them.
        e: the refusal of the other fields; it stays as it is where they are not what is wrong.
        new: the secrets.
        repeat: the same once more, where they were typed twice.
    """
    field = _FIELDS.get(e.code)
    fields = e.wrong_fields or ({field: e.messages} if field else {})
    if factor is None or not fields:
        return e
    try:
        await check_new_secrets(factor, new, repeat)
    except CrossauthError as more:
        if more.code is ErrorCode.PasswordFormat:
            texts = [*e.messages, *more.messages]
            return CrossauthError(e.code, texts, detail=e.detail, fields=fields | more.wrong_fields)
    return e


def differs_from_repeat(name: str, new: Params, repeat: Params | None) -> bool:
    """Whether the secret `name` was typed again, and differently."""
    if repeat is None:
        return False
    first, second = (composed_password(str(secrets.get(name) or "")) for secrets in (new, repeat))
    return not equal(first, second)

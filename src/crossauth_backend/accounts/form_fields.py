"""Refusals that say which field of a form is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.passwords import composed_password
from crossauth_backend.core.secrets import equal
from crossauth_backend.factors.base import Authenticator, Params

REPEAT = "repeat_"


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


def differs_from_repeat(name: str, new: Params, repeat: Params | None) -> bool:
    """Whether the secret `name` was typed again, and differently."""
    if repeat is None:
        return False
    first, second = (composed_password(str(secrets.get(name) or "")) for secrets in (new, repeat))
    return not equal(first, second)

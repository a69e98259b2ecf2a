"""How long a link or a code works, in words."""

from __future__ import annotations

from typing import Final

from crossauth_backend.core.texts import ngettext

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def duration_text(seconds: int) -> str:
    """Return `seconds` in the largest unit of which there are at least two, in the current language, never more than it is."""
    if seconds >= 2 * _DAY:
        number = seconds // _DAY
        text = ngettext("%(num)s day", "%(num)s days", number)
    elif seconds >= _HOUR:
        number = seconds // _HOUR
        text = ngettext("%(num)s hour", "%(num)s hours", number)
    elif seconds >= _MINUTE:
        number = seconds // _MINUTE
        text = ngettext("%(num)s minute", "%(num)s minutes", number)
    else:
        number = seconds
        text = ngettext("%(num)s second", "%(num)s seconds", number)
    return text % {"num": number}

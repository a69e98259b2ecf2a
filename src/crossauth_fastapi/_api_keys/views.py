"""API keys as JSON and as pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from crossauth_backend.api_keys.record import ApiKey
from crossauth_backend.core.texts import mark, mark_plural
from crossauth_fastapi._api_keys.context import KeyRequest, Owner

SCOPE_FIELD: Final = "scope_"
_DAY: Final = 86_400
# Days that a page offers for the life of a key.
_OFFERED: Final = (7, 30, 90, 180, 365)
# Seconds that a page offers for the old text after a rotation.
_OVERLAPS: Final = (0, 3600, _DAY, 7 * _DAY)


def key_json(key: ApiKey) -> dict[str, Any]:
    """What the owner of a key is told of it. Never its text, nor its hash."""
    limit = {"requests": key.limit.attempts, "seconds": key.limit.seconds} if key.limit else None
    return {
        "id": key.id, "name": key.name, "hint": key.hint, "scope": None if key.scope is None else list(key.scope),
        "created": key.created.isoformat(), "expires": _time(key.ends), "lastUsed": _time(key.lastactive), "limit": limit,
        "replacedUntil": _time(key.replaced_until),
    }  # fmt: skip


def list_variables(call: KeyRequest, owner: Owner, keys: Sequence[ApiKey]) -> dict[str, Any]:
    """What the page of a user's keys shows."""
    return {
        **_common(call, owner),
        "apiKeys": keys,
        "scopes": call.ctx.options.scopes,
        "chosenScopes": [s for s in call.ctx.options.scopes if call.form.get(f"{SCOPE_FIELD}{s}")],
        "lifetimes": _lifetimes(call),
        "lifetime": call.ctx.manager.settings.default_expiry or 0,
    }


def key_variables(call: KeyRequest, owner: Owner, key: ApiKey) -> dict[str, Any]:
    """What the page of one key shows."""
    default = call.ctx.manager.settings.rotation_overlap
    overlaps = [(s, duration(s) if s else "") for s in sorted({*_OVERLAPS, default})]
    return {**_common(call, owner), "apiKey": key, "overlaps": overlaps, "overlap": default}


def duration(seconds: int) -> str:
    """A time in words, such as `90 days`."""
    if seconds % _DAY == 0:
        return mark_plural("%(n)d day", "%(n)d days", seconds // _DAY)
    if seconds % 3600 == 0:
        return mark_plural("%(n)d hour", "%(n)d hours", seconds // 3600)
    if seconds % 60 == 0:
        return mark_plural("%(n)d minute", "%(n)d minutes", seconds // 60)
    return mark_plural("%(n)d second", "%(n)d seconds", seconds)


def _common(call: KeyRequest, owner: Owner) -> dict[str, Any]:
    base, end = (call.admin_url, f"/{owner.user.id}") if owner.administered else (call.url, "")
    names = {"list": "apikeys", "edit": "updateapikey", "rotate": "rotateapikey", "revoke": "revokeapikey"}
    return {
        "user": owner.user,
        "isAdmin": owner.administered,
        "urls": {name: base(endpoint) + end for name, endpoint in names.items()},
        "passwordNeeded": call.ctx.accounts.needs_password(call, owner.who),
    }


def _lifetimes(call: KeyRequest) -> list[tuple[int, str]]:
    """Seconds and words; 0 for ever."""
    longest, default = call.ctx.options.max_expiry, call.ctx.manager.settings.default_expiry
    offered = {days * _DAY for days in _OFFERED} | {s for s in (longest, default) if s is not None}
    fitting = sorted(s for s in offered if longest is None or s <= longest)
    return [(s, duration(s)) for s in fitting] + ([(0, mark("Never expires"))] if longest is None else [])


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()

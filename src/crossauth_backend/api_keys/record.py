"""An API key, and what its data say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.records import ItemReads
from crossauth_backend.keys.data import decode_data
from crossauth_backend.keys.record import Key
from crossauth_backend.limits.rules import Limit
from crossauth_backend.users.record import User

# Where a key's data keep what is ours; the rest of them, `scope` included, is the application's.
OURS: Final = "crossauth"
# Of the numbers of a limit, requests and seconds.
MAX_LIMIT: Final = 2**31
_ID_LENGTH: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Key):
    """A stored API key.

    `value` is the stored hash, never what the client holds. `id` names the key in lists and is worth nothing as a key; it stays
    through rotations. `hint` is how the text of the key begins, for its owner to recognize it. `scope` is `None` for a key
    without scopes. `limit` is the key's own limit of requests. `replaced_until` is set once the key was rotated: until then it
    still works. `pending` is a key that is being made.
    """

    id: str = ""
    name: str = ""
    scope: tuple[str, ...] | None = None
    hint: str = ""
    limit: Limit | None = None
    replaced_until: datetime | None = None
    pending: bool = False

    @property
    def ends(self) -> datetime | None:
        """When the key ends, by its expiry or its replacement; `None` for never."""
        times = [time for time in (self.expires, self.replaced_until) if time is not None]
        return min(times, default=None)

    def _extra(self) -> Mapping[str, Any]:
        """Read as a mapping it has the application's data besides; none of them hides a field."""
        own = {name: value for name, value in _readable_data(self).items() if name not in self._names()}
        return {**own, **self.extra}


@dataclass(frozen=True, slots=True)
class KeyReturn(ItemReads):
    """A new API key, and the text its client needs. That text is stored nowhere: show it once."""

    key: ApiKey
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedApiKey(ItemReads):
    """A key that was presented and is good, and its user, who is `None` for a key of nobody. Only the manager makes one."""

    key: ApiKey
    user: User | None


def api_key_of(key: Key) -> ApiKey:
    """The API key in a stored key; one that another system stored may lack everything but its value.

    Raises:
        CrossauthError: `DataFormat` where its data are no JSON object.
    """
    data = _decoded(key.data)
    ours = data.get(OURS)
    ours = ours if isinstance(ours, dict) else {}
    scope = data.get("scope")
    name = ours.get("name", key.extra.get("name", ""))
    until, limit = ours.get("until"), ours.get("limit")
    return ApiKey(
        value=key.value, created=key.created, expires=key.expires, userid=key.userid, lastactive=key.lastactive,
        data=key.data, consumed=key.consumed, stamp=key.stamp, extra=key.extra,
        id=str(ours.get("id") or key.value.rpartition(":")[2][:_ID_LENGTH]),
        name=str(name or ""),
        scope=tuple(map(str, scope)) if isinstance(scope, list) else None,
        hint=str(ours.get("hint", "")),
        limit=_limit(limit),
        replaced_until=_time(until),
        pending=ours.get("pending") is True,
    )  # fmt: skip


def data_of(key: ApiKey) -> dict[str, Any]:
    """What `key.data` hold of the application's: everything but our entry."""
    return {name: value for name, value in _decoded(key.data).items() if name != OURS}


def encoded(data: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The data of a key to be stored.

    Raises:
        CrossauthError: `BadRequest` where a value has no JSON form.
    """
    try:
        return json.dumps({**data, OURS: ours}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as e:
        raise CrossauthError(ErrorCode.BadRequest, "The data of an API key must be JSON values") from e


def ours_of(key: ApiKey) -> dict[str, Any]:
    """What we keep in the data of `key`."""
    ours = {"id": key.id, "name": key.name, "hint": key.hint}
    own = {"limit": [key.limit.attempts, key.limit.seconds]} if key.limit else {}
    until = {"until": key.replaced_until.timestamp()} if key.replaced_until else {}
    return ours | own | until | ({"pending": True} if key.pending else {})


def with_data(key: ApiKey, **changes: Any) -> ApiKey:
    """`key` with other fields, and with the data that say so."""
    changed = replace(key, **changes)
    return replace(changed, data=encoded(data_of(key), ours_of(changed)))


def _readable_data(key: ApiKey) -> dict[str, Any]:
    try:
        return data_of(key)
    except CrossauthError:
        return {}


def _decoded(data: str) -> dict[str, Any]:
    try:
        return decode_data(data)
    except RecursionError as e:
        raise CrossauthError(ErrorCode.DataFormat, detail="the data of a key are nested too deep") from e


def _time(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, (int, float)) else None
    except (OverflowError, ValueError, OSError):
        return None


def _limit(value: object) -> Limit | None:
    if isinstance(value, list) and len(value) == 2 and all(type(n) is int and 0 < n <= MAX_LIMIT for n in value):
        return Limit(*value)
    return None

"""Interactions: a flow that leaves for login, sign-up, email verification or consent, and comes back.

The request of the flow is checked once, when it comes in, and kept here. What travels in URLs is a handle, so a long request is
not cut off and nobody can change it on the way. The record survives reloads and is consumed when the flow completes. A pushed
authorization request (RFC 9126) is the same record, stored before there is a browser.

Which browser may use a handle is for the web side to find out, by a cookie (`sessions.claim`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token, random_value
from crossauth_backend.core.texts import mark
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.keys.data import decode_data, encode_data
from crossauth_backend.keys.record import Key, KeyPrefix

# As much as a body of ours may have. A request object (RFC 9101) or `claims` (OIDC Core §5.5) of some kilobytes are real.
MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 32
# Time to sign up and to find the mail with the link.
LASTS: Final = timedelta(hours=1)
_HANDLE_BYTES: Final = 32
_HANDLE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
UNKNOWN: Final = mark("This request is unknown. Go back to the application and start again.")
EXPIRED: Final = mark("This request has expired. Go back to the application and start again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One flow that is under way.

    Parameters:
        handle: names it; 256 random bits, of which only a hash is stored.
        flow: what began it, such as `authorize`; a handle is good for its own flow only.
        request: the checked request, as JSON values.
        resume: where the browser comes back to: a path from the application's own root.
        ends_at: the URL that the flow ends at, from the checked request; `None` where it ends on this site.
        pushed: whether it was stored before there was a browser.
        begun: when it began.
        expires: until when it can be used.
        completed: when it was completed; `None` while it is under way.
    """

    handle: str = field(repr=False)
    flow: str
    request: Mapping[str, Any] = field(repr=False)
    resume: str
    ends_at: str | None
    pushed: bool
    begun: datetime
    expires: datetime
    completed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """An interaction that was completed.

    Parameters:
        interaction: what it was.
        first: whether that was now. If not, it is a replay: nothing may be issued for it.
    """

    interaction: Interaction
    first: bool


async def begin(
    accounts: Accounts,
    flow: str,
    request: Mapping[str, Any],
    resume: str,
    *,
    ends_at: str | None = None,
    pushed: bool = False,
    lasts: timedelta = LASTS,
    origin: ClientInfo = UNKNOWN_CLIENT,
) -> Interaction:
    """Store a checked request, encrypted.

    What a browser begins is counted by its address (`interaction_address`): anybody can do so without logging in. Whoever pushes
    a request is a client that has authenticated, and is counted by the caller (`par`).

    Parameters:
        accounts: the account services.
        flow: what begins it.
        request: the checked request: JSON values, at most 64 KiB of them and 32 levels deep.
        resume: a path from the application's own root.
        ends_at: the URL that the flow ends at.
        pushed: whether there is no browser yet.
        lasts: how long it can be used.
        origin: where the request comes from.

    Raises:
        CrossauthError: `TooManyAttempts`; `BadRequest` for a request that is too large or is not JSON; `Configuration` for a path
            that is not one.
    """
    if not resume.startswith("/") or resume.startswith("//") or "?" in resume:
        raise CrossauthError(
            ErrorCode.Configuration, detail=f"an interaction resumes at a path of ours, not {resume!r}"
        )
    text = _as_json({"flow": flow, "request": request, "resume": resume, "ends_at": ends_at, "pushed": pushed})
    if not pushed:
        await accounts.counted(origin, None, interaction_address=origin.address)
    handle, now = random_value(_HANDLE_BYTES), accounts.now
    data = encode_data({"sealed": accounts.ring.encrypt(text)})
    await accounts.keys.save_key(None, _stored(handle), now, now + lasts, data)
    return Interaction(
        handle=handle, flow=flow, request=json.loads(text)["request"], resume=resume, ends_at=ends_at, pushed=pushed,
        begun=now, expires=now + lasts,
    )  # fmt: skip


async def find(accounts: Accounts, flow: str, handle: str) -> Interaction:
    """The interaction of this handle, which stays as it is; also one that was completed, see `Interaction.completed`.

    Raises:
        CrossauthError: `InvalidKey` (400) for a handle that we did not give out, or that is of another flow; `Expired` (400).
    """
    return await _found(accounts, flow, handle)


async def find_any(accounts: Accounts, handle: str) -> Interaction:
    """As `find`, whatever its flow: for what leads on to it.

    Raises:
        CrossauthError: as `find`.
    """
    return await _found(accounts, None, handle)


async def claim(accounts: Accounts, interaction: Interaction) -> bool:
    """Whether this is the first browser to use an interaction that was pushed; of any number at once, one is the first."""
    name = f"interaction {interaction.handle}"
    return await consume_once(accounts.keys, name, accounts.now, interaction.expires)


async def complete(accounts: Accounts, flow: str, handle: str) -> Completion:
    """Consume the interaction: of any number of calls at once exactly one is told that it was the first.

    Raises:
        CrossauthError: as `find`.
    """
    # One of another flow is not consumed.
    await find(accounts, flow, handle)
    consumed = await accounts.keys.consume_key(_stored(handle), accounts.now)
    if consumed is None:
        raise _unknown()
    return Completion(_read(accounts, consumed.key, flow, handle), consumed.first)


def _stored(handle: str) -> str:
    return KeyPrefix.authorization_request + hash_token(handle)


async def _found(accounts: Accounts, flow: str | None, handle: str) -> Interaction:
    key = await accounts.keys.find_key(_stored(handle)) if _HANDLE.fullmatch(handle) else None
    if key is None:
        raise _unknown()
    return _read(accounts, key, flow, handle)


def _read(accounts: Accounts, key: Key, flow: str | None, handle: str) -> Interaction:
    sealed = decode_data(key.data).get("sealed")
    stored = json.loads(accounts.ring.decrypt(sealed)) if isinstance(sealed, str) else {}
    if "flow" not in stored or (flow is not None and stored["flow"] != flow):
        raise _unknown()
    if key.expires is None or key.expires <= accounts.now:
        raise CrossauthError(ErrorCode.Expired, EXPIRED, status=400)
    return Interaction(
        handle=handle, flow=stored["flow"], request=stored["request"], resume=stored["resume"], ends_at=stored["ends_at"],
        pushed=stored["pushed"], begun=key.created, expires=key.expires, completed=key.consumed,
    )  # fmt: skip


def _unknown() -> CrossauthError:
    return CrossauthError(ErrorCode.InvalidKey, UNKNOWN, status=400)


def _as_json(record: Mapping[str, Any]) -> str:
    """The record as JSON text.

    Raises:
        CrossauthError: `BadRequest` where it is too large, or reading it again would not give the same.
    """
    if not _is_json(record, MAX_DEPTH + 1):
        raise CrossauthError(
            ErrorCode.BadRequest,
            f"The request must be JSON values, at most {MAX_DEPTH} levels deep, and numbers must be finite",
        )
    try:
        text = json.dumps(record, separators=(",", ":"))
    except ValueError as e:
        raise CrossauthError(ErrorCode.BadRequest, mark("The request has a number that is too large")) from e
    if len(text) > MAX_BYTES:
        raise CrossauthError(
            ErrorCode.BadRequest, f"The request is too large: {len(text)} bytes, {MAX_BYTES} are allowed"
        )
    return text


def _is_json(value: object, depth: int) -> bool:
    if isinstance(value, Mapping):
        return depth > 0 and all(isinstance(n, str) and _is_json(v, depth - 1) for n, v in value.items())
    if isinstance(value, (list, tuple)):
        return depth > 0 and all(_is_json(one, depth - 1) for one in value)
    return isinstance(value, (str, int, type(None))) or (isinstance(value, float) and math.isfinite(value))

"""Asking a user who is logged in for the second factor once more, before something that matters.

The request is held in the session, encrypted, until the code comes; it is made once, as it was. One request that changes
something and one that looks at something may be held at a time, so that looking does not take away what waits in another tab.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from crossauth_backend.accounts.challenge import (
    HELD_REQUEST,
    READ_REQUEST,
    VISIT,
    WAITS,
    Challenge,
    decrypt,
    encrypt,
    new_challenge,
    reissued,
)
from crossauth_backend.accounts.codes import secrets_if_reachable
from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.accounts.second_factor import factor2_of, prove
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

SAFE_METHODS: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class HeldRequest:
    """A request that waits for the second factor: it is made once, as it was, and as no other.

    Parameters:
        method, query, content_type, body: as they were sent.
        path: from the root of the application, wherever that is mounted.
        raw_path: as the URL spelled it, root path included; empty where that is not known.
        root_path: where the application was mounted.
        bare: whether the URL left the root path out.
        unsent: whether the code is yet to be sent to the user; looking at something sends nothing.
        at: when it was held, in seconds since the epoch.
    """

    method: str
    path: str
    query: str = ""
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    raw_path: str = ""
    root_path: str = ""
    bare: bool = False
    unsent: bool = False
    at: float = 0.0

    @property
    def slot(self) -> str:
        """Its name in the session data."""
        return READ_REQUEST if self.method in SAFE_METHODS else VISIT


async def hold_request(accounts: Accounts, user: User, visit: HeldRequest, claim: str | None = None) -> dict[str, Any]:
    """Ask for the second factor; session data to keep, with the request encrypted.

    A code is sent for a request that changes something; for one that looks, `send_code` does it.
    """
    factor = factor2_of(accounts, user)
    unsent = visit.slot == READ_REQUEST and factor.mfa_type() == "oob"
    secrets = {} if unsent else await secrets_if_reachable(accounts, factor, user)
    secrets = {**secrets, HELD_REQUEST: _kept(visit, unsent, accounts.now.timestamp())}
    until = accounts.now + WAITS["visit"]
    challenge = new_challenge("visit", user, user.username, factor.factor_name, secrets, None, until, claim)
    return {visit.slot: encrypt(challenge, accounts.ring)}


async def send_code(accounts: Accounts, key: Key, user: User, visit: HeldRequest) -> dict[str, Any]:
    """Send the code of a request that looks at something; session data to keep.

    Raises:
        CrossauthError: `Unauthorized` where the request does not wait any more.
    """
    challenge = _read(accounts, key, user, visit.slot)
    sent = await secrets_if_reachable(accounts, factor2_of(accounts, user), user)
    request = {**challenge.secrets[HELD_REQUEST], "unsent": False}
    return {visit.slot: encrypt(reissued(challenge, {**sent, HELD_REQUEST: request}), accounts.ring)}


def waiting_request(accounts: Accounts, key: Key | None, slot: str, claim: str | None) -> HeldRequest | None:
    """The request of the browser that has `claim`, if one waits in a session under this name."""
    try:
        challenge = decrypt(key, accounts.ring, slot, "visit")
        stored = challenge.secrets[HELD_REQUEST]
        visit = HeldRequest(**{**stored, "body": base64.b64decode(stored["body"])})
        return visit if challenge.is_claimed_by(claim) else None
    except (CrossauthError, TypeError):
        # Or it was kept by a version that knew less of it; then it is asked anew.
        return None


def newest_held_request(accounts: Accounts, key: Key | None, claims: Callable[[str], str | None]) -> HeldRequest | None:
    """The request that a browser has sent last: what a code is for that does not say what it is for.

    Parameters:
        accounts: the account services.
        key: the session.
        claims: the claim of the browser to what waits under a name.
    """
    waiting = (waiting_request(accounts, key, slot, claims(slot)) for slot in (VISIT, READ_REQUEST))
    return max((visit for visit in waiting if visit is not None), key=lambda visit: visit.at, default=None)


async def complete_held_request(
    accounts: Accounts, key: Key, user: User, params: Params, origin: ClientInfo, slot: str = VISIT
) -> None:
    """Check the code for the request that waits. It counts once.

    Raises:
        CrossauthError: `Unauthorized` where none waits, or it is another user's; `InvalidToken`, `Expired`, `TooManyAttempts`;
            `InvalidSession` where the user's password or second factor is another by now.
    """
    await prove(accounts, _read(accounts, key, user, slot), params, origin)


def _read(accounts: Accounts, key: Key, user: User, slot: str) -> Challenge:
    challenge = decrypt(key, accounts.ring, slot, "visit")
    # What was held without an end, or without what it rests on, is from an older version.
    if str(challenge.userid) != str(user.id) or challenge.until is None or challenge.proven is None:
        raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))
    return challenge


def _kept(visit: HeldRequest, unsent: bool, at: float) -> dict[str, Any]:
    return {
        "method": visit.method, "path": visit.path, "query": visit.query, "content_type": visit.content_type,
        "body": base64.b64encode(visit.body).decode("ascii"), "raw_path": visit.raw_path, "root_path": visit.root_path,
        "bare": visit.bare, "unsent": unsent, "at": at,
    }  # fmt: skip

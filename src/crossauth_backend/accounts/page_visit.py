"""Asking a user who is logged in for the second factor once more, before something that matters (contract 4.6)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final

from crossauth_backend.accounts.codes import one_time_secrets
from crossauth_backend.accounts.context import Accounts, Origin
from crossauth_backend.accounts.pending import VISIT, new_pending, read_pending, seal
from crossauth_backend.accounts.second_factor import factor2_of, prove
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

_REQUEST: Final = "request"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that waits for the second factor: it is made once, as it was, and as no other."""

    method: str
    path: str
    query: str = ""
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)


async def start_visit(accounts: Accounts, user: User, visit: Visit) -> dict[str, Any]:
    """Ask for the second factor; session data to keep, with the request encrypted."""
    factor = factor2_of(accounts, user)
    request = {
        "method": visit.method, "path": visit.path, "query": visit.query, "content_type": visit.content_type,
        "body": base64.b64encode(visit.body).decode("ascii"),
    }  # fmt: skip
    secrets = {**await one_time_secrets(accounts, factor, user), _REQUEST: request}
    return {VISIT: seal(new_pending("visit", user, user.username, factor.factor_name, secrets, None), accounts.ring)}


def waiting_visit(accounts: Accounts, key: Key | None) -> Visit | None:
    """The request that waits in a session, if one does."""
    try:
        request = read_pending(key, accounts.ring, VISIT, "visit").secrets[_REQUEST]
    except CrossauthError:
        return None
    return Visit(
        request["method"], request["path"], request["query"], request["content_type"],
        base64.b64decode(request["body"]),
    )  # fmt: skip


async def complete_visit(accounts: Accounts, key: Key, user: User, params: Params, origin: Origin) -> None:
    """Check the code for the request that waits. It counts once.

    Raises:
        CrossauthError: `Unauthorized` where none waits, or it is another user's; `InvalidToken`, `Expired`, `TooManyAttempts`.
    """
    pending = read_pending(key, accounts.ring, VISIT, "visit")
    if str(pending.userid) != str(user.id):
        raise CrossauthError(ErrorCode.Unauthorized)
    await prove(accounts, pending, params, origin)

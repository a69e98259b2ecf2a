"""One thing that happened and that matters to security, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from crossauth_backend.users.record import UserId


class EventName(StrEnum):
    """What happened. The values are stable."""

    signed_up = "signed_up"
    login_succeeded = "login_succeeded"
    login_failed = "login_failed"
    logged_out = "logged_out"
    attempts_limited = "attempts_limited"
    factor2_asked = "factor2_asked"
    factor2_failed = "factor2_failed"
    factor2_set = "factor2_set"
    factor2_removed = "factor2_removed"
    recovery_codes_made = "recovery_codes_made"
    recovery_code_used = "recovery_code_used"
    password_changed = "password_changed"
    password_reset_requested = "password_reset_requested"
    password_reset = "password_reset"
    email_verified = "email_verified"
    email_change_requested = "email_change_requested"
    email_changed = "email_changed"
    session_ended = "session_ended"
    sessions_ended = "sessions_ended"
    user_created = "user_created"
    user_updated = "user_updated"
    user_deleted = "user_deleted"
    mail_failed = "mail_failed"
    api_key_created = "api_key_created"
    api_key_used = "api_key_used"
    api_key_rotated = "api_key_rotated"
    api_key_revoked = "api_key_revoked"
    api_key_refused = "api_key_refused"
    token_issued = "token_issued"
    token_refused = "token_refused"
    token_replayed = "token_replayed"
    token_revoked = "token_revoked"
    client_created = "client_created"
    client_changed = "client_changed"
    client_deleted = "client_deleted"
    consent_given = "consent_given"
    consent_withdrawn = "consent_withdrawn"
    signing_key_rotated = "signing_key_rotated"
    account_linked = "account_linked"
    account_unlinked = "account_unlinked"


class UnknownEventName(str):
    """The name of an event that a newer version has written; it reads like a member of `EventName`."""

    __slots__ = ()

    @property
    def value(self) -> str:
        """The name itself."""
        return str(self)


def event_name(text: str) -> EventName | UnknownEventName:
    """A stored name; one that this version does not know stays as it is."""
    try:
        return EventName(text)
    except ValueError:
        return UnknownEventName(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Who did what, from where, and how it ended.

    It has room for nothing else, so that no secret can be in one. `userid` and `username` are those of an account that exists;
    what was typed in vain into a login form is not kept, for people type passwords there.

    Parameters:
        name: what happened; in a table that a newer version has written too, perhaps a name that this one does not know.
        at: when.
        userid, username: whose account it is about.
        actor: who did it, where that is somebody else: an administrator's id.
        address: the peer's address.
        client: the OAuth client that did it or for which it was done, where there is one; of an API key its id.
        reason: why something failed, or which factor it was: a name out of a fixed list, never free text.
    """

    name: EventName | UnknownEventName
    at: datetime
    userid: UserId | None = None
    username: str | None = None
    actor: UserId | None = None
    address: str = ""
    client: str | None = None
    reason: str = ""


@runtime_checkable
class EventListener(Protocol):
    """Whoever wants to know. An application hands its own in by the option `event_listeners`."""

    def on_event(self, event: Event) -> None:
        """Called while the request is served, so it must return at once; what it raises is logged and goes no further.

        It may be `async`; then it runs in the background.
        """
        ...

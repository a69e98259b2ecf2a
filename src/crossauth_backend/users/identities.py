"""Accounts at other issuers, by which users log in, and what a storage of them must do.

An account there is its issuer and its subject, and nothing else: names and addresses change hands (OpenID Connect Core §5.7).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.records import ItemReads, bad_field
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import is_storable
from crossauth_backend.core.texts import mark
from crossauth_backend.users.record import UserId
from crossauth_backend.users.storage import UserStorage

# OpenID Connect Core §2 allows a subject 255 characters.
MAX_SUBJECT: Final = 255
MAX_ISSUER: Final = 512
MAX_NAME: Final = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(ItemReads):
    """An account at another issuer, and the user who logs in with it.

    Parameters:
        iss: the issuer.
        sub: who it is there.
        userid: who it is here.
        name: what it was called there when it was linked, for its user to know it by; it says nothing about who it is.
        created: since when it is linked.
    """

    iss: str
    sub: str
    userid: UserId
    name: str = ""
    created: datetime


@runtime_checkable
class IdentityStorage(Protocol):
    """Keeps which accounts at other issuers are linked to which users.

    Issuer and subject are compared exactly, character by character. All methods take any text: what cannot be stored is nobody's.
    """

    async def find(self, iss: str, sub: str) -> Identity | None:
        """Whose account this is; `None` where it is nobody's."""
        ...

    async def link(self, iss: str, sub: str, userid: UserId, name: str = "") -> bool:
        """Link an account to a user.

        An account is one user's: of several who link it at the same time one does. The storage's uniqueness decides that, not a
        look beforehand.

        Parameters:
            iss: the issuer.
            sub: who it is there.
            userid: who it is here.
            name: what it is called there; cut where it is too long.

        Returns:
            Whether it is new; `False` where it was linked to this user already.

        Raises:
            CrossauthError: `ConstraintViolation` (409) where it is another user's; `BadRequest` for what cannot be stored.
        """
        ...

    async def unlink(self, iss: str, sub: str, userid: UserId, *, keep_last: bool = False) -> bool:
        """End the link of an account to this user.

        Parameters:
            iss: the issuer.
            sub: who it is there.
            userid: who it is here.
            keep_last: whether it stays where the user has no other one. It is decided in the same statement: two that are
                unlinked at the same time do not both go.

        Returns:
            Whether it ended: it was linked to this user, and was not to stay.
        """
        ...

    async def of_user(self, userid: UserId) -> list[Identity]:
        """The accounts of a user, the oldest first."""
        ...

    async def delete_all_for_user(self, userid: UserId) -> None:
        """Forget the accounts of a user who is gone."""
        ...


@runtime_checkable
class SupportsUserCheck(Protocol):
    """A storage that takes ids of users of some type only."""

    def unfit_users(self, users: UserStorage) -> list[str]:
        """Why it cannot keep accounts of the users in a storage, as texts; asked at the start."""
        ...


def is_identity(iss: object, sub: object) -> bool:
    """Whether issuer and subject can be those of an account: text that can be stored, neither empty nor too long."""
    return _fits(iss, MAX_ISSUER) and _fits(sub, MAX_SUBJECT)


def check_identity(iss: object, sub: object) -> None:
    """Refuse what cannot be issuer and subject of an account.

    Raises:
        CrossauthError: `BadRequest`.
    """
    if not _fits(iss, MAX_ISSUER):
        raise bad_field("iss", f"must be text of at most {MAX_ISSUER} characters")
    if not _fits(sub, MAX_SUBJECT):
        raise bad_field("sub", f"must be text of at most {MAX_SUBJECT} characters")


def stored_name(name: str) -> str:
    """What is kept of the name of an account: it is only shown."""
    return "".join(c for c in name if c.isprintable() and is_storable(c))[:MAX_NAME]


def handle_of(identity: Identity) -> str:
    """What names an account in a form."""
    return hash_token(json.dumps([identity.iss, identity.sub]))


def taken() -> CrossauthError:
    """The refusal to link an account that is another user's."""
    return CrossauthError(
        ErrorCode.ConstraintViolation, mark("This account is already linked to another user"), status=409
    )


def _fits(value: object, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most and is_storable(value)

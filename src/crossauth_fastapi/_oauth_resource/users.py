"""The user that an access token names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire.errors import InvalidToken, TemporarilyUnavailable
from crossauth_backend.users.reads import UserStorageGetOptions
from crossauth_backend.users.record import User
from crossauth_backend.users.states import refusal
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._middleware.claimedusers import claimed_user
from crossauth_fastapi._middleware.identity import ClaimedUser

logger = logging.getLogger("crossauth.oauth")
_MAX_SUBJECT = 255
# Looked at here, so that it can be told whose account refuses.
_ANY_STATE: Final[UserStorageGetOptions] = {"skip_active_check": True, "skip_email_verified_check": True}


class AccountRefused(InvalidToken):
    """A token that is good, for the account of a user who may not use it.

    Parameters:
        user: whose account.
        reason: the name of the error code that its state has.
    """

    def __init__(self, user: User, reason: str) -> None:
        super().__init__(detail=f"the user's account: {reason}")
        self.user, self.reason = user, reason


def client_of(claims: Mapping[str, Any]) -> str | None:
    """The client that a token was issued to (RFC 9068 §2.2; `azp` is how OpenID Connect has it)."""
    for name in ("client_id", "azp"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def subject_of(claims: Mapping[str, Any]) -> str | None:
    """The user that a token says it is for; `None` for a client that acts for itself.

    Such a token has the client as `sub` (RFC 9068 §5); a client must not pass for the user of the same name (RFC 9700 §4.15).

    Raises:
        InvalidToken: for what nobody is called (OpenID Connect Core §2 allows 255 characters).
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or subject == client_of(claims):
        return None
    if len(subject) > _MAX_SUBJECT or not subject.isprintable():
        raise InvalidToken(detail="sub")
    return subject


@dataclass(frozen=True, slots=True)
class UserLookup:
    """Finds the user of a token.

    Parameters:
        storage: where users are; without it they are made of the claims.
        own_issuer: the issuer whose `sub` is the id of a user.
        field: of users, that the `sub` of other issuers equals.
        required: whether a token whose user is not there is refused.
        only_issuer: whether there is no other issuer.
        has_accounts: whether the application knows users by other credentials, too.
    """

    storage: UserStorage | None = None
    own_issuer: str | None = None
    field: str | None = None
    required: bool = True
    only_issuer: bool = True
    has_accounts: Callable[[], bool] = lambda: False

    async def find(self, claims: Mapping[str, Any], issuer: str) -> User | None:
        """The user; `None` for a client that acts for itself.

        Parameters:
            claims: of an accepted token.
            issuer: who issued it.

        Raises:
            AccountRefused: the account's state refuses.
            InvalidToken: there is no such user.
            TemporarilyUnavailable: the storage does not answer.
        """
        subject = subject_of(claims)
        if subject is None:
            return None
        if self.storage is None:
            return self._claimed(claims, subject, issuer)
        try:
            found = await self._stored(self.storage, claims, subject, issuer)
        except CrossauthError as e:
            if e.http_status >= 500:
                raise TemporarilyUnavailable(detail=f"user storage: {e.detail or e.message}") from e
            if e.code not in (ErrorCode.UserNotExist, ErrorCode.BadRequest):
                raise InvalidToken(detail=f"the user's account: {e.code_name}") from e
            found = None
        if found is not None:
            code = refusal(found.state)
            if code is not None:
                raise AccountRefused(found, code.name)
            return found
        if self.required:
            raise InvalidToken(detail="no such user")
        return self._claimed(claims, subject, issuer)

    def _claimed(self, claims: Mapping[str, Any], subject: str, issuer: str) -> ClaimedUser:
        alone = self.storage is None and self.only_issuer and not self.has_accounts()
        return claimed_user(claims, subject, None if alone or issuer == self.own_issuer else issuer)

    def claims_of(self, user: User, issuer: str) -> dict[str, Any]:
        """The claims by which a token of an issuer names a user: the other way round."""
        if self.storage is not None and issuer == self.own_issuer:
            return {"sub": str(user.id)}
        if self.field == "email":
            return {"sub": user.username, "email": user.email, "email_verified": True}
        return {"sub": str(user[self.field or "username"])}

    async def _stored(self, storage: UserStorage, claims: Mapping[str, Any], subject: str, issuer: str) -> User | None:
        if self.own_issuer is not None and issuer == self.own_issuer:
            return _same((await storage.get_user_by_id(subject, _ANY_STATE)).user, "id", subject)
        if self.field is None:
            return None
        if self.field != "email":
            return _same((await storage.get_user_by(self.field, subject, _ANY_STATE)).user, self.field, subject)
        address = claims.get("email")
        if not isinstance(address, str) or claims.get("email_verified") is not True:
            return None
        user = (await storage.get_user_by_email(address, _ANY_STATE)).user
        if user.email_verified_at is None:
            # Anybody may have signed up here with it, to see what its owner will do.
            raise InvalidToken(detail="the email address of the user's account is not verified")
        return user


def _same(user: User, field: str, value: str) -> User | None:
    """`user`, unless a storage found a value that only looks like the other: identifiers are compared exactly."""
    return user if str(user[field]) == value else None

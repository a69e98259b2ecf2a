"""The account that an ID token belongs to.

For the application's own issuer the subject is the id of a user. For any other it is the account that is linked to issuer and
subject, which never change hands (OpenID Connect Core §5.7); or, where the application has named both, the one whose field
equals a claim. An email address counts only where the issuer has verified it and the account has too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import is_storable, same_mailbox
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.oauth.client.emails import proven_email
from crossauth_backend.users.identities import IdentityStorage, is_identity
from crossauth_backend.users.reads import ANY_STATE
from crossauth_backend.users.record import User
from crossauth_backend.users.storage import UserStorage

EMAIL: Final = "email"
_LONGEST: Final = 255
# What a storage says where there is nobody.
_NOBODY: Final = (ErrorCode.UserNotExist, ErrorCode.BadRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFinder:
    """Finds accounts.

    Parameters:
        storage: where users are.
        identities: which accounts at providers are whose; `None` where that is not kept.
        own_issuer: the issuer whose subjects are ids of users.
        field: of users, that `claim` equals; `None` for none. It counts for other issuers only.
        claim: of ID tokens.
    """

    storage: UserStorage
    identities: IdentityStorage | None = None
    own_issuer: str | None = None
    field: str | None = None
    claim: str | None = None

    async def find(self, payload: Mapping[str, Any]) -> User | None:
        """The account of an ID token, in whatever state; `None` where it has none.

        Parameters:
            payload: the verified claims.
        """
        iss, sub = payload.get("iss"), payload.get("sub")
        if not isinstance(iss, str) or not isinstance(sub, str) or not is_identity(iss, sub):
            return None
        if self.own_issuer is not None and iss == self.own_issuer:
            return await account_by(self.storage, "id", sub)
        linked = await self._linked(iss, sub)
        if linked is not None or self.field is None or self.claim is None:
            return linked
        found = await find_by_field(self.storage, payload, self.field, self.claim)
        return found if found is not None and not await self._is_others(found, iss) else None

    async def _linked(self, iss: str, sub: str) -> User | None:
        known = await self.identities.find(iss, sub) if self.identities is not None else None
        if known is None or self.identities is None:
            return None
        found = await account_by(self.storage, "id", known.userid)
        if found is None:
            # Its user is gone.
            await self.identities.unlink(iss, sub, known.userid)
        return found

    async def _is_others(self, user: User, iss: str) -> bool:
        """Whether a user is known to be somebody else at this issuer: what the field says has changed hands there."""
        known = await self.identities.of_user(user.id) if self.identities is not None else []
        return any(one.iss == iss for one in known)


async def find_by_field(storage: UserStorage, payload: Mapping[str, Any], field: str, claim: str) -> User | None:
    """The user whose `field` equals the claim, character by character; in whatever state.

    Parameters:
        storage: where users are.
        payload: the verified claims.
        field: of users.
        claim: of the ID token. As `email` it counts where the issuer has verified the address, and the account has too.
    """
    value = payload.get(claim)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not is_storable(value):
        return None
    if EMAIL in (field, claim):
        return await _by_address(storage, payload, field, claim)
    return await account_by(storage, field, value)


async def _by_address(storage: UserStorage, payload: Mapping[str, Any], field: str, claim: str) -> User | None:
    address = proven_email(payload)
    if address is None or claim != EMAIL:
        return None
    found = await account_by(storage, field, address)
    if found is None or found.email_verified_at is None or not same_mailbox(contact_address(found) or "", address):
        # Anybody may have signed up here with it, to see what its owner will do.
        return None
    return found


async def account_by(storage: UserStorage, field: str, value: Any) -> User | None:
    """The user whose field has exactly this value, in whatever state; an email address may be written in another case.

    Raises:
        CrossauthError: the storage does not answer.
    """
    try:
        if field == EMAIL:
            return (await storage.get_user_by_email(value, ANY_STATE)).user
        found = (await storage.get_user_by(field, value, ANY_STATE)).user
    except CrossauthError as e:
        if e.code not in _NOBODY:
            raise
        return None
    # A database may find what only looks like it.
    return found if str(found.get(field)) == str(value) else None

"""The half of the user manager that is about accounts at providers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, cast

from fastapi import Request

from crossauth_backend.core.text import same_mailbox
from crossauth_fastapi.fastapi_users._constraints import may_be_taken, storing
from crossauth_fastapi.fastapi_users._passwords import Passwords, logger
from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase, SupportsAccounts, SupportsUnlink
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists, UserNotExists
from crossauth_fastapi.fastapi_users.models import ID, UP


class OAuthAccounts(Passwords[UP, ID], Generic[UP, ID]):
    """Logs users in by, links and unlinks accounts at providers."""

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> UP:
        """The user who logs in with this account.

        Raises:
            UserNotExists: nobody does.
        """
        user = await self.user_db.get_by_oauth_account(oauth, account_id)
        if user is None:
            raise UserNotExists
        return user

    async def oauth_callback(
        self,
        oauth_name: str,
        access_token: str,
        account_id: str,
        account_email: str,
        expires_at: int | None = None,
        refresh_token: str | None = None,
        request: Request | None = None,
        *,
        associate_by_email: bool = False,
        is_verified_by_default: bool = False,
    ) -> UP:
        """The user for an account at a provider: who is linked to it, else whoever may be linked to it now, else a new one.

        Parameters:
            oauth_name: the provider.
            access_token, expires_at, refresh_token: its tokens.
            account_id, account_email: the account.
            request: the request it is for.
            associate_by_email: whether a user of the same address is linked. Who set the password may not be the owner of the
                address, unless it was set by a link in a mail: it is replaced by a random one then, the logins end, and
                accounts of other addresses are unlinked; all of them where the user has not proven the address.
            is_verified_by_default: whether the address of a new user counts as proven.

        Raises:
            UserAlreadyExists: a user of this address exists and may not be linked.
        """
        account = _account(oauth_name, access_token, account_id, account_email, expires_at, refresh_token)
        db = cast("BaseUserDatabase[Any, ID]", self.user_db)
        try:
            known: Any = await self.get_by_oauth_account(oauth_name, account_id)
        except UserNotExists:
            known = None
        if known is not None:
            linked = find_account(known, oauth_name, account_id)
            with storing(self.user_db):
                return cast(UP, await db.update_oauth_account(known, linked, account)) if linked is not None else known
        try:
            user: Any = await self.get_by_email(account_email)
        except UserNotExists:
            hashed = await self._random_hash()
            values = {"email": account_email, "hashed_password": hashed, "is_verified": is_verified_by_default}
            created = await self._create(values, account)
            await self.on_after_register(created, request)
            return created
        # A database may find look-alikes too; they are other mailboxes.
        may_link = associate_by_email and same_mailbox(user.email, account_email)
        if not may_link or (not user.is_verified and not self._can_unlink(user)):
            raise UserAlreadyExists
        if not user.is_verified or not await self._has_own_password(user):
            user = await self._hand_over(user)
        user = await self._link(user, account)
        await self.on_after_oauth_link(user, oauth_name, account_email, request)
        return cast(UP, user)

    async def oauth_associate_callback(
        self,
        user: UP,
        oauth_name: str,
        access_token: str,
        account_id: str,
        account_email: str,
        expires_at: int | None = None,
        refresh_token: str | None = None,
        request: Request | None = None,
    ) -> UP:
        """Link an account at a provider to a user; one that is linked already gets the new tokens.

        Raises:
            UserAlreadyExists: the account is another user's.
        """
        account = _account(oauth_name, access_token, account_id, account_email, expires_at, refresh_token)
        db = cast("BaseUserDatabase[Any, ID]", self.user_db)
        owner = await self.user_db.get_by_oauth_account(oauth_name, account_id)
        if owner is not None and owner.id != user.id:
            raise UserAlreadyExists
        linked = find_account(user, oauth_name, account_id)
        if linked is not None:
            with storing(self.user_db):
                updated = cast(UP, await db.update_oauth_account(user, linked, account))
        else:
            updated = await self._link(user, account)
            await self.on_after_oauth_link(updated, oauth_name, account_email, request)
        await self.on_after_update(updated, {}, request)
        return updated

    async def oauth_unlink(self, user: UP, oauth_name: str, account_id: str, request: Request | None = None) -> UP:
        """Unlink an account at a provider. The user logs in by password, or by a reset of it, from then on.

        Raises:
            UserNotExists: the user has no such account.
            NotImplementedError: the database cannot unlink.
        """
        updated = await self.unlink(user, oauth_name, account_id)
        await self.on_after_update(updated, {}, request)
        return updated

    async def unlink(self, user: UP, oauth_name: str, account_id: str) -> UP:
        """As `oauth_unlink`, without a hook."""
        linked = find_account(user, oauth_name, account_id)
        if linked is None:
            raise UserNotExists
        if not isinstance(self.user_db, SupportsUnlink):
            raise NotImplementedError(f"{type(self.user_db).__name__} has no method remove_oauth_account")
        with storing(self.user_db):
            return cast(UP, await self.user_db.remove_oauth_account(user, linked))

    def keeps_accounts(self) -> bool:
        """Whether the database can keep accounts at providers."""
        return self.user_db.keeps_oauth_accounts

    @abstractmethod
    async def on_after_register(self, user: UP, request: Request | None = None) -> None:
        """See `BaseUserManager`."""

    async def on_after_oauth_link(
        self, user: UP, oauth_name: str, account_email: str, request: Request | None = None
    ) -> None:
        """Hook: an account at a provider was linked to a user that had been there before, and logs in as that user from now on.
        Tell the user by mail: a thief of a login would do this to stay.

        Parameters:
            user: the user.
            oauth_name: the provider.
            account_email: the account's address.
            request: the request it is for.
        """

    @abstractmethod
    async def on_after_update(self, user: UP, update_dict: dict[str, Any], request: Request | None = None) -> None:
        """See `BaseUserManager`."""

    @abstractmethod
    async def get_by_email(self, user_email: str) -> UP:
        """See `BaseUserManager`."""

    @abstractmethod
    async def _create(self, values: dict[str, Any], account: dict[str, Any] | None = None) -> UP:
        """See `BaseUserManager`."""

    async def _create_with_account(self, values: dict[str, Any], account: dict[str, Any]) -> UP:
        if isinstance(self.user_db, SupportsAccounts):
            return cast(UP, await self.user_db.create_with_oauth_account(values, account))
        db = cast("BaseUserDatabase[Any, ID]", self.user_db)
        return cast(UP, await db.add_oauth_account(await self.user_db.create(values), account))

    async def _link(self, user: Any, account: dict[str, Any]) -> UP:
        db = cast("BaseUserDatabase[Any, ID]", self.user_db)
        with storing(self.user_db):
            try:
                return cast(UP, await db.add_oauth_account(user, account))
            except Exception as e:
                if may_be_taken(self.user_db, e):
                    # Where another user has the account by now, that is why.
                    owner = await self.user_db.get_by_oauth_account(account["oauth_name"], account["account_id"])
                    if owner is not None:
                        raise UserAlreadyExists from e
                raise

    async def _hand_over(self, user: Any) -> Any:
        """Leave nothing to whoever may have registered the address before its owner came."""
        hashed = await self._random_hash()
        with storing(self.user_db):
            user = await self.user_db.update(user, {"hashed_password": hashed})
        user = await self._unlink_all(user, but=user.email if user.is_verified else None)
        await self._end_logins(user)
        return await self.user_db.get(user.id) or user

    def _can_unlink(self, user: Any) -> bool:
        return isinstance(self.user_db, SupportsUnlink) or not getattr(user, "oauth_accounts", None)

    async def _unlink_all(self, user: Any, *, but: str | None = None) -> Any:
        """The user, without accounts at providers; `but` for those of this address."""
        accounts = [
            a for a in getattr(user, "oauth_accounts", None) or () if not (but and same_mailbox(a.account_email, but))
        ]
        if accounts and not self._can_unlink(user):
            logger.error("%s cannot unlink accounts: it has no remove_oauth_account", type(self.user_db).__name__)
            return user
        for account in accounts:
            with storing(self.user_db):
                user = await cast(SupportsUnlink, self.user_db).remove_oauth_account(user, account)
        return user


def find_account(user: Any, oauth_name: str, account_id: str) -> Any | None:
    """The account at a provider among those linked to `user`."""
    accounts = getattr(user, "oauth_accounts", None) or ()
    return next((a for a in accounts if a.oauth_name == oauth_name and a.account_id == account_id), None)


def _account(
    name: str, access_token: str, account_id: str, email: str, expires_at: int | None, refresh_token: str | None
) -> dict[str, Any]:
    return {
        "oauth_name": name,
        "access_token": access_token,
        "account_id": account_id,
        "account_email": email,
        "expires_at": expires_at,
        "refresh_token": refresh_token,
    }

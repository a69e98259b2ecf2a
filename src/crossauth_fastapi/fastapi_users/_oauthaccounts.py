"""The half of the user manager that is about accounts at providers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, cast

from fastapi import Request

from crossauth_backend.core.secrets import random_value
from crossauth_backend.core.text import same_mailbox
from crossauth_fastapi.fastapi_users._constraints import may_be_taken, storing
from crossauth_fastapi.fastapi_users._links import known_links
from crossauth_fastapi.fastapi_users._passwords import Passwords
from crossauth_fastapi.fastapi_users._records import credential_fingerprint
from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase, SupportsAccounts, SupportsUnlink
from crossauth_fastapi.fastapi_users.exceptions import (
    ConstraintViolated,
    UserAlreadyExists,
    UserChanged,
    UserNotExists,
)
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
                accounts that are not proven to be the owner's are unlinked, as by `reset_password`.
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
            await self._note_link(created, account, new=True)
            await self.on_after_register(created, request)
            return created
        # A database may find look-alikes too; they are other mailboxes.
        may_link = associate_by_email and same_mailbox(user.email, account_email)
        if not may_link:
            raise UserAlreadyExists
        if not user.is_verified or not await self._has_own_password(user):
            user = await self._hand_over(user)
        user = await self._link(user, account)
        await self._note_link(user, account, new=True)
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
            UserChanged: the password was replaced meanwhile; nothing is linked.
        """
        mark = credential_fingerprint(user)
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
        # A reset unlinks what it finds: where the password was replaced before this was stored, it found nothing.
        current = await self.user_db.get(user.id)
        if current is not None and credential_fingerprint(current) != mark:
            await self._end_link(current, find_account(current, oauth_name, account_id))
            raise UserChanged
        await self._note_link(updated, account, new=linked is None)
        if linked is None:
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

    async def _note_link(self, user: Any, account: dict[str, Any], *, new: bool) -> None:
        links = known_links()
        if links is not None:
            await links.note(user, account["oauth_name"], account["account_id"], account["account_email"], new=new)

    async def _hand_over(self, user: Any) -> Any:
        """Leave nothing to whoever may have registered the address before its owner came."""
        hashed = await self._random_hash()
        # Before and after, as in `reset_password`.
        user = await self._unlink_unproven(user)
        with storing(self.user_db):
            user = await self.user_db.update(user, {"hashed_password": hashed})
        user = await self._unlink_unproven(user)
        await self._end_logins(user)
        return await self.user_db.get(user.id) or user

    async def _unlink_unproven(self, user: UP) -> UP:
        """The user, without accounts at providers that somebody else may have linked; see `_links` for which these are."""
        if not self.keeps_accounts():
            return user
        links, current = known_links(), cast(Any, await self.user_db.get(user.id) or user)
        for account in list(getattr(current, "oauth_accounts", None) or ()):
            name, id = account.oauth_name, account.account_id
            if links is None or not await links.is_proven(current, name, id):
                current = await self._end_link(current, find_account(current, name, id))
        return cast(UP, current)

    async def _end_link(self, user: Any, account: Any | None) -> Any:
        """The user, whom the account does not log in any more, whatever the database can do."""
        if account is None:
            return user
        name, id, links = account.oauth_name, account.account_id, known_links()
        if links is not None:
            await links.forget(user, name, id)
        if isinstance(self.user_db, SupportsUnlink):
            try:
                with storing(self.user_db):
                    return await self.user_db.remove_oauth_account(user, account)
            except ConstraintViolated:
                # Something of the application's refers to it.
                account = find_account(user, name, id) or account
        # The row stays, for an account that nobody has.
        nobodys = _account(name, "", f"ended-{random_value(18)}", account.account_email, None, None)
        with storing(self.user_db):
            return await cast("BaseUserDatabase[Any, ID]", self.user_db).update_oauth_account(user, account, nobodys)


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

"""The half of the user manager that is about accounts at providers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, Literal, cast

from fastapi import Request

from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase, SupportsUnlink
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists, UserNotExists
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.password import PasswordHelperProtocol, shared_hasher


class OAuthAccounts(Generic[UP, ID]):
    """Logs users in by, links and unlinks accounts at providers."""

    user_db: BaseUserDatabase[UP, ID]
    password_helper: PasswordHelperProtocol

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
        associate_by_email: bool | Literal["verified"] = False,
        is_verified_by_default: bool = False,
    ) -> UP:
        """The user for an account at a provider: who is linked to it, else whoever may be linked to it now, else a new one.

        Parameters:
            oauth_name: the provider.
            access_token, expires_at, refresh_token: its tokens.
            account_id, account_email: the account.
            request: the request it is for.
            associate_by_email: whether a user of the same address is linked. "verified": if the user has proven it (the
                provider must say so too). `True`: also if not; the user's password, which somebody else may have set, is then
                replaced by a random one.
            is_verified_by_default: whether the address of a new user counts as proven.

        Raises:
            UserAlreadyExists: a user of this address exists and may not be linked.
        """
        account = _account(oauth_name, access_token, account_id, account_email, expires_at, refresh_token)
        db = cast("BaseUserDatabase[Any, ID]", self.user_db)
        user: Any = await self.user_db.get_by_oauth_account(oauth_name, account_id)
        if user is not None:
            linked = find_account(user, oauth_name, account_id)
            return cast(UP, await db.update_oauth_account(user, linked, account)) if linked is not None else user
        user = await self.user_db.get_by_email(account_email)
        if user is None:
            hashed = await self._random_password()
            values = {"email": account_email, "hashed_password": hashed, "is_verified": is_verified_by_default}
            user = await db.add_oauth_account(await self._create(values), account)
            await self.on_after_register(user, request)
        elif associate_by_email is True or (associate_by_email == "verified" and user.is_verified):
            if not user.is_verified:
                user = await self.user_db.update(user, {"hashed_password": await self._random_password()})
            user = await db.add_oauth_account(user, account)
        else:
            raise UserAlreadyExists
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
            updated = await db.update_oauth_account(user, linked, account)
        else:
            updated = await db.add_oauth_account(user, account)
        await self.on_after_update(updated, {}, request)
        return cast(UP, updated)

    async def oauth_unlink(self, user: UP, oauth_name: str, account_id: str, request: Request | None = None) -> UP:
        """Unlink an account at a provider. The user logs in by password, or by a reset of it, from then on.

        Raises:
            UserNotExists: the user has no such account.
        """
        linked = find_account(user, oauth_name, account_id)
        if linked is None or not isinstance(self.user_db, SupportsUnlink):
            raise UserNotExists
        updated = cast(UP, await self.user_db.remove_oauth_account(user, linked))
        await self.on_after_update(updated, {}, request)
        return updated

    @abstractmethod
    async def on_after_register(self, user: UP, request: Request | None = None) -> None:
        """See `BaseUserManager`."""

    @abstractmethod
    async def on_after_update(self, user: UP, update_dict: dict[str, Any], request: Request | None = None) -> None:
        """See `BaseUserManager`."""

    @abstractmethod
    async def _create(self, values: dict[str, Any]) -> UP:
        """See `BaseUserManager`."""

    async def _random_password(self) -> str:
        return await shared_hasher().run(lambda: self.password_helper.hash(self.password_helper.generate()))


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

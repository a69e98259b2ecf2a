"""What users must prove before they change their own credentials, or superusers an account, and how a new address counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import BaseModel, create_model

from crossauth_backend.accounts.context import has_factor2
from crossauth_backend.accounts.email_change import request_change
from crossauth_backend.core.text import same_mailbox
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users._errors import FurtherErrorCode, refused
from crossauth_fastapi.fastapi_users._login import ask_factor2, check_factor2, is_proven
from crossauth_fastapi.fastapi_users._records import record_of
from crossauth_fastapi.fastapi_users._rules import sent_values
from crossauth_fastapi.fastapi_users._userrules import checked_columns
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapi_users.schemas import BaseUserUpdate


@dataclass(frozen=True, slots=True)
class OwnChange:
    """The rules of one router.

    Parameters:
        core: limits, and the session server whose users these are, if any.
        asks_password: whether the old password must be sent.
    """

    core: Core
    asks_password: bool

    @property
    def proofs(self) -> tuple[str, ...]:
        """The fields by which a change is proven to be the user's own."""
        password = ("old_password",) if self.asks_password or self.core.accounts is not None else ()
        return (*password, *(("mfa_token", "otp") if self.core.accounts is not None else ()))

    @property
    def codes(self) -> tuple[FurtherErrorCode, ...]:
        """How it may be refused."""
        password = (FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID,) if self.asks_password else ()
        if self.core.accounts is None:
            return password
        return (*password, FurtherErrorCode.LOGIN_FACTOR2_INVALID, FurtherErrorCode.INVALID_USER)

    @property
    def codes_of_superusers(self) -> tuple[FurtherErrorCode, ...]:
        """How a superuser may be refused."""
        if self.core.accounts is None:
            return self.codes
        wrong = (FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID, FurtherErrorCode.LOGIN_FACTOR2_INVALID)
        return (*wrong, FurtherErrorCode.INVALID_USER)

    async def allowed(
        self, body: BaseUserUpdate, user: Any, user_manager: BaseUserManager[Any, Any], request: Request, *, safe: bool
    ) -> tuple[BaseUserUpdate, str | None]:
        """What of a change may be made now, and the address that has to wait.

        Where a session server proves addresses, a new one waits until it is proven; see `request_address`.

        Parameters:
            body: the change.
            user: whose.
            user_manager, request: at hand.
            safe: whether flags are ignored; else every change is proven where there is a session server.

        Raises:
            HTTPException: 400 `UPDATE_USER_OLD_PASSWORD_INVALID`, `LOGIN_FACTOR2_INVALID`; 403 `LOGIN_FACTOR2_REQUIRED`.
            InvalidUserException: the session server's rules refuse the new address.
            CrossauthError: `TooManyAttempts`.
        """
        changed = self._changed_credentials(body, user, user_manager, safe)
        moves = "email" in changed
        if not changed and (safe or self.core.accounts is None):
            return body, None
        accounts = self.core.accounts() if self.core.accounts is not None else None
        waits = moves and accounts is not None and accounts.verify_email
        if waits and accounts is not None:
            # Now: the link that brings it is opened when nobody can be told any more that it is refused.
            await checked_columns(accounts, {"email": body.email}, record_of(user), trusted=False)
        account = self.core.account_name(str(user.id))
        # Counted whatever comes of it: changing passwords over and over would spoil every link to choose a new one.
        password = account if "password" in changed or self.asks_password else None
        await self.core.count(
            request, password_account=password, verification_account=account if moves and not waits else None
        )
        if self.asks_password and not await user_manager.check_old_password(user, getattr(body, "old_password", None)):
            raise refused(FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID)
        await self._prove_factor2(body, user, request)
        return (body.model_copy(update={"email": None}), body.email) if waits else (body, None)

    async def allow_link(
        self, proof: Any, user: Any, user_manager: BaseUserManager[Any, Any], request: Request
    ) -> None:
        """Whether an account at a provider may be linked, for that is one more way to log in.

        Raises:
            HTTPException: as `allowed`.
            CrossauthError: `TooManyAttempts`.
        """
        if self.asks_password:
            await self._prove_password(proof, user, user_manager, request)
        await self._prove_factor2(proof, user, request)

    async def allow_administration(
        self, proof: Any, superuser: Any, user_manager: BaseUserManager[Any, Any], request: Request
    ) -> None:
        """Whether a superuser may change or delete an account: a stolen token is not enough where there is a session server.

        Superusers with a second factor give its code, the others their password.

        Raises:
            HTTPException: as `allowed`.
            CrossauthError: `TooManyAttempts`.
        """
        if self.core.accounts is None:
            return
        if has_factor2(record_of(superuser)):
            await self._prove_factor2(proof, superuser, request)
        else:
            await self._prove_password(proof, superuser, user_manager, request)

    async def request_address(self, email: str, user: Any, request: Request) -> None:
        """Send a link to the address that a session server's user wants, and a note to the one it would replace."""
        assert self.core.accounts is not None
        await request_change(self.core.accounts(), record_of(user), email, self.core.origin(request))

    def _changed_credentials(
        self, body: BaseUserUpdate, user: Any, user_manager: BaseUserManager[Any, Any], safe: bool
    ) -> set[str]:
        """What of a change is about a login: the password, what names its user, and where its codes and links go.

        Of a session server's users that is all that their security stamp stands for, if the application's schema has it.
        """
        sent = sent_values(body, safe, user_manager.login_fields, user_manager.user_db)
        own = self.core.accounts().users.credentials if self.core.accounts is not None else ()
        names = {"email", *user_manager.login_fields, *own}
        changed = {name for name in names & sent.keys() if not _is_same(name, sent[name], getattr(user, name, None))}
        return changed | ({"password"} & sent.keys())

    async def _prove_password(
        self, proof: Any, user: Any, user_manager: BaseUserManager[Any, Any], request: Request
    ) -> None:
        password = getattr(proof, "old_password", None)
        if not password:
            raise refused(FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID)
        await self.core.count(request, password_account=self.core.account_name(str(user.id)))
        if not await user_manager.check_old_password(user, password):
            raise refused(FurtherErrorCode.UPDATE_USER_OLD_PASSWORD_INVALID)

    async def _prove_factor2(self, body: Any, user: Any, request: Request) -> None:
        if self.core.accounts is None or not has_factor2(record_of(user)):
            return
        token, code = getattr(body, "mfa_token", None), getattr(body, "otp", None)
        if not token or not code:
            raise await ask_factor2(self.core, user, request)
        if not is_proven(user, await check_factor2(self.core, request, token, code, step_up=True)):
            raise refused(FurtherErrorCode.LOGIN_FACTOR2_INVALID)


def _is_same(name: str, sent: Any, current: Any) -> bool:
    if name == "email":
        return same_mailbox(str(sent), str(current))
    return bool(sent == current or not (sent or current))


class Proof(BaseModel):
    """What proves that a request is the user's own, where it changes nothing that has fields."""

    old_password: str | None = None
    mfa_token: str | None = None
    otp: str | None = None


def with_proofs(schema: type[BaseUserUpdate], own: OwnChange) -> type[BaseUserUpdate]:
    """The application's schema of changes with the fields by which they are proven."""
    lacking: Any = {name: (str | None, None) for name in own.proofs if name not in schema.model_fields}
    return create_model(f"{schema.__name__}WithProof", __base__=schema, **lacking) if lacking else schema

"""Door: sessions and accounts as one object, under the names of the documented `SessionManager`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from crossauth_backend._sessionmanagerbase import (
    SessionManagerBase,
    SessionManagerOptions,
    SessionManagerSettings,
    SessionTokens,
)
from crossauth_backend.accounts import (
    email_change,
    factor2_setup,
    issue,
    login,
    password,
    profile,
    second_factor,
    sent_codes,
    signup,
)
from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.challenge import PENDING, VISIT
from crossauth_backend.accounts.context import UNKNOWN_CLIENT
from crossauth_backend.accounts.credentials import check_credentials, proven, says_nothing
from crossauth_backend.accounts.held_request import HeldRequest, complete_held_request, hold_request
from crossauth_backend.accounts.signup_rules import SETTING_UP
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.data import KeyDataEntry, get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.sessions.csrf import Csrf
from crossauth_backend.users.reads import ANY_STATE
from crossauth_backend.users.record import User, UserId

__all__: Final = [
    "Csrf", "SessionManager", "SessionManagerOptions", "SessionManagerSettings", "SessionTokens", "TokensSent",
    "UserIdAndData",
]  # fmt: skip


class TokensSent(NamedTuple):
    """Which links an update sent."""

    email_verification_token_sent: bool
    password_reset_token_sent: bool


class UserIdAndData(NamedTuple):
    """A user whose second factor is being set up, and what is to be shown."""

    userid: UserId | None
    user_data: dict[str, Any]
    secrets: dict[str, Any]


class SessionManager(SessionManagerBase):
    """Signs users in and out, keeps their sessions, and looks after their accounts.

    Parameters:
        key_storage: where sessions are kept.
        authenticators: factors by name.
        options: see `SessionManagerOptions`.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration`, saying what to change.
    """

    async def login(
        self,
        username: str,
        params: Params,
        extra_fields: Mapping[str, Any] | None = None,
        persist: bool | None = None,
        user: User | None = None,
        bypass_2fa: bool = False,
    ) -> SessionTokens:
        """Check the first factor (unless `user` is given: proven already) and open a session.

        The session of a user with a second factor is anonymous until `complete_two_factor_login`; its tokens have no user.

        Raises:
            CrossauthError: `UsernameOrPasswordInvalid`, `TooManyAttempts`, or the reason for which the account's state
                refuses.
        """
        refuse = partial(login.refuse_unfinished, self.accounts())
        if user is None:
            attempt = proven(self.accounts(), await check_credentials(self.accounts(), username, params, refuse=refuse))
        else:
            # How, the application knows.
            attempt = Attempt(user)
        return await self._sign_in(replace(attempt, factor2_bypassed=bypass_2fa), extra_fields, persist)

    async def create_user(
        self, user: Mapping[str, Any], params: Params, repeat_params: Params | None = None,
        skip_email_verification: bool = False, empty_password: bool = False,
    ) -> User:  # fmt: skip
        """Create a user; see `accounts.signup.sign_up`. With `empty_password` no password is stored, and none fits.

        Where addresses are verified, one that is taken makes an account that nobody can finish, see `accounts.signup`.

        Raises:
            CrossauthError: as there.
        """
        if empty_password:
            return await self.accounts().users.create_user(await signup.checked_user(self.accounts(), user), {})
        done = await signup.sign_up(
            self.accounts(), user, params, repeat_params, skip_email_verification=skip_email_verification
        )
        if done.user is None or done.resumed:
            raise CrossauthError(ErrorCode.UserExists)
        return done.user

    async def delete_user_by_username(self, username: str) -> None:
        """Delete a user, the secrets and every session."""
        found = await self.accounts().users.get_user_by_username(username, ANY_STATE)
        await profile.delete_account(self.accounts(), found.user)

    async def update_user(
        self, current_user: User, new_user: User | Mapping[str, Any],
        skip_email_verification: bool = False, as_admin: bool = False,
    ) -> TokensSent:  # fmt: skip
        """Store what `new_user` changes; see `accounts.profile.update_profile`."""
        skip = skip_email_verification or as_admin
        done = await profile.update_profile(self.accounts(), current_user, new_user, skip_email_verification=skip)
        return TokensSent(done.email_sent, False)

    async def change_secrets(
        self, username: str, factor_number: int, new_params: Params,
        repeat_params: Params | None = None, old_params: Params | None = None,
    ) -> User:  # fmt: skip
        """Replace the secrets of the first factor and end every session; see `accounts.password.change_password`.

        Raises:
            CrossauthError: as there; `BadRequest` for the second factor, which is set up anew instead.
        """
        _first_only(factor_number)
        return await password.change_password(self.accounts(), username, old_params or {}, new_params, repeat_params)

    async def request_password_reset(self, email: str) -> None:
        """Have a link to choose a new password sent; see `accounts.password.request_reset`."""
        await password.request_reset(self.accounts(), email)

    async def user_for_password_reset_token(self, token: str) -> User:
        """The user for whom a token is good; it is not used up."""
        return await password.user_for_reset(self.accounts(), token)

    async def reset_secret(
        self, token: str, factor_number: int, params: Params, repeat_params: Params | None = None
    ) -> User:
        """Replace the secrets of the first factor of whoever holds `token`; see `accounts.password.reset_password`."""
        _first_only(factor_number)
        return await password.reset_password(self.accounts(), token, params, repeat_params)

    async def apply_email_verification_token(self, token: str) -> User:
        """Apply a token that came by email; see `accounts.email_change.verify_email`."""
        return (await email_change.verify_email(self.accounts(), token)).user

    async def initiate_two_factor_signup(
        self, user: Mapping[str, Any], params: Params, session_id: str, repeat_params: Params | None = None
    ) -> UserIdAndData:
        """Create a user and begin to set up `user["factor2"]`, in the anonymous session `session_id`."""
        accounts = self.accounts()
        done = await signup.sign_up(accounts, user, params, repeat_params)
        view, data = await factor2_setup.start_setup(
            accounts, done.user, str(user["username"]), done.factor2, "signup", user
        )
        await self._keep(session_id, data)
        return UserIdAndData(done.user.id if done.user else None, view, {})

    async def repeat_two_factor_signup(self, session_id: str) -> UserIdAndData:
        """Show again what `initiate_two_factor_signup` showed; a code that is sent is sent anew, within limits."""
        key = await self.session.get_session_key(session_id)
        accounts = self.accounts()
        factor = accounts.factors.get(str(get_json_data(key).get(PENDING, {}).get("factor2")))
        if factor is not None and factor.mfa_type() == "oob":
            _, data = await sent_codes.resend(accounts, key)
            await self._keep(session_id, data)
            key = await self.session.get_session_key(session_id)
        view = await factor2_setup.show_setup(accounts, key)
        return UserIdAndData(get_json_data(key)[PENDING]["userid"], view, {})

    async def initiate_two_factor_setup(self, user: User, new_factor2: str | None, session_id: str) -> dict[str, Any]:
        """Begin to set up `new_factor2` for a user who is logged in; `None` gives the second factor up.

        Returns:
            What the user is to be shown.
        """
        if not new_factor2:
            await factor2_setup.remove(self.accounts(), user, UNKNOWN_CLIENT)
            return {}
        view, data = await factor2_setup.start_setup(
            self.accounts(), user, user.username, new_factor2, "setup", user.to_dict()
        )
        await self._keep(session_id, data)
        return view

    async def complete_two_factor_setup(self, params: Params, session_id: str) -> User:
        """Check the first code of a factor that is being set up; every session of the user ends.

        Raises:
            CrossauthError: `Unauthorized`, `InvalidToken`, `Expired`, `TooManyAttempts`, `UserExists`.
        """
        key = await self.session.get_session_key(session_id)
        done = await factor2_setup.complete_setup(self.accounts(), key, params, UNKNOWN_CLIENT)
        if done.user is None:
            raise CrossauthError(ErrorCode.UserExists)
        return done.user

    async def initiate_two_factor_login(self, user: User) -> SessionTokens:
        """An anonymous session that waits for the second factor of `user`, who has proven the first."""
        return await self._sign_in(proven(self.accounts(), user), None, None)

    async def complete_two_factor_login(
        self,
        params: Params,
        session_id: str,
        extra_fields: Mapping[str, Any] | None = None,
        persist: bool | None = None,
    ) -> SessionTokens:
        """Check the code that a login waits for, and open the session.

        Raises:
            CrossauthError: `Unauthorized`, `InvalidToken`, `Expired`, `TooManyAttempts`.
        """
        key = await self.session.get_session_key(session_id)
        attempt, _ = await second_factor.complete_login(self.accounts(), key, params, UNKNOWN_CLIENT)
        return await self._sign_in(attempt, extra_fields, persist, key)

    async def initiate_two_factor_page_visit(
        self, user: User, session_id: str, request_body: bytes, url: str | None = None, content_type: str | None = None
    ) -> SessionTokens:
        """Ask for the second factor of a user who is logged in, before the request `POST url` is made."""
        path, _, query = (url or "").partition("?")
        visit = HeldRequest("POST", path, query, content_type or "", request_body)
        await self._keep(session_id, await hold_request(self.accounts(), user, visit))
        return SessionTokens(user=user)

    async def complete_two_factor_page_visit(self, params: Params, session_id: str) -> None:
        """Check the code for the request that waits; it waits no longer then."""
        found = await self.session.get_user_for_session_id(session_id)
        if found.user is None:
            raise CrossauthError(ErrorCode.Unauthorized)
        await complete_held_request(self.accounts(), found.key, found.user, params, UNKNOWN_CLIENT)
        await self.delete_session_data(session_id, VISIT)

    async def cancel_two_factor_page_visit(self, session_id: str) -> dict[str, Any]:
        """Forget the request that waits; returns what was kept of it, which is encrypted."""
        stored = get_json_data(await self.session.get_session_key(session_id)).get(VISIT)
        if not isinstance(stored, dict):
            raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))
        await self.delete_session_data(session_id, VISIT)
        return stored

    async def _sign_in(
        self,
        attempt: Attempt,
        extra_fields: Mapping[str, Any] | None,
        persist: bool | None,
        previous: Key | None = None,
    ) -> SessionTokens:
        if attempt.user.state in SETTING_UP and not says_nothing(self.accounts(), attempt.user):
            raise CrossauthError(ErrorCode.TwoFactorIncomplete)
        result = await issue.sign_in(
            self.accounts(), attempt, extra_fields=extra_fields, persist=persist, previous=previous
        )
        keep = persist if result.asked is None else False
        user = result.user if result.asked is None else None
        csrf = self.create_csrf_token(result.session.value)
        return SessionTokens(self._cookie(result.session, keep), *csrf, user=user)

    def _cookie(self, key: Key, persist: bool | None) -> Any:
        return self.session.make_cookie(key, persist)

    async def _keep(self, session_id: str, data: Mapping[str, Any]) -> None:
        entries: list[KeyDataEntry] = [{"data_name": name, "value": value} for name, value in data.items()]
        await self.update_many_session_data(session_id, entries)


def _first_only(factor_number: int) -> None:
    if factor_number != 1:
        raise CrossauthError(ErrorCode.BadRequest, mark("A second factor can't be changed. Set it up again."))

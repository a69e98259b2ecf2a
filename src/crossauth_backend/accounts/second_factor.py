"""Asking for a second factor, and checking the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from crossauth_backend.accounts import recovery
from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.challenge import PENDING, WAITS, Challenge, Purpose, decrypt, encrypt, new_challenge
from crossauth_backend.accounts.codes import UNSENT, login_secrets
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.rewritten import as_rewritten
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Authenticator, Params
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User, UserAndSecrets
from crossauth_backend.users.stamp import is_digest

# How a factor says that an answer is not its own.
_WRONG: Final = (
    ErrorCode.InvalidToken, ErrorCode.Expired, ErrorCode.PasswordInvalid, ErrorCode.UsernameOrPasswordInvalid,
)  # fmt: skip
_SPENT_FOR: Final = timedelta(days=1)


async def pending_login(
    accounts: Accounts, user: User, persist: bool | None, origin: ClientInfo = UNKNOWN_CLIENT, purpose: Purpose = "login",
    methods: tuple[str, ...] = (),
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """Ask for the second factor of `user`, who has proven the first by `methods`; the code will be good for the `purpose`.

    Returns:
        Session data for an anonymous session, and why no code was sent: `LIMITED`, `UNREACHABLE`, or empty where one was.

    Raises:
        CrossauthError: `Factor2ResetNeeded` where the server does not know the factor.
    """
    factor = factor2_of(accounts, user)
    secrets = await login_secrets(accounts, factor, user, origin)
    until = accounts.now + WAITS[purpose]
    challenge = new_challenge(purpose, user, user.username, factor.factor_name, secrets, persist, until, None, methods)
    return {PENDING: encrypt(challenge, accounts.ring)}, secrets.get(UNSENT, "")


async def complete_login(
    accounts: Accounts, key: Key | None, params: Params, origin: ClientInfo
) -> tuple[Attempt, Challenge]:
    """Check the code of a login that waits for it.

    Raises:
        CrossauthError: `Unauthorized` where none is waiting; `InvalidToken`, `Expired`, `TooManyAttempts`.
    """
    challenge = decrypt(key, accounts.ring, PENDING, "login")
    user, methods = await prove(accounts, challenge, params, origin)
    # How an application has proven somebody by its own means is not known; that there were two factors is (RFC 8176 §2).
    first = challenge.methods or ("mfa",)
    return Attempt(user, (*first, *methods), factor2_passed=True), challenge


async def prove(
    accounts: Accounts, challenge: Challenge, params: Params, origin: ClientInfo
) -> tuple[User, tuple[str, ...]]:
    """Check a code, or a recovery code, against a challenge. The challenge is used up by the first right answer.

    Returns:
        The user, and the names of what was proven (RFC 8176 §2).

    Raises:
        CrossauthError: `InvalidToken`, `Expired`, `TooManyAttempts`; `InvalidSession` where the user's credentials are others now
            than those that were proven before.
    """
    if challenge.userid is None:
        raise CrossauthError(ErrorCode.InvalidToken, mark("Invalid code"))
    found = await accounts.find(challenge.userid)
    user = found.user
    if user.factor2 != challenge.factor2 or not challenge.matches(user):
        raise CrossauthError(ErrorCode.InvalidSession)
    if challenge.is_expired(accounts.now):
        raise CrossauthError(ErrorCode.Expired, mark("This took too long. Start again."))
    async with accounts.limited(origin, user, **counted(challenge, origin)):
        code, methods = str(params.get("recovery_code") or params.get("otp") or ""), methods_of(accounts, user)
        try:
            if params.get("recovery_code") or not await _is_own_code(accounts, challenge, found, params, code):
                await recovery.take_code(accounts, user, code)
                # One of a list of passwords, each good once: something that one has, not knows.
                methods = ("otp",)
                accounts.events.emit(EventName.recovery_code_used, user, address=origin.address)
            await consume(accounts, challenge)
        except CrossauthError as e:
            accounts.events.emit(EventName.factor2_failed, user, address=origin.address, reason=e.code_name)
            raise
    return await as_rewritten(accounts, found) if is_digest(user.security_stamp) else user, methods


async def _is_own_code(
    accounts: Accounts, challenge: Challenge, found: UserAndSecrets, params: Params, code: str
) -> bool:
    """Whether the factor itself takes the answer; if not, it may still be a recovery code.

    Raises:
        CrossauthError: what the factor says to an answer that can be no recovery code.
    """
    factor = factor2_of(accounts, found.user)
    # What is stored wins over what the session says.
    stored = {n: found.secrets.get(n) for n in factor.secret_names()}
    try:
        await factor.authenticate_user(found.user, {**challenge.secrets, **stored}, params)
    except CrossauthError as e:
        if e.code not in _WRONG or not recovery.looks_like_code(code):
            raise
        return False
    return True


def factor2_of(accounts: Accounts, user: User) -> Authenticator:
    """The second factor of `user`.

    Raises:
        CrossauthError: `Factor2ResetNeeded` where the server does not know it: nobody gets in for that.
    """
    factor = accounts.factors.get(user.factor2 or "")
    if factor is None:
        raise CrossauthError(
            ErrorCode.Factor2ResetNeeded, detail=f"no authenticator is registered for {user.factor2!r}"
        )
    return factor


def methods_of(accounts: Accounts, user: User) -> tuple[str, ...]:
    """What the second factor of `user` proves, by the names of RFC 8176 §2; a code that is good once where it does not say."""
    return factor2_of(accounts, user).amr or ("otp",)


def counted(challenge: Challenge, origin: ClientInfo) -> dict[str, str | None]:
    """What a try of a code is counted under, by the name of a limit; no browser is known well enough to be spared."""
    account = str(challenge.userid or challenge.username)
    return {"factor2_challenge": challenge.id, "factor2_account": account, "factor2_address": origin.address}


async def consume(accounts: Accounts, challenge: Challenge) -> None:
    """Let a challenge count this once.

    Raises:
        CrossauthError: `InvalidToken` where it has counted.
    """
    if not await consume_once(accounts.keys, f"challenge {challenge.id}", accounts.now, accounts.now + _SPENT_FOR):
        raise CrossauthError(ErrorCode.InvalidToken, mark("This code has already been used"))

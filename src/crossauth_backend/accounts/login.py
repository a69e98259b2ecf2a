"""Whether an attempt to log in may end in a session, or in tokens. It is decided here and issued elsewhere, see `issue`."""

from __future__ import annotations

from dataclasses import replace

from crossauth_backend.accounts import email_change
from crossauth_backend.accounts.attempt import NO_DEMAND, Attempt, Demand
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo, has_factor2
from crossauth_backend.accounts.credentials import says_nothing
from crossauth_backend.accounts.decision import Decision, Refused, Required, SignedIn
from crossauth_backend.accounts.freshness import met_acr
from crossauth_backend.accounts.stages import Refuse, next_step
from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.events.record import EventName
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UNFINISHED, UNREADABLE, UNREADABLE_TEXT


def judge(attempt: Attempt, demand: Demand = NO_DEMAND) -> Decision:
    """What the stages say of an attempt, of whatever users: without a server's settings, and without events. Pure."""
    step = next_step(attempt, demand)
    if isinstance(step, Refuse):
        return Refused(attempt.user, step.code)
    if step is not None:
        return Required(attempt, step)
    return SignedIn(attempt, met_acr(demand.acr_values, attempt.methods) if demand.acr_values else None)


async def decide(
    accounts: Accounts, attempt: Attempt, demand: Demand = NO_DEMAND, origin: ClientInfo = UNKNOWN_CLIENT
) -> Decision:
    """Take an attempt through the stages of every login. No session is opened or ended.

    A login that is refused is told as `login_failed`; one that comes to something is told by whoever issues it.

    Parameters:
        accounts: the account services.
        attempt: whom to sign in, and what has been proven; or the session of a user who is logged in, see `attempt_of`. The
            user is as read before the proof, with the security stamp of then; one who says none is read now.
        demand: what is asked for beyond what the account asks for.
        origin: where the request comes from.
    """
    if attempt.user.security_stamp is None:
        attempt = replace(attempt, user=await accounts.user(attempt.user.id))
    user, allowed = attempt.user, accounts.allowed_factor2
    attempt = replace(
        attempt,
        factor2_offered=user.factor2 in allowed if has_factor2(user) else bool(allowed),
        factor2_needed=accounts.needs_factor2(user),
        now=accounts.now,
    )
    decided = judge(attempt, demand)
    if not isinstance(decided, Refused) and not _says_nothing(accounts, user):
        return decided
    code = decided.code if isinstance(decided, Refused) else ErrorCode.TwoFactorIncomplete
    return await _refused(accounts, attempt, code, origin)


async def refuse_unfinished(accounts: Accounts, user: User, origin: ClientInfo = UNKNOWN_CLIENT) -> None:
    """Refuse an unfinished sign-up of which nothing may be said, as `decide` does, where a wrong password is counted.

    There may be none, because the address has an account by this name; then every password is wrong, and counted.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid`.
    """
    if _says_nothing(accounts, user):
        decided = await decide(accounts, Attempt(user), origin=origin)
        if isinstance(decided, Refused):
            raise decided.error


def _says_nothing(accounts: Accounts, user: User) -> bool:
    return user.state in UNFINISHED and says_nothing(accounts, user)


async def _refused(accounts: Accounts, attempt: Attempt, code: ErrorCode, origin: ClientInfo) -> Refused:
    """Why a user who has proven the first factor is not signed in. One whose address waits for its link is sent another."""
    user = attempt.user
    if attempt.auth is None:
        accounts.events.emit(EventName.login_failed, user, address=origin.address, reason=code.name)
        await email_change.send_link_again(accounts, user, origin)
    if _says_nothing(accounts, user):
        return Refused(user, ErrorCode.UsernameOrPasswordInvalid)
    if user.state == UNREADABLE:
        return Refused(user, code, UNREADABLE_TEXT)
    return Refused(user, code, email_change.VERIFY_FIRST if code is ErrorCode.EmailNotVerified else None)

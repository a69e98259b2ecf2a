"""What comes of an attempt to log in, as `login.decide` says it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Nothing is lacking: a session may be opened, or tokens handed out.

    Parameters:
        attempt: what was decided about; its user says the security stamp that what is issued rests on.
        acr: the context class that was demanded and is met; `None` where none is.
    """

    attempt: Attempt
    acr: str | None = None

    @property
    def user(self) -> User:
        """Who is signed in."""
        return self.attempt.user


@dataclass(frozen=True, slots=True)
class Required:
    """Something is lacking that the user can do.

    Parameters:
        attempt: what was decided about.
        ask: what the user is to do first.
    """

    attempt: Attempt
    ask: Requirement

    @property
    def user(self) -> User:
        """Who is to do it."""
        return self.attempt.user


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt ends here.

    Parameters:
        user: who is not signed in.
        code: why, as far as it may be said.
        message: what is said instead of the text of the code; `None` for that.
    """

    user: User
    code: ErrorCode
    message: str | None = None

    @property
    def error(self) -> CrossauthError:
        """The refusal, to be raised."""
        return CrossauthError(self.code, self.message)


Decision: TypeAlias = SignedIn | Required | Refused

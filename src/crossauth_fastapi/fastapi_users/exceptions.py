"""Why a user manager refuses."""

from __future__ import annotations

from typing import Any


class FastAPIUsersException(Exception):
    """Base of what this package raises."""


class InvalidID(FastAPIUsersException):
    """Text that is no id."""


class UserAlreadyExists(FastAPIUsersException):
    """Another user has the email address."""


class UserNotExists(FastAPIUsersException):
    """There is no such user."""


class UserChanged(FastAPIUsersException):
    """Another request changed the user's password or address meanwhile."""


class ConstraintViolated(FastAPIUsersException):
    """The database refuses a write: a column of the application's own must be unique or filled, or something still refers to
    the user. Nothing was changed; the log says which constraint it was.

    Parameters:
        constraint: what the database calls it. Not for users.
    """

    def __init__(self, constraint: str = "") -> None:
        super().__init__(constraint)
        self.constraint = constraint


class InvalidUserException(FastAPIUsersException):
    """A user that the rules of a session server refuse: name, email address, phone number, or `validate_user_fn`.

    Parameters:
        reason: what to tell the user.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UserInactive(FastAPIUsersException):
    """The user is not active."""


class UserAlreadyVerified(FastAPIUsersException):
    """The email address was proven before."""


class InvalidVerifyToken(FastAPIUsersException):
    """A verification token that is not ours, expired, or for an address the user no longer has."""


class InvalidResetPasswordToken(FastAPIUsersException):
    """A reset token that is not ours, expired, used, or for an address or password the user no longer has."""


class InvalidPasswordException(FastAPIUsersException):
    """A password that the application's policy refuses.

    Parameters:
        reason: what to tell the user; anything JSON can say.
    """

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason

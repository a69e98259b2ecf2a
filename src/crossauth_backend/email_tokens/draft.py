"""A message before it is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from crossauth_backend.delivery.mailer import Message


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is about to be made and sent.

    Parameters:
        to: the address that it goes to.
        make: makes it, and the token in it.
        always: whether it is sent beyond the limit of the mailbox too, because its owner needs it: strangers can reach that
            limit, and must not keep a reset link or a warning from the owner. What asks for it has a limit of its own.
        counted: whether it was counted already.
    """

    to: str
    make: Callable[[], Awaitable[Message]]
    always: bool = False
    counted: bool = False

"""What a message is, and what sends email."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import random_value

# Why a message was given up; the `reason` of the event `mail_failed`.
Refusal: TypeAlias = Literal["refused", "address", "smtputf8"]
Failure: TypeAlias = Literal[Refusal, "expired", "stopped", "error", "too_many"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One email. Its `repr` shows neither subject nor text, which may hold a code or a link that logs somebody in.

    Parameters:
        to: the address it goes to.
        subject, text, html: what it says.
        from_name: the sender's name, where the mailer's own address has none.
        message_id: the part of its Message-ID before the `@`; the same in every try, so that a mail that arrives twice is known.
    """

    to: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    from_name: str = ""
    message_id: str = field(default_factory=lambda: random_value(18), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as the delivery queue keeps it: text only, so that it can be stored.

    Parameters:
        channel: the name of what sends it, see `DeliveryQueue.add_channel`.
        to: who gets it; only so many wait for one.
        content: what the channel is handed.
        until: when sending it is no use any more, because the code or the link in it has expired.
    """

    channel: str
    to: str
    content: Mapping[str, str | None] = field(repr=False)
    until: datetime | None = None


def mail_message(channel: str, mail: Mail, until: datetime | None = None) -> Message:
    """`mail` as the delivery queue keeps it."""
    return Message(channel=channel, to=mail.to, content=asdict(mail), until=until)


async def send_mail(mailer: Mailer, content: Mapping[str, Any]) -> None:
    """Send what `mail_message` made."""
    await mailer.send(Mail(**content))


@runtime_checkable
class Mailer(Protocol):
    """Sends email. An application hands its own in by the option `mailer`."""

    async def send(self, mail: Mail) -> None:
        """Send it, or raise; what raised is tried again later.

        Raises:
            DeliveryRefused: where it is no use to try again.
        """
        ...


class DeliveryRefused(CrossauthError):
    """A message that will never be taken; it is not tried again.

    Parameters:
        reason: `refused` by the other side, `address` where the address cannot be, `smtputf8` where the mail server cannot send
            to an address with letters beyond ASCII before the `@`.
        detail: private text for the log.
    """

    def __init__(self, reason: Refusal, detail: str | None = None) -> None:
        super().__init__(ErrorCode.Connection, detail=detail or reason)
        self.reason: Refusal = reason

"""What an e-mail is, and what sends one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One e-mail. Its `repr` shows no text, which may hold a code or a link that signs somebody in."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)


@runtime_checkable
class Mailer(Protocol):
    """Sends e-mail. An application hands its own in by the option `mailer`."""

    async def send(self, mail: Mail) -> None:
        """Send it, or raise; what raised is tried again later."""
        ...

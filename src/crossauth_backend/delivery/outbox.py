"""In development: mail that is not sent but can be looked at."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Final, NamedTuple

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.delivery.mailer import Mail

_KEPT: Final = 200


class Sent(NamedTuple):
    """A mail and when it would have been sent."""

    mail: Mail
    at: datetime


class Outbox:
    """Keeps the last 200 messages in memory. It refuses to start on anything but localhost.

    Parameters:
        clock: what time it is.
    """

    def __init__(self, clock: Clock = utc_now) -> None:
        self._sent: deque[Sent] = deque(maxlen=_KEPT)
        self._clock = clock

    async def send(self, mail: Mail) -> None:
        """Keep it."""
        self._sent.appendleft(Sent(mail, self._clock()))

    @property
    def sent(self) -> list[Sent]:
        """What would have been sent, newest first."""
        return list(self._sent)

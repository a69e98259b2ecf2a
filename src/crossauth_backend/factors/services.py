"""What a server hands to its factors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.delivery.brand import MailBrand
from crossauth_backend.delivery.mailer import Mailer
from crossauth_backend.delivery.queue import DeliveryQueue
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.users.storage import UserStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorServices:
    """Storages, keys and senders that factors share.

    Parameters:
        key_storage: where what was used is marked.
        user_storage: where secrets are that are encrypted anew.
        ring: encrypts secrets at rest.
        queue: sends in the background.
        mailer: sends email, where the server has one.
        clock: what time it is.
        brand: the name, address, logo and colors of the site, for messages.
    """

    key_storage: KeyStorage
    user_storage: UserStorage | None
    ring: KeyRing
    queue: DeliveryQueue
    mailer: Mailer | None = None
    clock: Clock = utc_now
    brand: MailBrand = field(default_factory=MailBrand)


class NoServices:
    """In the place of `FactorServices` until a factor is given to a server; only the time is known."""

    clock = staticmethod(utc_now)

    def __init__(self, factor: str) -> None:
        self._factor = factor

    def __getattr__(self, name: str) -> Any:
        """Say what to do first.

        Raises:
            CrossauthError: `Configuration`.
        """
        if name not in FactorServices.__slots__:
            raise AttributeError(name)
        raise CrossauthError(
            ErrorCode.Configuration, f"{self._factor} must be given to a SessionManager or FastApiServer first"
        )

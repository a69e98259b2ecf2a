"""What a server hands to its factors."""

from __future__ import annotations

from dataclasses import dataclass

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.secrets import KeyRing
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
        mailer: sends e-mail, where the server has one.
        clock: what time it is.
        site: the name of the site, for messages.
    """

    key_storage: KeyStorage
    user_storage: UserStorage | None
    ring: KeyRing
    queue: DeliveryQueue
    mailer: Mailer | None = None
    clock: Clock = utc_now
    site: str = ""

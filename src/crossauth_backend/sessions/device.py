"""Browsers in which a user was logged in before.

The cookie names the browser, when it is forgotten and, as a hash, the user with the security stamp of that time; it is signed, so
knowing it again costs no query. It is worth nothing once the user's password, second factor, state or address is another. It
signs nobody in: it only lets the browser's own attempts at a password be counted by themselves, so that guesses from elsewhere
cannot lock the user out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from crossauth_backend.core.options import read_options
from crossauth_backend.core.secretoption import check_secret
from crossauth_backend.core.secrets import derive_key, equal, hash_token, random_value
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import KnownDeviceCookieOptions, KnownDeviceSettings
from crossauth_backend.users.record import User

_ID_BYTES: Final = 16
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that a cookie of ours names. Whose it is shows once the user has been read."""

    id: str
    mark: str = field(repr=False)

    def knows(self, user: User) -> bool:
        """Whether `user` was logged in there, with the credentials that the user has now."""
        return user.security_stamp is not None and equal(self.mark, _mark(user))


class KnownDevices:
    """Makes and reads the cookie.

    Parameters:
        options: see `KnownDeviceCookieOptions`.
        secret: what it is signed with.
    """

    def __init__(self, options: KnownDeviceCookieOptions, secret: str | None) -> None:
        self.settings = read_options(KnownDeviceSettings, options, component="known_device_cookie_options")
        key = derive_key(check_secret(secret, "known_device_cookie_options"), "known device cookie")
        self.cookie = SignedCookie(self.settings, "KNOWNDEVICE", key)

    def make(self, user: User, local: bool, now: datetime) -> tuple[str, Cookie, datetime]:
        """A new device of this user: its id, its cookie, and when it is forgotten."""
        device, expires = random_value(_ID_BYTES), now + timedelta(seconds=self.settings.maxAge)
        value = f"{device}.{int(expires.timestamp())}.{_mark(user)}"
        return device, self.cookie.make(value, local, expires), expires

    def read(self, signed: str | None, now: datetime) -> Device | None:
        """What a cookie says that we made and that is not too old; `None` for any other."""
        value = self.cookie.unsign(signed) if signed else None
        parts = (value or "").split(".")
        if len(parts) != _PARTS or not parts[1].isdigit() or int(parts[1]) <= now.timestamp():
            return None
        return Device(parts[0], parts[2])

    @staticmethod
    def stored(device: str) -> str:
        """Under what a device is kept that need not be asked for the second factor again."""
        return KeyPrefix.trusted_device + hash_token(device)


def _mark(user: User) -> str:
    return hash_token(f"{user.id}\n{user.security_stamp}")[:22]

"""Browsers in which a user was logged in before.

The cookie names the browser and, as a hash, the user; it is signed, so knowing it again costs no query. It signs nobody in: it
only lets the browser's own attempts be counted by themselves, so that guesses from elsewhere cannot lock the user out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.options import option, read_options
from crossauth_backend.core.secrets import check_secret, derive_key, equal, hash_token, random_value
from crossauth_backend.core.text import normalize
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.sessions.cookie import (
    Cookie,
    CookieOptions,
    CookieSettings,
    SameSite,
    SignedCookie,
    cookie_option,
)

_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDeviceSettings(CookieSettings):
    """Options of the cookie of known devices."""

    cookie_name: str | None = cookie_option(
        None,
        "KNOWNDEVICE_COOKIE_NAME",
        "Name of the cookie; by default `KNOWNDEVICE`, with `__Host-` before it on https.",
    )
    maxAge: int = option(2592000, at_least=1, env="KNOWNDEVICE_COOKIE_MAX_AGE", doc="Seconds a browser is remembered.")
    domain: str | None = cookie_option(None, "KNOWNDEVICE_COOKIE_DOMAIN", "Domain attribute.")
    path: str = cookie_option("/", "KNOWNDEVICE_COOKIE_PATH", "Path attribute.")
    secure: bool | None = cookie_option(
        None, "KNOWNDEVICE_COOKIE_SECURE", "Secure attribute; by default on, but off on http://localhost."
    )
    sameSite: SameSite = cookie_option("lax", "KNOWNDEVICE_COOKIE_SAMESITE", "SameSite attribute.")
    httpOnly: bool = cookie_option(True, "KNOWNDEVICE_COOKIE_HTTPONLY", "HttpOnly attribute.")


class KnownDevices:
    """Makes and reads the cookie.

    Parameters:
        options: see `KnownDeviceSettings`.
        secret: what it is signed with.
    """

    def __init__(self, options: CookieOptions | Mapping[str, Any], secret: str | None) -> None:
        self.settings = read_options(KnownDeviceSettings, options, component="known_device_cookie_options")
        key = derive_key(check_secret(secret, "known_device_cookie_options"), "known device cookie")
        self.cookie = SignedCookie(self.settings, "KNOWNDEVICE", key)

    def make(self, username: str, local: bool, now: datetime) -> tuple[str, Cookie, datetime]:
        """A new device of this user: its id, its cookie, and when it is forgotten."""
        device, expires = random_value(_ID_BYTES), now + timedelta(seconds=self.settings.maxAge)
        return device, self.cookie.make(f"{device}.{_named(username)}", local, expires), expires

    def device_of(self, signed: str | None, username: str) -> str | None:
        """The id in a cookie that we made for this user; `None` for any other."""
        value = self.cookie.unsign(signed) if signed else None
        device, _, name = (value or "").partition(".")
        return device if device and equal(name, _named(username)) else None

    @staticmethod
    def stored(device: str) -> str:
        """Under what a device is kept that need not be asked for the second factor again."""
        return KeyPrefix.known_device + hash_token(device)


def _named(username: str) -> str:
    return hash_token(normalize(username))[:22]

"""Cookies whose value is signed, and how they are called and protected.

A cookie has two shapes. On the open network it is `Secure` and its name starts with `__Host-`, so that neither plain http nor
a neighbouring subdomain can set it (RFC 6265bis §4.1.3.2). On http://localhost it is neither, because there it could not
be. What the application configures by name is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.records import ItemReads
from crossauth_backend.core.secrets import sign, unsign
from crossauth_backend.sessions.options import CookieOptions, CookieSettings

HOST_PREFIX = "__Host-"


@dataclass(frozen=True, slots=True)
class Cookie(ItemReads):
    """A cookie to be set. Its `repr` does not show the value."""

    name: str
    value: str = field(repr=False)
    options: CookieOptions


@dataclass(frozen=True, slots=True)
class CookieShape:
    """Name and protection of a cookie in one situation."""

    name: str
    secure: bool


class SignedCookie:
    """Makes and reads one kind of cookie: `value.signature`.

    Parameters:
        settings: name and attributes.
        default_name: the name where `settings` has none.
        key: what the value is signed with.

    Raises:
        CrossauthError: `Configuration` for `sameSite: "none"` on a cookie that is not secure, and for a name with the
            `__Host-` prefix whose other attributes do not allow it.
    """

    def __init__(self, settings: CookieSettings, default_name: str, key: bytes) -> None:
        self.settings = settings
        self._key = key
        open_name = settings.cookie_name or default_name
        can_prefix = settings.cookie_name is None and settings.domain is None and settings.path == "/"
        secure_name = HOST_PREFIX + open_name if can_prefix else open_name
        strong, weak = CookieShape(secure_name, True), CookieShape(open_name, False)
        self.remote = weak if settings.secure is False else strong
        self.local = strong if settings.secure is True else weak
        self._check(open_name)

    def shape(self, local: bool) -> CookieShape:
        """How the cookie looks in a request to http://localhost (`local`) or to anywhere else."""
        return self.local if local else self.remote

    def make(self, value: str, local: bool, expires: datetime | None = None, bound_to: str = "") -> Cookie:
        """The cookie that carries `value`.

        Parameters:
            value: what it carries.
            local: whether the request is for http://localhost.
            expires: when it ends; by default with the browser.
            bound_to: where it counts, such as a session; it counts nowhere else.
        """
        return Cookie(self.shape(local).name, sign(value, self._key, bound_to), self.options(local, expires))

    def unsign(self, signed: str, bound_to: str = "") -> str | None:
        """The value of a cookie we made, for the same `bound_to`; `None` for any other."""
        return unsign(signed, self._key, bound_to)

    def options(self, local: bool, expires: datetime | None = None) -> CookieOptions:
        """The attributes to set (and to delete) the cookie with."""
        settings = self.settings
        options: CookieOptions = {
            "path": settings.path,
            "secure": self.shape(local).secure,
            "httpOnly": settings.httpOnly,
            "sameSite": settings.sameSite,
        }
        if settings.domain is not None:
            options["domain"] = settings.domain
        if expires is not None:
            options["expires"] = expires
        return options

    def _check(self, name: str) -> None:
        if self.settings.sameSite == "none" and self.settings.secure is False:
            raise CrossauthError(ErrorCode.Configuration, f"Cookie {name}: sameSite 'none' needs secure to be true")
        if name.startswith(HOST_PREFIX) and (
            self.settings.domain is not None or self.settings.path != "/" or self.settings.secure is False
        ):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"Cookie {name}: the prefix {HOST_PREFIX} needs secure cookies, path '/' and no domain",
            )

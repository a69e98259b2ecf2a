"""What the three cookies of sessions can be told: options as an application writes them, and as they are read at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypedDict

from crossauth_backend.core.options import MAX_SECONDS, option
from crossauth_backend.keys.record import Key
from crossauth_backend.users.storage import UserStorage

SameSite = Literal["lax", "strict", "none"]
DEFAULT_MAX_AGE: Final = 345600
_LASTS: Final = "the CSRF cookie lasts as long as the browser; leave it out"


class CookieOptions(TypedDict, total=False):
    """Attributes of a cookie (RFC 6265); `maxAge` in seconds."""

    domain: str | None
    expires: datetime | None
    maxAge: int | None
    httpOnly: bool
    path: str
    secure: bool | None
    sameSite: SameSite


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieSettings:
    """What every cookie of ours can be told."""

    cookie_name: str | None = None
    domain: str | None = None
    path: str = "/"
    secure: bool | None = None
    sameSite: SameSite = "lax"
    httpOnly: bool = True


def cookie_option(default: Any, env: str, doc: str, *other_envs: str) -> Any:
    """One of the attributes above, under the environment variable of its cookie."""
    return option(default, env=env, other_envs=other_envs, doc=doc, not_empty=True)


class SessionCookieOptions(CookieOptions, total=False):
    """Options of `SessionCookie`; times in seconds."""

    cookie_name: str
    idle_timeout: int
    persist: bool
    secret: str
    filter_function: Callable[[Key], bool]
    hash_session_id: bool
    user_storage: UserStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCookieSettings(CookieSettings):
    """`SessionCookieOptions`, parsed."""

    cookie_name: str | None = cookie_option(
        None,
        "SESSION_COOKIE_NAME",
        "Name of the session cookie; by default `SESSIONID`, with `__Host-` before it on https.",
    )
    maxAge: int = option(
        DEFAULT_MAX_AGE,
        at_least=0,
        at_most=MAX_SECONDS,
        env="SESSION_COOKIE_MAX_AGE",
        other_envs=("SESSION_COOKIE_maxAge",),
        doc="Seconds after which a session expires, however much it is used; 0 for never.",
    )
    idle_timeout: int = option(
        0,
        at_least=0,
        at_most=MAX_SECONDS,
        env="SESSION_IDLE_TIMEOUT",
        doc="Seconds without a request after which a user's session expires; 0 for never. Precise to a minute.",
    )
    persist: bool = option(
        True,
        env="PERSIST_SESSION_ID",
        doc="Whether the cookie outlives the browser where a login does not say.",
    )
    domain: str | None = cookie_option(None, "SESSION_COOKIE_DOMAIN", "Domain attribute.")
    path: str = cookie_option("/", "SESSION_COOKIE_PATH", "Path attribute.")
    secure: bool | None = cookie_option(
        None, "SESSION_COOKIE_SECURE", "Secure attribute; by default on, but off on http://localhost."
    )
    sameSite: SameSite = cookie_option("lax", "SESSION_COOKIE_SAMESITE", "SameSite attribute.")
    httpOnly: bool = cookie_option(True, "SESSION_COOKIE_HTTPONLY", "HttpOnly attribute.", "SESSIONCOOKIE_HTTPONLY")
    secret: str | None = option(None, env="SECRET", doc="Signs the cookie; at least 32 characters.")
    filter_function: Callable[[Key], bool] | None = option(
        None, names=("filterFunction",), doc="A session for which this returns false is refused; plain or `async`."
    )
    hash_session_id: bool = option(True, doc="Only true is accepted: ids are always stored hashed.")
    user_storage: UserStorage | None = option(
        None, doc="Where the users of sessions are; without one all sessions are anonymous."
    )
    expires: Any = option(
        None, kind="time", doc="Refused: see `maxAge`.", unread="say in 'maxAge' after how many seconds a session ends"
    )


class DoubleSubmitCsrfTokenOptions(CookieOptions, total=False):
    """Options of `DoubleSubmitCsrfToken`."""

    cookie_name: str
    header_name: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrfSettings(CookieSettings):
    """`DoubleSubmitCsrfTokenOptions`, parsed."""

    cookie_name: str | None = cookie_option(
        None,
        "CSRF_COOKIE_NAME",
        "Name of the CSRF cookie; by default `CSRFTOKEN`, with `__Host-` before it on https.",
    )
    header_name: str = option(
        "X-CROSSAUTH-CSRF", not_empty=True, env="CSRF_HEADER_NAME", doc="Header that carries the token."
    )
    domain: str | None = cookie_option(None, "CSRF_COOKIE_DOMAIN", "Domain attribute.")
    path: str = cookie_option("/", "CSRF_COOKIE_PATH", "Path attribute.")
    secure: bool | None = cookie_option(
        None, "CSRF_COOKIE_SECURE", "Secure attribute; by default on, but off on http://localhost."
    )
    sameSite: SameSite = cookie_option("lax", "CSRF_COOKIE_SAMESITE", "SameSite attribute.")
    httpOnly: bool = cookie_option(
        True,
        "CSRF_COOKIE_HTTPONLY",
        "HttpOnly attribute: scripts read the token from `api/getcsrftoken` instead.",
    )
    secret: str | None = option(None, env="SECRET", doc="Signs the cookie; at least 32 characters.")
    expires: Any = option(None, kind="time", doc="Refused: the cookie lasts as long as the browser.", unread=_LASTS)
    maxAge: int | None = option(None, doc="Refused: the cookie lasts as long as the browser.", unread=_LASTS)


class KnownDeviceCookieOptions(TypedDict, total=False):
    """Options of the cookie of known devices; `maxAge` in seconds."""

    cookie_name: str
    domain: str | None
    httpOnly: bool
    maxAge: int
    path: str
    sameSite: SameSite
    secure: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDeviceSettings(CookieSettings):
    """`KnownDeviceCookieOptions`, parsed."""

    cookie_name: str | None = cookie_option(
        None,
        "KNOWNDEVICE_COOKIE_NAME",
        "Name of the cookie; by default `KNOWNDEVICE`, with `__Host-` before it on https.",
    )
    maxAge: int = option(
        2592000,
        at_least=1,
        at_most=MAX_SECONDS,
        env="KNOWNDEVICE_COOKIE_MAX_AGE",
        doc="Seconds a browser is remembered.",
    )
    domain: str | None = cookie_option(None, "KNOWNDEVICE_COOKIE_DOMAIN", "Domain attribute.")
    path: str = cookie_option("/", "KNOWNDEVICE_COOKIE_PATH", "Path attribute.")
    secure: bool | None = cookie_option(
        None, "KNOWNDEVICE_COOKIE_SECURE", "Secure attribute; by default on, but off on http://localhost."
    )
    sameSite: SameSite = cookie_option("lax", "KNOWNDEVICE_COOKIE_SAMESITE", "SameSite attribute.")
    httpOnly: bool = cookie_option(True, "KNOWNDEVICE_COOKIE_HTTPONLY", "HttpOnly attribute.")


def to_cookie_serialize_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes under their names in RFC 6265 (`Max-Age`, `HttpOnly`, …), absent ones left out."""
    names = {
        "domain": "Domain", "expires": "Expires", "maxAge": "Max-Age", "httpOnly": "HttpOnly",
        "path": "Path", "secure": "Secure", "sameSite": "SameSite",
    }  # fmt: skip
    return {names[k]: v for k, v in options.items() if k in names and v is not None}

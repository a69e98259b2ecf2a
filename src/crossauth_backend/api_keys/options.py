"""The options of API keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from crossauth_backend.api_keys.token import is_prefix, is_scheme
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import MAX_SECONDS, option, read_options
from crossauth_backend.keys.kinds import KINDS
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.limits.rules import Limit
from crossauth_backend.users.storage import UserStorage

COMPONENT: Final = "ApiKeyManager"


class ApiKeyManagerOptions(TypedDict, total=False):
    """Options of `ApiKeyManager`; times in seconds."""

    secret: str
    user_storage: UserStorage
    key_length: int
    prefix: str
    token_prefix: str
    auth_scheme: str
    default_expiry: int | None
    rotation_overlap: int
    max_per_user: int
    attempt_limits: Mapping[str, Limit | tuple[int, int] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeySettings:
    """`ApiKeyManagerOptions`, parsed."""

    secret: str | None = option(
        None,
        env="SECRET",
        doc="Checks keys of the format `data.signature`, which are still read. Required; at least 32 characters.",
    )
    user_storage: UserStorage | None = option(
        None,
        doc="Where the users of keys are. Without one it isn't checked whether a key's user is disabled or deleted.",
    )
    key_length: int = option(32, at_least=16, at_most=64, env="APIKEY_LENGTH", doc="Bytes of randomness in a new key.")
    prefix: str = option(
        KeyPrefix.api_key, env="APIKEY_PREFIX", doc="Goes before the hash of a key in the key storage."
    )
    token_prefix: str = option(
        "xa_",
        env="APIKEY_TOKEN_PREFIX",
        doc="What keys begin with, for secret scanners to recognize them: letters and digits, then an underscore.",
    )
    auth_scheme: str = option("ApiKey", env="APIKEY_AUTHSCHEME", doc="Scheme in the `Authorization` header.")
    default_expiry: int | None = option(
        7_776_000,
        at_least=1,
        at_most=MAX_SECONDS,
        none=True,
        env="APIKEY_EXPIRY",
        doc="Seconds after which a key expires by default; `None` for never.",
    )
    rotation_overlap: int = option(
        3600,
        at_least=0,
        at_most=MAX_SECONDS,
        env="APIKEY_ROTATION_OVERLAP",
        doc="Seconds that a key still works after it was rotated.",
    )
    max_per_user: int = option(
        50, at_least=1, at_most=1_000, env="APIKEY_MAX_PER_USER", doc="How many API keys a user may have at once."
    )
    attempt_limits: dict[str, Any] = option(
        {},
        env="ATTEMPT_LIMITS",
        doc="Changes to the limits, see there; here only `api_key` is read: requests with one key, `None` for no limit.",
    )


def read_api_key_options(given: Mapping[str, Any]) -> ApiKeySettings:
    """Parse the options.

    Raises:
        CrossauthError: `Configuration`, naming what is wrong.
    """
    settings = read_options(ApiKeySettings, given, component=COMPONENT)
    if not is_prefix(settings.token_prefix):
        raise _wrong(
            "token_prefix", "must be at most 20 characters: letters and digits, then one underscore, such as 'xa_'"
        )
    if not is_scheme(settings.auth_scheme):
        raise _wrong("auth_scheme", "must be the name of an authentication scheme, such as 'ApiKey'")
    others = [kind.prefix for kind in KINDS if kind.prefix != KeyPrefix.api_key]
    mixes = any(settings.prefix.startswith(other) or other.startswith(settings.prefix) for other in others)
    if mixes or not is_storable_prefix(settings.prefix):
        raise _wrong("prefix", "must be letters with a colon that no other kind of key begins with, such as 'api:'")
    return settings


def is_storable_prefix(prefix: str) -> bool:
    """Whether stored values may begin with `prefix`."""
    return prefix.isascii() and prefix.isprintable() and 0 < len(prefix) <= 32


def _wrong(name: str, advice: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"{COMPONENT}: option {name!r} {advice}")

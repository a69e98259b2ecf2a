"""The kinds of keys: one row each, which revocation reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crossauth_backend.keys.record import KeyPrefix


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyKind:
    """What the library does with the keys of one prefix. Every key of a user ends with the account, whatever its kind.

    Parameters:
        prefix: the beginning of the stored value.
        ends_with_password: whether keys of this kind are deleted when a password, a second factor, the state or the address
            of their user changes. Keys of nobody are not found then: whoever stores such a key stores it with its user.
        stamped: whether the key records the security stamp of its user and is void when that changes, even if nobody deletes
            it.
        single_use: whether the key is consumed by its first use.
        family: what is revoked together, and by what that is found; empty where each key stands for itself.
        listed: where its user sees it; empty where nowhere.
    """

    prefix: str
    ends_with_password: bool = False
    stamped: bool = False
    single_use: bool = False
    family: str = ""
    listed: str = ""


# A family of tokens is one grant record: the tokens name it, so that it is revoked by one write, and no storage has to look for
# them. The generations of an API key have an id in common, among the few keys of one user.
_GRANT: Final = "the grant"

KINDS: Final[tuple[KeyKind, ...]] = (
    KeyKind(prefix=KeyPrefix.session, ends_with_password=True, stamped=True, listed="sessions"),
    KeyKind(prefix=KeyPrefix.password_reset_token, ends_with_password=True, stamped=True, single_use=True),
    # A link that moves an address ends as well; one that verifies the present address outlives a change of the password.
    KeyKind(prefix=KeyPrefix.email_verification_token, stamped=True, single_use=True),
    KeyKind(prefix=KeyPrefix.api_key, family="the id among the user's keys", listed="api_keys"),
    KeyKind(prefix=KeyPrefix.authorization_code, ends_with_password=True, stamped=True, single_use=True, family=_GRANT),
    KeyKind(prefix=KeyPrefix.access_token, ends_with_password=True, stamped=True),
    # One record for each login of the routes of FastAPI Users, which its refresh tokens name.
    KeyKind(prefix=KeyPrefix.refresh_token, ends_with_password=True, stamped=True, family="the login"),
    KeyKind(prefix=KeyPrefix.mfa_token, ends_with_password=True, stamped=True, single_use=True),
    KeyKind(prefix=KeyPrefix.device_code, ends_with_password=True, stamped=True, single_use=True, family=_GRANT),
    KeyKind(prefix=KeyPrefix.user_code, ends_with_password=True, stamped=True, single_use=True, family=_GRANT),
    KeyKind(prefix=KeyPrefix.trusted_device, ends_with_password=True, stamped=True),
    KeyKind(prefix=KeyPrefix.recovery_code, single_use=True, listed="recovery_codes"),
    KeyKind(prefix=KeyPrefix.grant, ends_with_password=True, stamped=True, family=_GRANT, listed="connected_apps"),
    KeyKind(prefix=KeyPrefix.oauth_access_token, ends_with_password=True, stamped=True, family=_GRANT),
    KeyKind(prefix=KeyPrefix.authorization_request, single_use=True),
    KeyKind(prefix=KeyPrefix.oauth_link),
    KeyKind(prefix=KeyPrefix.own_password),
    # That a login at a provider has ended. It is nobody's: who it was here may not be known.
    KeyKind(prefix=KeyPrefix.provider_logout),
    KeyKind(prefix=KeyPrefix.consumed),
    KeyKind(prefix=KeyPrefix.counter),
    KeyKind(prefix=KeyPrefix.message),
)

ENDING_WITH_PASSWORD: Final = tuple(kind.prefix for kind in KINDS if kind.ends_with_password)

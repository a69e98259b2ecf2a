"""Which second factor the password flow asks for, of those that a user has at the provider. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from crossauth_backend.oauth.client import OAuthMfaAuthenticator

# More than anybody has; each of them costs nothing, but a list without an end would.
_MOST: Final = 50


class Chosen(NamedTuple):
    """A second factor to ask for.

    Parameters:
        id: as the provider names it.
        kind: whether its code is made by the user's device (`otp`), or sent to it (`oob`).
        channel: by what it is sent; empty where the provider does not say.
        name: where it is sent to, as far as the provider shows it.
    """

    id: str
    kind: Literal["otp", "oob"]
    channel: str = ""
    name: str = ""


def choose_factor(found: Iterable[OAuthMfaAuthenticator]) -> Chosen | None:
    """The factor to ask for: one with codes of the user's own device before one whose codes are sent.

    Parameters:
        found: those that the provider names; only active ones count, and of kinds that there is a page for.

    Returns:
        `None` where there is none.
    """
    usable = [factor for factor in list(found)[:_MOST] if factor.get("active", True) and factor.get("id")]
    for factor in usable:
        if factor.get("authenticator_type") == "otp":
            return Chosen(factor["id"], "otp", "", factor.get("name", ""))
    for factor in usable:
        if factor.get("authenticator_type") == "oob":
            return Chosen(factor["id"], "oob", factor.get("oob_channel", ""), factor.get("name", ""))
    return None

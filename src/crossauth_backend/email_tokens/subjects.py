"""Subjects of mail about accounts. `Messages` puts the name of the site into each."""

from __future__ import annotations

from typing import Final

from crossauth_backend.core.texts import mark

VERIFY: Final = mark("Verify your email address for {siteName}")
RESET: Final = mark("Reset your {siteName} password")
ACCOUNT_EXISTS: Final = mark("You already have an account at {siteName}")
NAME_TAKEN: Final = mark("Choose another username for {siteName}")
ADDRESS_CHANGED: Final = mark("Your {siteName} email address was changed")
ADDRESS_CHANGE: Final = mark("A change of your {siteName} email address was requested")
PASSWORD_CHANGED: Final = mark("Your {siteName} password was changed")
KEY_CREATED: Final = mark("A new API key was created for your {siteName} account")
KEY_REPLACED: Final = mark("An API key of your {siteName} account was replaced")
LINKED: Final = mark("A login method was added to your {siteName} account")
UNLINKED: Final = mark("A login method was removed from your {siteName} account")
# Of the mails whose subject is an option, by the beginning of its name.
DEFAULTS: Final = {"email_verification": VERIFY, "password_reset": RESET}

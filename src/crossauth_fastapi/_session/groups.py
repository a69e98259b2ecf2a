"""What the actions of the session server are switched on with."""

from __future__ import annotations

from typing import Final

from crossauth_fastapi._actions.action import Group

ACCOUNT_TAG: Final = "Accounts"
BASIC: Final = Group("basic", ACCOUNT_TAG)
ADMIN: Final = Group("admin", "Administration", admin=True)
FACTOR2: Final = Group("factor2", ACCOUNT_TAG)
VERIFICATION: Final = Group("verification", ACCOUNT_TAG, "enable_email_verification")
RESET: Final = Group("reset", ACCOUNT_TAG, "enable_password_reset")
GROUPS: Final = (BASIC, ADMIN, FACTOR2, VERIFICATION, RESET)

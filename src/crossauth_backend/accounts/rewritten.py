"""Users without a stored stamp, after a check that may have stored a secret under another encryption key.

A stored stamp stays then. A digest that stands in for one does not, though the secret is the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.users.credentials import credential_secrets
from crossauth_backend.users.record import User, UserAndSecrets


async def as_rewritten(accounts: Accounts, found: UserAndSecrets) -> User:
    """The user, with the digest taken anew; as found before, where anything else has become another.

    Parameters:
        accounts: the account services.
        found: the user as read before the check, with a digest for a stamp.
    """
    now = await accounts.find(found.user.id)
    changed = replace(now.user, security_stamp=found.user.security_stamp) != found.user
    before, after = credential_secrets(found.secrets), credential_secrets(now.secrets)
    if changed or any(_plain(accounts, before.get(n)) != _plain(accounts, after.get(n)) for n in before | after):
        return found.user
    return now.user


def _plain(accounts: Accounts, stored: Any) -> Any:
    encrypted = isinstance(stored, str) and KeyRing.is_encrypted(stored)
    return accounts.ring.decrypt(stored) if encrypted else stored

"""The credentials of a user, and the digest of them that stands in where no security stamp is stored. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from crossauth_backend.core.secrets import hash_token
from crossauth_backend.users.record import User, UserAndSecrets, UserSecrets, with_fields

# What a login is decided by, and where a link or a code goes. `phone` is where the codes of a text message go. A storage adds
# where the factors of an application send theirs: see `credentials_with` and `UserStorage.credentials`.
CREDENTIALS: Final = ("username", "email", "phone", "state", "factor1", "factor2")
# Secrets that are no credentials: they say which code was sent last, and until when it is good.
BOOKKEEPING: Final = frozenset({"userid", "otp", "expiry"})
# Before a digest, which is a stamp too.
DIGEST: Final = "d:"


def credentials_with(names: Iterable[str]) -> tuple[str, ...]:
    """`CREDENTIALS` and the further fields `names`, in an order that does not depend on theirs.

    Parameters:
        names: fields of users that a factor reads, as `Authenticator.user_fields` says.
    """
    return (*CREDENTIALS, *sorted(set(names).difference(CREDENTIALS)))


def replaces_credential(secrets: Iterable[str]) -> bool:
    """Whether a write of these secrets replaces a password or a secret of a second factor."""
    return any(name not in BOOKKEEPING for name in secrets)


def credential_secrets(secrets: UserSecrets) -> dict[str, Any]:
    """The secrets that are credentials, by name; those that a user does not have are `None`."""
    return {name: value for name, value in secrets.to_dict().items() if name not in BOOKKEEPING}


def credential_digest(user: User, secrets: Mapping[str, Any], names: Sequence[str]) -> str:
    """What stands in for a stamp: a digest of the credentials.

    Parameters:
        user: the user.
        secrets: what `credential_secrets` gives.
        names: the fields that are credentials, as the user's storage says: `UserStorage.credentials`.
    """
    own = {name: str(value) for name, value in secrets.items() if value is not None}
    text = json.dumps([str(user.id), [user.get(name) for name in names], sorted(own.items())], default=str)
    return DIGEST + hash_token(text)


def credential_stamp(found: UserAndSecrets, names: Sequence[str]) -> str:
    """The stamp of a user, or the digest of the fields `names` that stands in for it."""
    return found.user.security_stamp or credential_digest(found.user, credential_secrets(found.secrets), names)


def digest_after(
    before: UserAndSecrets, values: Mapping[str, Any], secrets: Mapping[str, Any], names: Sequence[str]
) -> str:
    """The digest of the credentials once `values` and `secrets` have been written over those of `before`."""
    user = with_fields(before.user, {name: values[name] for name in names if name in values})
    written = {name: value for name, value in secrets.items() if name not in BOOKKEEPING}
    return credential_digest(user, {**credential_secrets(before.secrets), **written}, names)

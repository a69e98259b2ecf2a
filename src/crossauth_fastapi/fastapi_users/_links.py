"""Which accounts at providers stay linked when a password is reset, or replaced because it may be a stranger's.

The rule: a link stays if it was proven, for the address that the user has now, to be the work of whoever reads that mailbox.
There are two proofs:

- the provider said that the account has this address and that it is verified; or
- the password was asked for and given, and it was one that was chosen by a link in a mail to this address.

Nothing else is a proof: not that the account has the same address, for a careless provider lets anybody type it; not a login,
for it may be stolen; not a password that was chosen at registration, for anybody may register somebody else's address; and
not that the address is verified, for its owner may have opened the link of a stranger's registration. What is not noted here
is not proven, so that a link of which the note is lost ends too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.keys.data import encode_data, get_json_data
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_fastapi.fastapi_users._records import key_owner

Proves: TypeAlias = Callable[[Any, str], Awaitable[bool]]


async def _proves_nothing(user: Any, account_email: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Links:
    """The proofs of links, for the length of a request.

    Parameters:
        keys: where they are noted.
        proves: whether an account of this address, which is being linked to a user, is proven to be the user's.
    """

    keys: KeyStorage
    proves: Proves = _proves_nothing

    async def note(self, user: Any, oauth_name: str, account_id: str, account_email: str, *, new: bool) -> None:
        """Note of a link, once it is stored, whether it was proven. What was proven before stays so where it is not `new`."""
        proven = await self.proves(user, account_email)
        if new or proven:
            await self.forget(user, oauth_name, account_id)
        if not proven:
            return
        data = encode_data({"email": user.email})
        try:
            await self.keys.save_key(key_owner(user), _stored(user, oauth_name, account_id), utc_now(), None, data)
        except CrossauthError as e:
            if e.code is not ErrorCode.KeyExists:
                raise

    async def is_proven(self, user: Any, oauth_name: str, account_id: str) -> bool:
        """Whether a link was proven for the address that the user has now."""
        key = await self.keys.find_key(_stored(user, oauth_name, account_id))
        email = None if key is None else get_json_data(key).get("email")
        return isinstance(email, str) and same_mailbox(email, user.email)

    async def forget(self, user: Any, oauth_name: str, account_id: str) -> None:
        """The account is not linked any more."""
        await self.keys.delete_key(_stored(user, oauth_name, account_id))


_links: ContextVar[Links | None] = ContextVar("links", default=None)


@contextmanager
def knowing_links(links: Links) -> Iterator[None]:
    """Within the block, user managers note there what they link, and keep what was proven. Outside of one nothing is proven."""
    token = _links.set(links)
    try:
        yield
    finally:
        _links.reset(token)


def known_links() -> Links | None:
    """Those of the request at hand."""
    return _links.get()


def _stored(user: Any, oauth_name: str, account_id: str) -> str:
    return KeyPrefix.oauth_link + hash_token(f"{key_owner(user)}\n{oauth_name}\n{account_id}".encode(errors="replace"))

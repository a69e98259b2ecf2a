"""Accounts at other issuers in memory."""

from __future__ import annotations

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.users.identities import Identity, check_identity, stored_name, taken
from crossauth_backend.users.record import UserId


class InMemoryIdentityStorage:
    """Keeps them in one process and forgets them with it. See `IdentityStorage`.

    No method gives up control between looking and changing, so each is atomic among the tasks of an event loop.
    """

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._identities: dict[tuple[str, str], Identity] = {}

    async def find(self, iss: str, sub: str) -> Identity | None:
        """As documented for `IdentityStorage`."""
        return self._identities.get((iss, sub))

    async def link(self, iss: str, sub: str, userid: UserId, name: str = "") -> bool:
        """As documented for `IdentityStorage`."""
        check_identity(iss, sub)
        known = self._identities.get((iss, sub))
        if known is not None:
            if str(known.userid) != str(userid):
                raise taken()
            return False
        self._identities[iss, sub] = Identity(
            iss=iss, sub=sub, userid=userid, name=stored_name(name), created=self._clock()
        )
        return True

    async def unlink(self, iss: str, sub: str, userid: UserId, *, keep_last: bool = False) -> bool:
        """As documented for `IdentityStorage`."""
        known = self._identities.get((iss, sub))
        if known is None or str(known.userid) != str(userid) or (keep_last and len(self._of(userid)) < 2):
            return False
        del self._identities[iss, sub]
        return True

    async def of_user(self, userid: UserId) -> list[Identity]:
        """As documented for `IdentityStorage`."""
        return self._of(userid)

    async def delete_all_for_user(self, userid: UserId) -> None:
        """As documented for `IdentityStorage`."""
        for found in self._of(userid):
            del self._identities[found.iss, found.sub]

    def _of(self, userid: UserId) -> list[Identity]:
        return [found for found in self._identities.values() if str(found.userid) == str(userid)]

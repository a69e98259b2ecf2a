"""Which browser began what waits in a session for a code.

A session can be in two browsers, where its cookie was stolen. What waits in it (a request that is held, a second factor that is
being set up) is its own browser's: the code that an owner types must not confirm what somebody else has put there meanwhile, and
the secret of a factor is shown again only where it was shown. So the browser gets a random value for each, in another cookie, and
its hash is kept with what waits.

A flow that is under way (`accounts.interaction`) has a cookie of its own, which says that it began in this browser: several may
begin in one browser at the same moment, and none may take the place of another's claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from crossauth_backend.core.secrets import derive_key, hash_token, random_value
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import CookieSettings

_BYTES: Final = 16
_NAME: Final = 16
_MOST: Final = 4
# Flows that one browser has under way at once; the oldest is given up for one more.
MOST_FLOWS: Final = 10


class Claims:
    """Makes and reads the cookie `CLAIM`, which holds one value for each name under which something may wait.

    Parameters:
        session: the settings of the session cookie: this one goes where that goes.
        secret: what it is signed with.
    """

    def __init__(self, session: CookieSettings, secret: str) -> None:
        name = None if session.cookie_name is None else f"{session.cookie_name}-CLAIM"
        settings = CookieSettings(
            cookie_name=name, domain=session.domain, path=session.path, secure=session.secure, sameSite=session.sameSite
        )
        self.cookie = SignedCookie(settings, "CLAIM", derive_key(secret, "claim cookie"))
        # Flows begin at other sites: the browser is sent on from there, and a strict cookie would not come along.
        self._flows = replace(settings, sameSite="lax") if settings.sameSite == "strict" else settings
        self._flow_key = derive_key(secret, "flow cookie")

    def make(self, signed: str | None, name: str, local: bool) -> tuple[str, Cookie]:
        """A new claim to what is about to wait under `name`, beside the others that the browser has.

        Parameters:
            signed: the cookie that the browser sent.
            name: the name.
            local: whether the request is for http://localhost.

        Returns:
            What is to be kept with what waits, and the cookie.
        """
        value = random_value(_BYTES)
        claims = {**self._read(signed), name: value}
        text = ".".join(f"{n}:{v}" for n, v in claims.items())
        return hash_token(value), self.cookie.make(text, local)

    def find(self, signed: str | None, name: str) -> str | None:
        """What is kept with what waits under `name`, if the browser began it."""
        value = self._read(signed).get(name)
        return None if value is None else hash_token(value)

    def of_flow(self, handle: str) -> SignedCookie:
        """The cookie of the flow that `handle` names. Its name is made of a hash of the handle."""
        name = f"{self._flows.cookie_name or 'CLAIM'}-{hash_token(handle)[:_NAME]}"
        own = self._flows if self._flows.cookie_name is None else replace(self._flows, cookie_name=name)
        return SignedCookie(own, name, self._flow_key)

    def begin_flow(self, handle: str, local: bool, now: datetime, expires: datetime) -> Cookie:
        """What says that the flow of `handle` is this browser's."""
        return self.of_flow(handle).make(str(int(now.timestamp())), local, expires, handle)

    def surplus_flows(self, sent: Iterable[tuple[str, str]], local: bool) -> list[str]:
        """Names of the cookies to give up before one more flow begins: the oldest, beyond as many as there may be.

        Parameters:
            sent: names and values of the cookies that the browser sent.
            local: whether the request is for http://localhost.
        """
        prefix = f"{self.cookie.shape(local).name}-"
        flows = [(value.partition(".")[0], name) for name, value in sent if name.startswith(prefix)]
        newest = sorted(flows, key=lambda flow: int(flow[0]) if _is_time(flow[0]) else 0, reverse=True)
        return [name for _, name in newest[MOST_FLOWS - 1 :]]

    def _read(self, signed: str | None) -> dict[str, str]:
        text = self.cookie.unsign(signed) if signed else None
        pairs = [part.partition(":") for part in (text or "").split(".")[:_MOST]]
        return {name: value for name, colon, value in pairs if colon}


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12

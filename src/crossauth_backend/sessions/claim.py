"""Which browser began what waits in a session for a code.

A session can be in two browsers, where its cookie was stolen. What waits in it (a request that is held, a second factor that is
being set up) is its own browser's: the code that an owner types must not confirm what somebody else has put there meanwhile, and
the secret of a factor is shown again only where it was shown. So the browser gets a random value for each, in another cookie, and
its hash is kept with what waits.
"""

from __future__ import annotations

from typing import Final

from crossauth_backend.core.secrets import derive_key, hash_token, random_value
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import CookieSettings

_BYTES: Final = 16
_MOST: Final = 4


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

    def _read(self, signed: str | None) -> dict[str, str]:
        text = self.cookie.unsign(signed) if signed else None
        pairs = [part.partition(":") for part in (text or "").split(".")[:_MOST]]
        return {name: value for name, colon, value in pairs if colon}

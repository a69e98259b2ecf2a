"""Apple's client secret: a JWT that the client signs.

Source: https://developer.apple.com/documentation/accountorganizationaldatasharing/creating-a-client-secret
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jose import TokenType, load_signing_key, sign

APPLE: Final = "https://appleid.apple.com"
# Apple takes up to six months. Nobody needs longer than until the next one is made.
LIFETIME: Final = timedelta(hours=1)
_ID: Final = re.compile(r"[A-Z0-9]{10}")


class AppleSecret:
    """Makes client secrets out of the private key, each good for an hour: no secret runs out in an application that goes on.

    Parameters:
        client_id: the Services ID, such as `com.example.login`.
        team_id: the 10 characters of the team.
        key_id: the 10 characters of the key.
        private_key: the text of the file `AuthKey_….p8`.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration`, saying what is wrong; nothing of the key is in it.
    """

    __slots__ = ("_claims", "_clock", "_key", "_made", "_until")

    def __init__(self, client_id: str, *, team_id: str, key_id: str, private_key: str, clock: Clock = utc_now) -> None:
        for name, value in (("team_id", team_id), ("key_id", key_id)):
            if not isinstance(value, str) or not _ID.fullmatch(value):
                raise _wrong(f"'{name}' must be the 10 capital letters and digits that Apple shows")
        if not isinstance(private_key, str) or "PRIVATE KEY" not in private_key:
            raise _wrong("'private_key' must be the text of the file AuthKey_….p8 (PEM), not its name")
        try:
            self._key = load_signing_key(private_key, "ES256", key_id)
        except CrossauthError:
            raise _wrong("'private_key' must be an ES256 private key (PEM), as in the file AuthKey_….p8") from None
        self._claims = {"iss": team_id, "sub": client_id, "aud": APPLE}
        self._clock = clock
        self._made, self._until = "", datetime.min

    def __call__(self) -> str:
        """A secret that is good now, and for half an hour at least."""
        now = self._clock()
        if not self._made or not now < self._until <= now + LIFETIME:
            issued = int(now.timestamp())
            times = {"iat": issued, "exp": issued + int(LIFETIME.total_seconds())}
            self._made, self._until = sign({**self._claims, **times}, self._key, TokenType.JWT), now + LIFETIME / 2
        return self._made

    def __repr__(self) -> str:
        return "AppleSecret()"


def apple_client_secret(client_id: str, *, team_id: str, key_id: str, private_key: str, clock: Clock = utc_now) -> str:
    """One client secret for Apple, good for an hour.

    Parameters:
        client_id, team_id, key_id, private_key, clock: as for `AppleSecret`.

    Raises:
        CrossauthError: `Configuration`, as for `AppleSecret`.
    """
    return AppleSecret(client_id, team_id=team_id, key_id=key_id, private_key=private_key, clock=clock)()


def _wrong(text: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"provider 'apple': {text}")

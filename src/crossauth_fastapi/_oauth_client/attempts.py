"""Logins at the authorization server that are under way: each in an encrypted cookie of its own, in the browser that began it.

Nothing is kept on the server before a login has come back: whoever begins a thousand leaves nothing behind. The browser that
began is the only one that can finish (RFC 6749 §10.12), with the same issuer and redirect URI (RFC 9700 §4.4), and only once. A
cookie for each attempt lets several tabs log in at the same time, in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from starlette.requests import HTTPConnection

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing, equal, hash_token, random_value
from crossauth_backend.core.texts import mark
from crossauth_backend.sessions.cookie import HOST_PREFIX, Cookie, SignedCookie
from crossauth_backend.sessions.options import CookieSettings
from crossauth_fastapi._http.jsonbody import BadFields, parse_fields
from crossauth_fastapi._middleware.state import RequestState, state_of

PURPOSE: Final = "oauth client attempts"
LASTS: Final = timedelta(minutes=10)
# As many as one browser has under way at once; the oldest is given up for one more.
MOST: Final = 10
# Bytes. A longer target would fill the cookies that a browser sends with every request.
MAX_TARGET: Final = 1000
_NAME: Final = 16
_TAG: Final = 6
_TAIL: Final = re.compile(rf"[A-Za-z0-9_-]{{{_NAME}}}")
_LONGEST_STATE: Final = 512
# Short names keep the cookies small: a browser sends all of them with every request.
_FIELDS: Final = {
    "f": "flow", "p": "purpose", "v": "verifier", "n": "nonce", "t": "target", "o": "scope", "u": "userid",
}  # fmt: skip
Purpose = Literal["login", "link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One login at the authorization server.

    Parameters:
        flow: the flow, by its name in `OAuthFlows`.
        purpose: what for: to log in, or to link the account of whoever is logged in.
        verifier: of PKCE; `None` without.
        nonce: that the ID token must have; `None` where none was sent.
        target: where the browser goes afterwards, a path of this site; empty for what the options say.
        scope: what was asked for.
        userid: whose account is linked; empty for a login.
    """

    flow: str
    purpose: Purpose = "login"
    verifier: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    target: str = ""
    scope: str = ""
    userid: str = ""


class Attempts:
    """The attempts of one client.

    Parameters:
        ring: encrypts the cookies.
        name: of the client among the application's.
        issuer: that browsers are sent to.
        redirect_uri: where they come back to.
        clock: what time it is.
        use_once: whether something is used for the first time, by name and time of expiry.
        state_length: random bytes of `state`.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        name: str,
        issuer: str,
        redirect_uri: str,
        clock: Callable[[], datetime],
        use_once: Callable[[str, datetime], Awaitable[bool]],
        state_length: int = 32,
    ) -> None:
        # Whatever is not of this client, this issuer and this redirect URI cannot be decrypted to it.
        self._client = hash_token(f"{name}\n{issuer}\n{redirect_uri}")
        self._ring, self._clock, self._use_once, self._length = ring, clock, use_once, state_length
        self._prefix = f"OAUTH-{self._client[:_TAG]}-"

    def new_state(self) -> str:
        """A new `state`, which no browser has anything of yet."""
        return random_value(self._length)

    def begin(self, connection: HTTPConnection, attempt: Attempt, text: str | None = None) -> str:
        """Remember `attempt` in the browser; its cookie goes out with the response.

        Parameters:
            connection: the request.
            attempt: what begins.
            text: its `state`, made by `new_state`; by default a new one.

        Returns:
            The `state` to send to the authorization server.
        """
        state, text = state_of(connection), text or self.new_state()
        now = self._clock()
        for name in self._surplus(state):
            state.queue_deletion(name, self._cookie(text).options(state.local))
        expires = now + LASTS
        stored = {**_to_data(attempt), "c": self._client, "s": hash_token(text), "x": int(expires.timestamp())}
        # The time stands in clear, so that the oldest is known without decrypting them all; nothing else rests on it.
        # As it is, for an escaped letter takes up to twelve bytes, and browsers drop a cookie of more than 4096.
        plain = json.dumps(stored, separators=(",", ":"), ensure_ascii=False)
        value = f"{int(now.timestamp() * 1000)}.{self._ring.encrypt(plain)}"
        cookie = self._cookie(text)
        state.queue(Cookie(cookie.shape(state.local).name, value, cookie.options(state.local, expires)))
        return text

    def knows(self, connection: HTTPConnection, state: str | None) -> bool:
        """Whether this browser has begun an attempt of this state; nothing is used up."""
        return bool(state) and self._find(state_of(connection), state or "") is not None

    async def take(self, connection: HTTPConnection, state: str | None) -> Attempt:
        """The attempt that `state` names, which is over with this.

        Raises:
            CrossauthError: `Unauthorized` where this browser began none of this state with this client, or it was used, or it is
                too old.
        """
        here = state_of(connection)
        if not state or len(state) > _LONGEST_STATE:
            raise _refused("no state came back")
        cookie = self._cookie(state)
        found = self._find(here, state)
        if found is None:
            raise _refused("this browser began no login of this state")
        here.queue_deletion(cookie.shape(here.local).name, cookie.options(here.local))
        expires = datetime.fromtimestamp(found["x"], UTC)
        if expires <= self._clock():
            raise _refused("the login is too old")
        if not await self._use_once(f"oauth attempt {self._client} {state}", expires):
            raise _refused("the state was used before")
        return _from_data(found)

    def _find(self, here: RequestState, state: str) -> dict[str, Any] | None:
        """What this browser's cookie says of the attempt of this state."""
        if len(state) > _LONGEST_STATE:
            return None
        values = here.sent_values(self._cookie(state))
        return next((data for value in values if (data := self._read(value, state))), None)

    def _cookie(self, state: str) -> SignedCookie:
        """The cookie of one attempt. Only its name and attributes are used: its value is encrypted, which is more than signed."""
        name = f"{self._prefix}{hash_token(state)[:_NAME]}"
        return SignedCookie(CookieSettings(), name, b"")

    def _read(self, value: str, state: str) -> dict[str, Any] | None:
        """What a cookie of ours says of the attempt of this state."""
        try:
            data = parse_fields(self._ring.decrypt(value.partition(".")[2]).encode())
        except (BadFields, CrossauthError):
            return None
        bound = equal(str(data.get("c")), self._client) and equal(str(data.get("s")), hash_token(state))
        return data if bound else None

    def _surplus(self, state: RequestState) -> list[str]:
        """Names of the cookies to give up before one more attempt begins.

        Not those that only look like ours: a neighbour may have planted them, with names that no answer could delete.
        """
        prefixes = (HOST_PREFIX + self._prefix, *([self._prefix] if state.reads_local else ()))
        ours = [
            (values[0].partition(".")[0], name)
            for name, values in state.cookies.items()
            if name[:-_NAME] in prefixes and _TAIL.fullmatch(name[-_NAME:])
        ]
        newest = sorted(ours, key=lambda one: int(one[0]) if _is_time(one[0]) else 0, reverse=True)
        return [name for _, name in newest[MOST - 1 :]]


def _to_data(attempt: Attempt) -> dict[str, Any]:
    provided = asdict(attempt)
    return {short: provided[name] for short, name in _FIELDS.items() if provided[name]}


def _from_data(data: dict[str, Any]) -> Attempt:
    return Attempt(**{name: data[short] for short, name in _FIELDS.items() if short in data})


def _refused(detail: str) -> CrossauthError:
    return CrossauthError(
        ErrorCode.Unauthorized,
        mark("This login was started in another browser or has expired. Start again."),
        detail=detail,
    )


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16

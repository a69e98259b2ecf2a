"""Tokens as they are kept: encrypted, and good for one client only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.jose.cache import copied
from crossauth_backend.core.secrets import KeyRing, equal
from crossauth_backend.oauth.client.token_set import TokenSet

PURPOSE: Final = "oauth client tokens"
_SEALED: Final = "sealed"
_LOGIN: Final = "login"
# What the provider names a login by, when it says that it has ended.
_NAMED_BY: Final = ("iss", "sub", "sid")
# Of how many sessions a process remembers what it has opened, and how long what it opens may be.
_MANY: Final = 1000
_LONGEST: Final = 10_000


class Seal:
    """Encrypts the tokens of one client.

    Parameters:
        ring: the keys.
        client: names the client; what was sealed for another is not opened.
    """

    def __init__(self, ring: KeyRing, client: str) -> None:
        self._ring, self._client = ring, client
        self._opened: dict[str, TokenSet] = {}

    def close(self, tokens: TokenSet) -> dict[str, str]:
        """Tokens as an entry of the session data: not readable without the key."""
        return {_SEALED: self._encrypted(tokens)}

    def close_login(self, tokens: TokenSet) -> dict[str, str]:
        """Whose login has opened the session, without its tokens: it stays in the entry when they are others, or none."""
        named = {name: value for name, value in (tokens.id_payload or {}).items() if name in _NAMED_BY}
        login = TokenSet(
            access_token="", id_payload=named, issuer=tokens.issuer, saved_at=tokens.saved_at, flow=tokens.flow,
            opened_session=True,
        )  # fmt: skip
        return {_LOGIN: self._encrypted(login)}

    def open_login(self, entry: Any) -> TokenSet | None:
        """The login that `close_login` has kept in an entry; `None` where there is none."""
        return self.open({_SEALED: login_in(entry).get(_LOGIN)})

    def open(self, entry: Any) -> TokenSet | None:
        """The tokens in such an entry; `None` where it is none of this client, or the key was given up."""
        cipher = entry.get(_SEALED) if isinstance(entry, Mapping) else None
        if not isinstance(cipher, str):
            return None
        # A session's tokens are the same for many requests: they are decrypted once.
        found = self._opened.get(cipher) or self._decrypted(cipher)
        if found is None or found.id_payload is None:
            return found
        # Claims are handed to the application, which may change them, for its own request.
        return replace(found, id_payload=copied(found.id_payload))

    def _encrypted(self, tokens: TokenSet) -> str:
        return self._ring.encrypt(json.dumps([self._client, tokens.to_json()], separators=(",", ":")))

    def _decrypted(self, cipher: str) -> TokenSet | None:
        try:
            client, text = json.loads(self._ring.decrypt(cipher))
            tokens = TokenSet.from_json(text) if equal(client, self._client) else None
        except (CrossauthError, ValueError, TypeError):
            return None
        if tokens is not None and len(cipher) <= _LONGEST:
            self._opened[cipher] = tokens
            if len(self._opened) > _MANY:
                del self._opened[next(iter(self._opened))]
        return tokens


def login_in(entry: Any) -> dict[str, Any]:
    """What of an entry stays when its tokens go; empty for nothing."""
    return {_LOGIN: entry[_LOGIN]} if isinstance(entry, Mapping) and _LOGIN in entry else {}

"""Tokens as they are kept: encrypted, and good for one client only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.secrets import KeyRing, equal
from crossauth_backend.oauth.client.token_set import TokenSet

PURPOSE: Final = "oauth client tokens"
_SEALED: Final = "sealed"


class Seal:
    """Encrypts the tokens of one client.

    Parameters:
        ring: the keys.
        client: names the client; what was sealed for another is not opened.
    """

    def __init__(self, ring: KeyRing, client: str) -> None:
        self._ring, self._client = ring, client

    def close(self, tokens: TokenSet) -> dict[str, str]:
        """Tokens as an entry of the session data: not readable without the key."""
        return {_SEALED: self._ring.encrypt(json.dumps([self._client, tokens.to_json()], separators=(",", ":")))}

    def open(self, entry: Any) -> TokenSet | None:
        """The tokens in such an entry; `None` where it is none of this client, or the key was given up."""
        cipher = entry.get(_SEALED) if isinstance(entry, Mapping) else None
        if not isinstance(cipher, str):
            return None
        try:
            client, tokens = json.loads(self._ring.decrypt(cipher))
            return TokenSet.from_json(tokens) if equal(client, self._client) else None
        except (CrossauthError, ValueError, TypeError):
            return None

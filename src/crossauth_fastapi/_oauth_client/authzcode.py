"""The authorization code flows: beginning one, and the authorization server's answer."""

from __future__ import annotations

from typing import Final

from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint

ENDPOINTS: Final[tuple[ClientEndpoint, ...]] = ()

"""From options to the parts of an OAuth client, and its routes; everything that can be wrong with them is found here."""

from __future__ import annotations

from typing import Final

from crossauth_fastapi._oauth_client import authzcode
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint

# Every endpoint of a client, in the order of the documented table.
ENDPOINTS: Final[tuple[ClientEndpoint, ...]] = (
    *authzcode.ENDPOINTS,
)  # fmt: skip

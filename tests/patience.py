"""How long tests wait for an authorization server of theirs: very long, unless it is told to misbehave

A busy machine may take seconds for what takes milliseconds otherwise. So a time is short only where a test is about it.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.http_client import HttpClient
from crossauth_backend.testing import FakeIssuer

# Seconds; as many as `fetch_timeout` may be.
PATIENCE: Final = 60
IMPATIENCE: Final = timedelta(seconds=0.5)


class Impatient(HttpClient):
    """Sends requests to an authorization server, and gives it little time while it misbehaves.

    For requests of the test's own event loop: its connections are closed by the loop that opened them.
    """

    def __init__(self, server: FakeIssuer) -> None:
        super().__init__()
        self._server = server

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        misbehaves = self._server.fault or self._server.faults
        return await super().fetch(replace(request, timeout=IMPATIENCE) if misbehaves else request)

"""The same application as for the flows."""

from tests.flows.conftest import base_url, client, other, server

__all__ = ["base_url", "client", "other", "server"]

"""Log in with an OpenID provider that runs in the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal

from crossauth_backend.testing.fake_provider import FakeProvider


@contextmanager
def fake_provider(**options: Any) -> Iterator[FakeProvider]:
    """Run an OpenID provider on a free port of this machine, in a thread of its own.

    Give its `url` to your application as `auth_server_base_url`, and its `client_options` as `client_id` and `client_secret`.

    Parameters:
        options: as for `crossauth_backend.testing.FakeProvider`.
    """
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(FakeProvider(**options)) as provider:
        yield provider


def log_in_with(client: Any, provider: FakeProvider, user: str = "alice", path: str = "/authzcodeflow") -> Any:
    """Log a client in through `provider`, as a browser would; return the response to the redirect URI.

    Parameters:
        client: a `TestClient` of the application.
        provider: the provider; what it says of a user is in its `users`.
        user: `sub` of the user who agrees there.
        path: where the application begins the login.

    Raises:
        ValueError: where the application does not send the browser to the provider, or the provider does not send it back.
    """
    return client.get(_back(provider, client.get(path, follow_redirects=False), user), follow_redirects=False)


async def alog_in_with(client: Any, provider: FakeProvider, user: str = "alice", path: str = "/authzcodeflow") -> Any:
    """As `log_in_with`, for an `AsyncClient`."""
    begun = await client.get(path, follow_redirects=False)
    return await client.get(_back(provider, begun, user), follow_redirects=False)


def _back(provider: FakeProvider, begun: Any, user: str) -> str:
    url = begun.headers.get("location", "")
    if not url.startswith(provider.url):
        raise ValueError(f"the application does not send the browser to the provider: {begun.status_code} {begun.text}")
    # By path: the client's own origin counts, whatever host the redirect URI names.
    parts = urlsplit(provider.sign_in(url, user))
    return f"{parts.path}?{parts.query}"

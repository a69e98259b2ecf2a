"""The HTTP client that everything sends by which leaves this server: aiohttp, imported when it is first used."""

from __future__ import annotations

import asyncio
import ssl
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import FetchRequest, FetchResponse, unavailable

if TYPE_CHECKING:
    import aiohttp

_CHUNK: Final = 16 * 1024
_MAX_LINE: Final = 8190
# Seconds. Servers close connections that nobody uses, many after five, and a request that is on its way then gets no answer.
_KEPT_OPEN: Final = 4.0


class HttpClient:
    """A `Fetcher` on aiohttp, with connections that are kept open between requests.

    Parameters:
        ssl_context: how servers are checked; by default against the certificate authorities of the system.
        max_connections: how many there are at most, to all servers together.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None, max_connections: int = 100) -> None:
        self._ssl_context = ssl_context
        self._max_connections = max_connections
        # Connections belong to the event loop that they were opened in.
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """See `Fetcher`.

        Raises:
            CrossauthError: `Connection`; `Configuration` where aiohttp is missing.
        """
        client = load_aiohttp()
        session = self._session(client)
        try:
            async with asyncio.timeout(request.timeout.total_seconds()), session.request(
                request.method, request.url, data=request.body, allow_redirects=False,
                headers={"Accept-Encoding": "identity", **request.headers},
            ) as response:  # fmt: skip
                return await _read(request, response)
        except TimeoutError:
            raise unavailable(request, "no complete response in time") from None
        except (client.ClientError, OSError, ValueError) as e:
            # The text of the error may name the whole URL.
            raise unavailable(request, type(e).__name__) from None

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _session(self, client: Any) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            session = self._sessions[loop] = client.ClientSession(
                connector=client.TCPConnector(
                    limit=self._max_connections, ssl=self._ssl_context or True, keepalive_timeout=_KEPT_OPEN
                ),
                cookie_jar=client.DummyCookieJar(), trust_env=False, auto_decompress=False,
                timeout=client.ClientTimeout(total=None), max_line_size=_MAX_LINE, max_field_size=_MAX_LINE,
            )  # fmt: skip
        return session


async def _read(request: FetchRequest, response: aiohttp.ClientResponse) -> FetchResponse:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        # Nobody asked for it, and a few bytes could unfold to a great many.
        raise unavailable(request, "a content coding that was not asked for")
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > request.max_bytes:
            raise unavailable(request, f"more than {request.max_bytes} bytes")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return FetchResponse(status=response.status, headers=headers, body=bytes(body))


def load_aiohttp() -> Any:
    """The module aiohttp.

    Raises:
        CrossauthError: `Configuration`, saying what to install.
    """
    try:
        return import_module("aiohttp")
    except ModuleNotFoundError as e:
        raise _missing() from e


def check_aiohttp(extra: str = "client") -> None:
    """Find out whether aiohttp is there, without the time that it takes to import it.

    Parameters:
        extra: of this package; it installs what is missing.

    Raises:
        CrossauthError: `Configuration`, saying what to install.
    """
    if find_spec("aiohttp") is None:
        raise _missing(extra)


def _missing(extra: str = "client") -> CrossauthError:
    return CrossauthError(
        ErrorCode.Configuration, f"Requests to other servers need aiohttp: install crossauth[{extra}]"
    )

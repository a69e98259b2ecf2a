"""Passing a request on to the API, and its response back, as they come."""

from __future__ import annotations

import asyncio
import logging
from typing import Final
from urllib.parse import quote

from fastapi import Request
from starlette.types import Receive, Scope, Send

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.http_stream import StreamBroken, StreamClient, StreamResponse
from crossauth_fastapi._http.errors import as_reason
from crossauth_fastapi._http.router import route_path
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.answers import error_json
from crossauth_fastapi._oauth_client.bff.access import Access
from crossauth_fastapi._oauth_client.bff.callers import ForeignCheck, check_csrf, check_page
from crossauth_fastapi._oauth_client.bff.headers import ResponseHeaders, challenge_of, request_headers
from crossauth_fastapi._oauth_client.bff.location import rewritten
from crossauth_fastapi._oauth_client.bff.options import Entry, Passage
from crossauth_fastapi._oauth_client.bff.paths import is_plain, is_query, tail_of
from crossauth_fastapi._oauth_client.bff.upload import BrowserLeft, Upload, too_long
from crossauth_fastapi._oauth_client.bff.watch import Ending, Watch

logger = logging.getLogger("crossauth.oauth")
_REDIRECTS: Final = (300, 301, 302, 303, 305, 306, 307, 308)
# The length that it would have (RFC 9110 §8.6), which servers take for the one that it has. And a browser gives what it has kept
# the headers of a 304 (RFC 9111 §4.3.4), though not its type: what may be done with that was said with it.
_LEFT_OUT: Final = {204: (b"content-length",), 304: (b"content-length", b"content-type", b"content-security-policy")}
_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"


class AnswerCutShort(Exception):
    """A response ended before it was complete: so does the one to the browser, and it must not look as if it were complete."""


class Forwarder:
    """What serves one entry of `bff_endpoints`.

    Parameters:
        passage: between this site and the API.
        entry: the entry.
        access: the tokens.
        client: sends the requests.
        foreign: see `check_csrf`.
    """

    def __init__(
        self,
        passage: Passage,
        entry: Entry,
        access: Access,
        client: StreamClient,
        foreign: ForeignCheck | None = None,
    ) -> None:
        self.passage, self.entry, self.access, self.client = passage, entry, access, client
        self.foreign = foreign

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request.

        Raises:
            AnswerCutShort: the API has not completed its response.
        """
        exchange = _Exchange(self, Request(scope), receive, send)
        try:
            await exchange.run()
        except BrowserLeft:
            return
        except CrossauthError as e:
            if exchange.started:
                raise AnswerCutShort(as_reason(e).code_name) from None
            await error_json(as_reason(e))(scope, receive, send)


def target_of(passage: Passage, entry: Entry, scope: Scope) -> str:
    """The URL of the API that a request is for.

    Raises:
        CrossauthError: `BadRequest` for a path or a query that is not passed on.
    """
    tail = tail_of(scope.get("raw_path"), route_path(scope), passage.prefix)
    query: bytes = scope.get("query_string", b"")
    if tail is None or not is_plain(tail) or not entry.path.allows(tail):
        raise CrossauthError(
            ErrorCode.BadRequest,
            "This path is not passed on: it must have no dot segments, no empty ones, and nothing encoded that need not be",
        )
    if not is_query(query):
        raise CrossauthError(ErrorCode.BadRequest, "The query is too long, or has characters that must be encoded")
    return f"{passage.base}{tail}?{query.decode('ascii')}" if query else passage.base + tail


class _Exchange:
    """One request and its response."""

    def __init__(self, forwarder: Forwarder, request: Request, receive: Receive, send: Send) -> None:
        self._passage, self._entry = forwarder.passage, forwarder.entry
        self._access, self._client, self._foreign = forwarder.access, forwarder.client, forwarder.foreign
        self._request, self._receive, self._send = request, receive, send
        self._state = state_of(request)
        header = self._state.site.csrf_header
        self._own: tuple[bytes, ...] = () if header is None else (header,)
        self._url = ""
        self._length: int | None = None
        self._upload: Upload | None = None
        self.started = False

    async def run(self) -> None:
        """Pass the request on, and its response back.

        Raises:
            BrowserLeft: nobody waits for it any more.
            CrossauthError: a refusal.
            AnswerCutShort: as `Forwarder`.
        """
        state = self._state
        # Whatever is answered, it is for this browser.
        state.personal = True
        check_page(state, self._passage.site_url)
        self._url = target_of(self._passage, self._entry, self._request.scope)
        await check_csrf(self._request, state, self._foreign)
        self._upload = self._body()
        token = await self._access.token(self._request)
        watch = Watch(self._receive, self._upload, self._passage.timeout, self._stands)
        try:
            await self._work(token, watch)
        except asyncio.CancelledError:
            if not watch.has_ended():
                raise
            raise self._reason(watch.ending) from None
        finally:
            watch.close()

    def _body(self) -> Upload | None:
        """The body; `None` where there is none. Nothing is read yet, so that a browser that asks first is not told to go on.

        Raises:
            CrossauthError: `BadRequest` (413) where it says of itself that it is too long.
        """
        state, limit = self._state, self._passage.max_body
        if not state.header(b"transfer-encoding"):
            text = state.header(b"content-length")
            self._length = int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else None
            # From HTTP/2 on a body needs no header to be there (RFC 9113 §8.1).
            if text == "0" or (not text and self._request.scope.get("http_version", "1.1") in ("1.0", "1.1")):
                return None
        if limit is not None and self._length is not None and self._length > limit:
            raise too_long(limit)
        return Upload(self._receive, self._length, limit)

    async def _work(self, token: str, watch: Watch) -> None:
        body = await self._upload.begin() if self._upload is not None else None
        response = await self._open(token, body)
        try:
            if response.status == 401 and not isinstance(body, Upload):
                another = await self._access.renewed(self._request, token, challenge_of(response.headers))
                if another is not None:
                    response.close()
                    response = await self._open(another, body)
                    if response.status == 401:
                        self._access.note_refused(another)
            watch.begun()
            await self._answer(response)
        finally:
            response.close()

    async def _open(self, token: str, body: bytes | Upload | None) -> StreamResponse:
        headers = request_headers(self._state.headers, self._own)
        headers.append(("authorization", f"Bearer {token}"))
        if isinstance(body, Upload) and self._length is not None:
            headers.append(("content-length", str(self._length)))
        try:
            return await self._client.send(self._state.method, self._url, headers, body)
        except CrossauthError:
            if self._upload is not None and self._upload.error is not None:
                raise self._upload.error from None
            raise

    async def _answer(self, response: StreamResponse) -> None:
        start = self._start(response)
        try:
            self.started = True
            await self._send({"type": "http.response.start", "status": response.status, "headers": start})
            while True:
                part = await response.read()
                complete = response.is_complete
                await self._send({"type": "http.response.body", "body": part, "more_body": not complete})
                if complete:
                    return
        except StreamBroken as e:
            if self._upload is not None and isinstance(self._upload.error, BrowserLeft):
                raise BrowserLeft from None
            logger.info("the API ended a response before it was complete: %s", e)
            raise AnswerCutShort("the API ended its response before it was complete") from None
        except OSError:
            # What a server of ASGI says where the browser is gone.
            raise BrowserLeft from None

    def _start(self, response: StreamResponse) -> list[tuple[bytes, bytes]]:
        status, headers = response.status, ResponseHeaders(response.headers, self._own)
        if not 200 <= status < 600:
            raise bad_gateway(f"status {status}")
        passed = headers.passed
        left_out = _LEFT_OUT.get(status)
        if left_out is not None:
            passed = [header for header in passed if header[0] not in left_out]
        if headers.location is not None:
            to = self._rewritten(headers.location)
            if to is not None:
                passed.append((b"location", to))
            elif status in _REDIRECTS:
                raise bad_gateway("a redirect to what is not passed on")
        return passed

    def _rewritten(self, location: bytes) -> bytes | None:
        passage = self._passage
        here = quote(self._state.root_path, safe=_PATH_SAFE) + passage.prefix
        return rewritten(location, self._url, passage.base, here, passage.paths)

    async def _stands(self) -> bool:
        return await self._access.stands(self._request)

    def _reason(self, ending: Ending | None) -> Exception:
        if ending is Ending.browser_left:
            return BrowserLeft()
        if ending is Ending.session_ended:
            return CrossauthError(ErrorCode.InvalidSession)
        if self._upload is not None and self._upload.waits_for_browser:
            return CrossauthError(ErrorCode.BadRequest, "The body did not come in time", status=408)
        return CrossauthError(ErrorCode.Connection, "The API did not answer in time", status=504)


def bad_gateway(detail: str) -> CrossauthError:
    """The refusal of a response that is not passed back."""
    return CrossauthError(ErrorCode.FetchError, "The API gave no usable answer", status=502, detail=detail)

"""Asking for the second factor before a request that matters, and making that request once it was given (contract 4.6).

The request is kept in the session, encrypted, and made as it was: same method, same path, same body, once. The code may be posted
to the path itself, or to `factor2` and `api/factor2`; the answer is the one that the request gets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fastapi import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from crossauth_backend.accounts.context import has_factor2
from crossauth_backend.accounts.page_visit import Visit, complete_visit, start_visit, waiting_visit
from crossauth_backend.accounts.pending import VISIT
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_backend.users.stamp import same_stamp
from crossauth_fastapi._http.bodies import JsonOrFormData, bad_request, parse_body, read_limited, replay
from crossauth_fastapi._http.errors import NO_STORE, as_reason, error_json, with_retry_after
from crossauth_fastapi._http.redirects import see_other, with_query
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._session.context import Call, SessionFace
from crossauth_fastapi._session.login import code_of
from crossauth_fastapi._session.source import SAFE_METHODS, cookie_value

PAGES: Final = (
    "requestpasswordreset",
    "updateuser",
    "changepassword",
    "resetpassword",
    "changefactor2",
    "recoverycodes",
)
# After these the request that waits is of no use any more.
_ENDS: Final = (ErrorCode.Expired, ErrorCode.TooManyAttempts, ErrorCode.InvalidSession)


class Factor2Gate:
    """Stands before the protected paths of one session server.

    Parameters:
        face: the session server.
        pages: paths whose answers are pages.
        apis: paths whose answers are JSON.
    """

    def __init__(self, face: SessionFace, pages: Iterable[str], apis: Iterable[str]) -> None:
        self._face = face
        prefix = face.prefix
        self._answers = (f"{prefix}factor2", f"{prefix}api/factor2")
        self._apis = frozenset((*apis, self._answers[1]))
        self.paths = frozenset((*pages, *self._apis, *self._answers))

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Gate`."""
        state: RequestState = scope["state"]
        user: User | None = state["user"]
        if scope["type"] != "http" or user is None or state["auth_type"] != "cookie" or not has_factor2(user):
            await app(scope, receive, send)
            return
        waiting = waiting_visit(self._face.accounts, state["session_key"])
        if scope["method"] in SAFE_METHODS:
            if waiting is not None and scope["path"] not in self._answers:
                await self._forget(state)
            await app(scope, receive, send)
            return
        try:
            found = await self._judge(scope, state, user, waiting, receive)
        except Exception as e:
            found = self._refused(scope, as_reason(e))
        if isinstance(found, Response):
            await found(scope, receive, send)
        else:
            await app(*found, send)

    async def _judge(
        self, scope: Scope, state: RequestState, user: User, waiting: Visit | None, receive: Receive
    ) -> Response | tuple[Scope, Receive]:
        """The answer, or the request that is to be made."""
        path, is_answer = scope["path"], scope["path"] in self._answers
        if is_answer and waiting is None:
            return scope, receive
        if not state["csrf_token"]:
            raise CrossauthError(ErrorCode.InvalidCsrf)
        body, complete = await read_limited(receive)
        if not complete:
            raise bad_request("The body is too large to wait for a second factor", 413)
        again = replay(body, True, receive)
        request = Request(scope, again)
        fields = await parse_body(request, body)
        code = code_of(Call(self._face, request, JsonOrFormData(request, fields), False))
        same = waiting is not None and (waiting.method, waiting.path) == (scope["method"], path)
        if waiting is not None and (is_answer or (same and code)):
            await self._complete(state, user, code, request)
            return _as_it_was(scope, waiting, receive)
        if await self._device_is_known(state, user):
            return scope, again
        visit = Visit(
            scope["method"], path, scope.get("query_string", b"").decode("latin-1"),
            state.header(b"content-type"), body,
        )  # fmt: skip
        await self._face.keep(request, await start_visit(self._face.accounts, user, visit))
        if path in self._apis:
            asked = {"ok": True, "factor2Required": True, "factor2": user.factor2}
            return JSONResponse(asked, headers=NO_STORE)
        return see_other(self._answers[0])

    async def _complete(self, state: RequestState, user: User, code: dict[str, str], request: Request) -> None:
        face = self._face
        try:
            origin = face.origin(request)
            await complete_visit(face.accounts, state["session_key"], user, code, origin)
        except CrossauthError as e:
            if e.code in _ENDS:
                await self._forget(state)
            raise
        await self._forget(state)

    async def _device_is_known(self, state: RequestState, user: User) -> bool:
        face = self._face
        if not face.settings.enable_known_devices:
            return False
        devices, now = face.manager.devices, face.manager.session.clock()
        device = devices.read(cookie_value(state, devices.cookie), now)
        if device is None or not device.knows(user):
            return False
        try:
            key = await face.manager.key_storage.get_key(devices.stored(device.id))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return False
        rests = same_stamp(key.stamp, user.security_stamp)
        return rests and str(key.userid) == str(user.id) and (key.expires is None or key.expires > now)

    async def _forget(self, state: RequestState) -> None:
        await self._face.manager.delete_session_data(state["session_id"], VISIT)

    def _refused(self, scope: Scope, e: CrossauthError) -> Response:
        if scope["path"] in self._apis or e.code in (ErrorCode.InvalidCsrf, ErrorCode.BadRequest):
            return error_json(e)
        return with_retry_after(see_other(with_query(self._answers[0], error=e.code_name)), e)


def _as_it_was(scope: Scope, visit: Visit, receive: Receive) -> tuple[Scope, Receive]:
    """The request that waited, in the name of the one that brought the code."""
    ours = (b"content-type", b"content-length", b"transfer-encoding", b"content-encoding")
    headers: list[tuple[bytes, bytes]] = [(n, v) for n, v in scope["headers"] if n not in ours]
    headers.append((b"content-type", visit.content_type.encode("latin-1")))
    headers.append((b"content-length", str(len(visit.body)).encode("ascii")))
    waited: dict[str, Any] = {
        **scope,
        "method": visit.method,
        "path": visit.path,
        "raw_path": visit.path.encode(),
        "query_string": visit.query.encode("latin-1"),
        "headers": headers,
    }
    return waited, replay(visit.body, True, receive)

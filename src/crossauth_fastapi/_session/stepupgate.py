"""Step-up: asking for the second factor before a request that matters, and making that request once it was given.

The request is held in the session, encrypted, and made as it was: same method, path and body, once. The code may be posted to the
path itself, or to `factor2` and `api/factor2`; the answer is the one that the request gets. The guards stand before routes, not
before URLs, see `_middleware.protection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from crossauth_backend.accounts.challenge import is_setup_pending
from crossauth_backend.accounts.context import has_factor2
from crossauth_backend.accounts.held_request import (
    HeldRequest,
    complete_held_request,
    hold_request,
    newest_held_request,
    send_code,
    waiting_request,
)
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_backend.users.stamp import same_stamp
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._http.bodies import JsonOrFormData, bad_request, parse_body, read_limited
from crossauth_fastapi._http.errors import NO_STORE, as_reason, error_json, with_retry_after
from crossauth_fastapi._http.redirects import see_other, with_query
from crossauth_fastapi._http.replay import replay
from crossauth_fastapi._middleware.decision import csrf_refusal
from crossauth_fastapi._middleware.state import SAFE_METHODS, RequestState
from crossauth_fastapi._session.bodies import Factor2Body
from crossauth_fastapi._session.claims import claim_of, new_claim
from crossauth_fastapi._session.context import SessionContext, code_of
from crossauth_fastapi._session.factorpages import unreachable_text

# After these the request that waits is of no use any more.
_ENDS: Final = (ErrorCode.Expired, ErrorCode.TooManyAttempts, ErrorCode.InvalidSession)
_ROUTING: Final = ("endpoint", "fastapi", "path_params", "route", "router")
_UNSUPPORTED_TYPE: Final = 415
_Made = tuple[Scope, Receive]


@dataclass(frozen=True, slots=True)
class StepUpGate:
    """Asks for the second factor before one route.

    Parameters:
        ctx: the session server.
        json: whether it answers as JSON; otherwise by sending the browser to the page that asks.
        begins: whether only beginning something is asked about, and not going on with what waits in the session.
    """

    ctx: SessionContext
    json: bool
    begins: bool = False

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Guard`."""
        state = _state(scope)
        user = _asked(self.ctx, state)
        if user is None or state.factor2_given or self._goes_on(state):
            await app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": "Second factor required"})
            return
        try:
            judge = self._looked if scope["method"] in SAFE_METHODS else self._changed
            found = await judge(scope, state, user, receive)
        except Exception as e:
            found = _refused(self.ctx, state, as_reason(e), self.json)
        if isinstance(found, Response):
            await found(scope, receive, send)
        else:
            await app(*found, send)

    def _goes_on(self, state: RequestState) -> bool:
        return self.begins and is_setup_pending(state["session_key"], self.ctx.accounts.ring, self.ctx.accounts.now)

    async def _looked(self, scope: Scope, state: RequestState, user: User, receive: Receive) -> Response | _Made:
        """A request that only looks: it waits, but sends nothing and takes the place of nothing that changes something."""
        if await _device_is_known(self.ctx, state, user):
            return scope, receive
        if scope["method"] == "GET":
            await _hold(self.ctx, Request(scope), user, _visit(scope, state, b""))
        return self._ask(state, user)

    async def _changed(self, scope: Scope, state: RequestState, user: User, receive: Receive) -> Response | _Made:
        """The answer, or the request that is to be made."""
        ctx = self.ctx
        request, body, code = await _read(ctx, scope, state, receive)
        visit = _visit(scope, state, body)
        claim = claim_of(ctx, state, visit.slot)
        waiting = waiting_request(ctx.accounts, state["session_key"], visit.slot, claim)
        if waiting is not None and code and (waiting.method, waiting.path) == (visit.method, visit.path):
            await _complete(ctx, state, user, code, request, waiting)
            return _as_it_was(scope, waiting), replay(waiting.body, True, receive)
        if await _device_is_known(ctx, state, user):
            return scope, replay(body, True, receive)
        await _hold(ctx, request, user, visit)
        return self._ask(state, user)

    def _ask(self, state: RequestState, user: User) -> Response:
        return _ask(self.ctx, state, user, self.json)


@dataclass(frozen=True, slots=True)
class AnswerGuard:
    """Stands before `factor2` and `api/factor2`, which take the code of a request that waits and answer as that request does.

    Parameters:
        ctx: the session server.
        router: what serves the application's routes.
        json: whether it answers as JSON.
    """

    ctx: SessionContext
    router: ASGIApp
    json: bool

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Guard`."""
        state = _state(scope)
        user = _asked(self.ctx, state)
        waiting = (
            None
            if user is None
            else newest_held_request(self.ctx.accounts, state["session_key"], partial(claim_of, self.ctx, state))
        )
        if user is None or waiting is None or state.factor2_given:
            await app(scope, receive, send)
            return
        try:
            request, _, code = await _read(self.ctx, scope, state, receive)
            found = await self._answer(scope, state, user, code, request, waiting)
        except Exception as e:
            found = _refused(self.ctx, state, as_reason(e), self.json)
        if isinstance(found, Response):
            await found(scope, receive, send)
        else:
            await self.router(found, replay(waiting.body, True, receive), send)

    async def _answer(
        self,
        scope: Scope,
        state: RequestState,
        user: User,
        code: dict[str, str],
        request: Request,
        waiting: HeldRequest,
    ) -> Response | Scope:
        if waiting.unsent and not code:
            data = await send_code(self.ctx.accounts, state["session_key"], user, waiting)
            await self.ctx.keep(request, data)
            return _ask(self.ctx, state, user, self.json)
        await _complete(self.ctx, state, user, code, request, waiting)
        return _to_where_it_went(scope, waiting, state)


def _state(scope: Scope) -> RequestState:
    state = scope.get("state")
    if not isinstance(state, RequestState):
        raise CrossauthError(ErrorCode.Configuration, detail="a middleware replaced the state of the request")
    return state


def _asked(ctx: SessionContext, state: RequestState) -> User | None:
    """The user who is to be asked: logged in by cookie, with a second factor."""
    user: User | None = state["user"]
    return user if user is not None and state["auth_type"] == "cookie" and has_factor2(user) else None


async def _read(
    ctx: SessionContext, scope: Scope, state: RequestState, receive: Receive
) -> tuple[Request, bytes, dict[str, str]]:
    """The request with its body read, and the code in it.

    Raises:
        CrossauthError: `InvalidCsrf`; `BadRequest` for a body that is broken, or too large to be held.
    """
    if not state["csrf_token"]:
        raise csrf_refusal(state)
    body, complete = await read_limited(receive)
    if not complete:
        raise bad_request("The body is too large to wait for a second factor", 413)
    request = Request(scope, replay(body, True, receive))
    try:
        fields = await parse_body(request, body)
    except CrossauthError as e:
        if e.http_status != _UNSUPPORTED_TYPE:
            raise
        # An application's own format holds no code, and is none of our business.
        fields = {}
    call: ActionRequest[SessionContext, Any] = ActionRequest(
        ctx, request, JsonOrFormData(request, fields), False, Factor2Body
    )
    return request, body, code_of(call)


def _visit(scope: Scope, state: RequestState, body: bytes) -> HeldRequest:
    path, root = scope["path"], state.root_path
    below = root and (path == root or path.startswith(f"{root}/"))
    return HeldRequest(
        scope["method"], path[len(root) :] if below else path, scope.get("query_string", b"").decode("latin-1"),
        state.header(b"content-type"), body, scope.get("raw_path", b"").decode("latin-1"), root, bool(root) and not below,
    )  # fmt: skip


async def _hold(ctx: SessionContext, request: Request, user: User, visit: HeldRequest) -> None:
    claim = new_claim(ctx, _state(request.scope), visit.slot)
    await ctx.keep(request, await hold_request(ctx.accounts, user, visit, claim))


async def _complete(
    ctx: SessionContext, state: RequestState, user: User, code: dict[str, str], request: Request, waiting: HeldRequest
) -> None:
    """Check the code; from then on this request is one for which the second factor was given."""
    forget = (state["session_id"], waiting.slot)
    try:
        origin = ctx.origin(request)
        await complete_held_request(ctx.accounts, state["session_key"], user, code, origin, waiting.slot)
    except CrossauthError as e:
        if e.code in _ENDS:
            await ctx.manager.delete_session_data(*forget)
        raise
    await ctx.manager.delete_session_data(*forget)
    state.factor2_given = True


async def _device_is_known(ctx: SessionContext, state: RequestState, user: User) -> bool:
    if not ctx.settings.enable_known_devices:
        return False
    devices, now = ctx.manager.devices, ctx.manager.session.clock()
    device = devices.read(state.signed_value(devices.cookie), now)
    if device is None or not device.knows(user):
        return False
    key = await ctx.manager.key_storage.find_key(devices.stored(device.id))
    if key is None or not same_stamp(key.stamp, user.security_stamp):
        return False
    return str(key.userid) == str(user.id) and (key.expires is None or key.expires > now)


def _ask(ctx: SessionContext, state: RequestState, user: User, json: bool) -> Response:
    if json:
        unsent = unreachable_text(ctx, user)
        told = {} if unsent is None else {"message": unsent}
        return JSONResponse({"ok": True, "factor2Required": True, "factor2": user.factor2, **told}, headers=NO_STORE)
    answer = see_other(state.url(f"{ctx.prefix}factor2"))
    answer.headers["Cache-Control"] = NO_STORE["Cache-Control"]
    return answer


def _refused(ctx: SessionContext, state: RequestState, e: CrossauthError, json: bool) -> Response:
    if json or e.code in (ErrorCode.InvalidCsrf, ErrorCode.BadRequest):
        return error_json(e)
    return with_retry_after(see_other(with_query(state.url(f"{ctx.prefix}factor2"), error=e.code_name)), e)


def _as_it_was(scope: Scope, visit: HeldRequest) -> Scope:
    """The request that waited, in the name of the one that brought the code to the same route."""
    ours = (b"content-type", b"content-length", b"transfer-encoding", b"content-encoding")
    headers: list[tuple[bytes, bytes]] = [(n, v) for n, v in scope["headers"] if n not in ours]
    if visit.content_type:
        headers.append((b"content-type", visit.content_type.encode("latin-1")))
    if visit.method not in SAFE_METHODS:
        headers.append((b"content-length", str(len(visit.body)).encode("ascii")))
    return {**scope, "method": visit.method, "query_string": visit.query.encode("latin-1"), "headers": headers}


def _to_where_it_went(scope: Scope, visit: HeldRequest, state: RequestState) -> Scope:
    """The request that waited, for the router of the application: routed anew, from where the application is mounted now."""
    found: dict[str, Any] = {n: v for n, v in _as_it_was(scope, visit).items() if n not in _ROUTING}
    path = visit.path if visit.bare and state.root_path == visit.root_path else state.root_path + visit.path
    same_place = visit.raw_path and state.root_path == visit.root_path
    raw = visit.raw_path if same_place else quote(path)
    return {
        **found, "path": path, "raw_path": raw.encode("latin-1"),
        # What the mount of this application has read from the path; the routes that take a code have no parameters.
        "path_params": dict(scope.get("path_params") or {}),
    }  # fmt: skip

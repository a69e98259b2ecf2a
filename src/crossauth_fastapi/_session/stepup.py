"""Which routes ask for the second factor again: those of actions that say so, and those that the application lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._actions.action import OPTIONAL_TOKEN, Action, StepUp
from crossauth_fastapi._actions.jsonviews import JsonSubmission, JsonView
from crossauth_fastapi._actions.routes import Endpoint, Submission, action_paths, endpoint_of
from crossauth_fastapi._middleware.protection import Target, read_entry, resolve, wrap
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.stepupcode import FACTOR2_CODE
from crossauth_fastapi._session.stepupgate import AnswerGuard, StepUpGate

PAGES_OPTION: Final = "factor2_protected_page_endpoints"
APIS_OPTION: Final = "factor2_protected_api_endpoints"
_READS: Final = ("GET", "HEAD")


def check_step_up(ctx: SessionContext) -> None:
    """Refuse lists of paths that cannot be read, or that nobody can be asked for.

    Raises:
        CrossauthError: `Configuration`.
    """
    for option in (PAGES_OPTION, APIS_OPTION):
        entries: list[str] | None = getattr(ctx.settings, option)
        if entries and not _has_factors(ctx):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"FastApiSessionServer: option {option!r} protects nothing without second factors; see 'allowed_factor2'",
            )
        for text in entries or ():
            read_entry(text, option)


def install_step_up(app: FastAPI, own: Sequence[BaseRoute], ctx: SessionContext) -> None:
    """Put the guards before the routes, once they are all there.

    Parameters:
        app: the application.
        own: the routes of the session server.
        ctx: the session server.

    Raises:
        CrossauthError: `Configuration` for an entry that means no route.
    """
    if not _has_factors(ctx):
        return
    served = _served(app)
    guarded: dict[int, tuple[Target, bool]] = {}
    # A route that both lists mean answers as JSON.
    for option, json in ((PAGES_OPTION, False), (APIS_OPTION, True)):
        entries: list[str] | None = getattr(ctx.settings, option)
        if entries is None:
            targets = [t for t, endpoint in served if _is_json(endpoint) is json and _asks(endpoint)]
        else:
            targets = _by_list(app, own, ctx, entries, option)
        guarded |= {id(target.served): (target, json) for target in targets}
    for target, json in guarded.values():
        endpoint = endpoint_of(target.route)
        if endpoint is not None:
            ctx.gated.add(getattr(target.route, "name", ""))
        wrap(target, StepUpGate(ctx, json, endpoint is not None and endpoint.action.step_up is StepUp.BEGIN))
    for target, endpoint in served:
        if endpoint.action is FACTOR2_CODE and isinstance(endpoint, Submission):
            wrap(target, AnswerGuard(ctx, app.router, _is_json(endpoint)))


def protected_names(json: bool, actions: Iterable[Action[Any, Any]] = ACTIONS) -> list[str]:
    """The paths that ask by default, as the option would list them without prefixes of its own.

    Parameters:
        json: whether those of the JSON endpoints, instead of the pages.
        actions: the actions of a server.
    """
    asking = [action for action in actions if action.step_up is not StepUp.NEVER]
    return [f"/{action.api_endpoint if json else action.page_endpoint}{_parameter(action)}" for action in asking]


def _parameter(action: Action[Any, Any]) -> str:
    # One whose token may also be a field is at the path without it, too.
    return f"/{action.parameter}" if action.parameter not in ("", OPTIONAL_TOKEN) else ""


def _has_factors(ctx: SessionContext) -> bool:
    return ctx.manager.user_storage is not None and bool(ctx.accounts.allowed_factor2)


def _served(app: FastAPI) -> list[tuple[Target, Endpoint]]:
    """Every route of an action, whichever server of ours has it."""
    routes = [context.original_route for context in iter_route_contexts(app.router.routes)]
    found = [(route, endpoint_of(route)) for route in routes]
    return [(Target(getattr(r, "path", ""), r, r), e) for r, e in found if e is not None]


def _asks(endpoint: Endpoint | None) -> bool:
    """Whether a route asks where no list of the application's says otherwise."""
    if isinstance(endpoint, JsonView):
        return endpoint.action.step_up is StepUp.READ_AND_SUBMIT
    return isinstance(endpoint, Submission) and endpoint.action.step_up is not StepUp.NEVER


def _is_json(endpoint: Endpoint) -> bool:
    return isinstance(endpoint, JsonSubmission | JsonView)


def _is_own(target: Target, own: Iterable[BaseRoute]) -> bool:
    return endpoint_of(target.route) is not None or any(route is target.route for route in own)


def _by_list(
    app: FastAPI, own: Sequence[BaseRoute], ctx: SessionContext, entries: Iterable[str], option: str
) -> list[Target]:
    found: list[Target] = []
    for text in entries:
        entry = read_entry(text, option)
        entry = replace(entry, path=_whole_path(ctx, entry.path))
        try:
            targets = resolve(app.router.routes, entry, ctx.prefix, option)
        except CrossauthError:
            if _is_switched_off(ctx, entry.path):
                continue
            raise
        ours = [target for target in targets if _is_own(target, own)]
        sent = [target for target in ours if not _only_reads(target) or _asks(endpoint_of(target.route))]
        if any(target.websocket for target in targets):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"Option {option!r}: {text!r} is a WebSocket, which cannot ask for a second factor; name a method "
                "before the path to protect its other routes",
            )
        # A page of ours that only shows a form is no danger; what the form sends is.
        left = targets if entry.method or not sent else [t for t in targets if t not in ours or t in sent]
        found += [replace(t, served=t.route) if _is_own(t, own) else t for t in left]
    return found


def _whole_path(ctx: SessionContext, path: str) -> str:
    """The path of an action of ours, where it was named without the parameter at its end, as in `/admin/updateuser`."""
    known = [path for action in ACTIONS for api in ("", "api/") for path in action_paths(ctx, action, api)]
    plain = {whole.partition("/{")[0]: whole for whole in known if "/{" in whole}
    found = plain.get(path) or plain.get(ctx.prefix + path.lstrip("/"))
    # One whose token may also be a field is at the path without it, too.
    return path if found is None or found.partition("/{")[0] in known else found


def _only_reads(target: Target) -> bool:
    return all(method in _READS for method in target.offered or ())


def _is_switched_off(ctx: SessionContext, path: str) -> bool:
    """Whether this is the path of an endpoint of ours that is not there: nothing can be done at it, so nothing is to be asked."""
    known = {path for action in ACTIONS for api in ("", "api/") for path in action_paths(ctx, action, api)}
    plain = {known_path.partition("/{")[0] for known_path in known}
    return path in known | plain or ctx.prefix + path.lstrip("/") in known | plain

"""Calling an application's own functions: the one place where a hook is run. Listeners, who answer nothing: see `events`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import loggable

logger = logging.getLogger("crossauth.hooks")


async def call_hook(hook: Callable[..., Any], *args: Any) -> Any:
    """Call `hook`, plain or `async`, and return its result.

    Every hook goes through here, so none can be left as a coroutine that is never run (and is always true).

    Raises:
        Exception: whatever the hook raises.
    """
    result = hook(*args)
    return await result if inspect.isawaitable(result) else result


async def decide(name: str, hook: Callable[..., Any], *args: Any) -> bool:
    """Ask a hook that decides. Anything but `True` or `False` refuses the request.

    Parameters:
        name: the option that holds the hook, for the error message.
        hook: plain or `async`; returns a `bool`, or raises to refuse.
        args: what it decides about.

    Raises:
        CrossauthError: `Configuration` where the hook returns anything but a `bool`.
        Exception: whatever the hook raises.
    """
    result = await call_hook(hook, *args)
    if not isinstance(result, bool):
        raise CrossauthError(
            ErrorCode.Configuration, detail=f"{name} must return True or False, not {type(result).__name__}"
        )
    return result


def decide_now(name: str, hook: Callable[..., Any], *args: Any, otherwise: bool = False) -> bool:
    """As `decide`, where nothing can be awaited.

    Parameters:
        name: the option that holds the hook, for the log.
        hook: plain; returns a `bool`.
        args: what it decides about.
        otherwise: the answer of one that is `async`, raises, or returns no `bool`: the one that lets nobody do more.
    """
    try:
        result = hook(*args)
    except Exception as e:
        logger.exception("%s failed", name, exc_info=loggable(e))
        return otherwise
    _discard(result)
    return result if isinstance(result, bool) else otherwise


async def problems_of(hook: Callable[..., Any], *args: Any) -> list[str]:
    """What a hook that validates finds wrong, as a list of texts; one that returns nothing finds nothing wrong.

    Raises:
        CrossauthError: `Configuration` where it returns anything but a text, a list of texts or `None`: `True` could mean
            that all is well, or that something is wrong.
        Exception: whatever the hook raises.
    """
    found = await call_hook(hook, *args)
    if isinstance(found, str):
        return [found] if found else []
    if found is None:
        return []
    if not isinstance(found, (list, tuple)) or not all(isinstance(text, str) for text in found):
        name = getattr(hook, "__qualname__", type(hook).__name__)
        raise CrossauthError(
            ErrorCode.Configuration,
            detail=f"{name} must return a list of texts, one for each thing that is wrong, or None, not {found!r:.80}",
        )
    return list(found)


def start_hook(hook: Callable[..., Any], *args: Any) -> Any:
    """Call `hook` from a method that is not `async`; what it returns may have to be awaited, by `call_hook` of that method."""
    return hook(*args)


def plain_result(name: str, kinds: tuple[type, ...], function: Callable[..., Any], *args: Any) -> Any:
    """Call a plain function whose result is used as it is; a coroutine would be true.

    Parameters:
        name: what the function is, for the message.
        kinds: the types that it may return.
        function: the function.
        args: its arguments.

    Raises:
        CrossauthError: `Configuration` where it returns anything else, or something that would have to be awaited.
        Exception: whatever it raises.
    """
    result = function(*args)
    if isinstance(result, kinds):
        return result
    _discard(result)
    expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
    raise CrossauthError(ErrorCode.Configuration, detail=f"{name} must return {expected}, not {type(result).__name__}")


def _discard(result: Any) -> None:
    """Drop what a function returned; a coroutine that nobody awaits would warn, a task would go on."""
    if inspect.iscoroutine(result):
        result.close()
    elif isinstance(result, asyncio.Future):
        result.cancel()


def must_be_plain(name: str, function: Callable[..., Any]) -> None:
    """Refuse to start with an `async` function where nothing can await it.

    Parameters:
        name: what the function is, for the message.
        function: the function.

    Raises:
        CrossauthError: `Configuration`.
    """
    if inspect.iscoroutinefunction(function):
        raise CrossauthError(ErrorCode.Configuration, f"{name} must be a plain function, not an async one")

"""Calling an application's own functions: the one place where a hook is run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode


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

"""What kind of strategy a backend has, found out before anybody logs in."""

from __future__ import annotations

import inspect
import logging
import typing
from typing import Any

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend

logger = logging.getLogger("crossauth.fastapi_users")


def strategy_of(backend: AuthenticationBackend[Any, Any]) -> Any | None:
    """A backend's strategy where it can be made without a request, else the class that its dependency says to return.

    `None` where neither is known: then the first login finds out.

    Raises:
        CrossauthError: `Configuration`, of a strategy that cannot be made as it is.
    """
    get_strategy = backend.get_strategy
    if not inspect.isfunction(get_strategy) or inspect.signature(get_strategy).parameters:
        return _returned(get_strategy)
    try:
        made = get_strategy()
    except CrossauthError:
        raise
    except Exception as e:
        # It may need what the application has only once it has started.
        logger.debug("the strategy of %s cannot be tried yet: %s", backend.name, type(e).__name__)
        return _returned(get_strategy)
    if inspect.iscoroutine(made):
        made.close()
    return made if hasattr(made, "read_token") else _returned(get_strategy)


def _returned(get_strategy: Any) -> type[Any] | None:
    """The class of strategies in the annotation of what a dependency returns or yields."""
    try:
        hint = typing.get_type_hints(get_strategy).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    while hint is not None:
        kind = typing.get_origin(hint) or hint
        if isinstance(kind, type) and hasattr(kind, "read_token"):
            return None if getattr(kind, "_is_protocol", False) else kind
        inner = typing.get_args(hint)
        hint = inner[0] if inner else None
    return None

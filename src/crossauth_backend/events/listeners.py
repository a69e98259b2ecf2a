"""Telling listeners, and the listeners that come with the library."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import loggable
from crossauth_backend.events.record import Event, EventListener, EventName
from crossauth_backend.users.record import User

logger = logging.getLogger("crossauth.events")
_hooks = logging.getLogger("crossauth.hooks")
# Only weak references to tasks are kept by the event loop.
_running: Final[set[asyncio.Task[None]]] = set()
_WARNINGS: Final = (
    EventName.login_failed,
    EventName.factor2_failed,
    EventName.attempts_limited,
    EventName.mail_failed,
    EventName.api_key_refused,
    EventName.token_refused,
    EventName.token_replayed,
)


class LoggingListener:
    """Writes every event to the logger `crossauth.events`: failures as warnings, the rest as information."""

    def on_event(self, event: Event) -> None:
        """Write it."""
        level = logging.WARNING if event.name in _WARNINGS else logging.INFO
        names = ("userid", "actor", "client", "address", "reason")
        fields = {name: getattr(event, name) for name in names}
        text = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
        logger.log(level, "%s %s", event.name.value, text, extra={"crossauth_event": event})


class Events:
    """Hands each event to every listener.

    Parameters:
        listeners: who wants to know.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration` where one of them has no method `on_event`.
    """

    def __init__(self, listeners: Iterable[Any] = (), clock: Clock = utc_now) -> None:
        self.listeners: list[EventListener] = list(listeners)
        for listener in self.listeners:
            if not isinstance(listener, EventListener):
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"Option 'event_listeners': {type(listener).__name__} has no method 'on_event'",
                )
        self._clock = clock

    def emit(
        self, name: EventName, user: User | None = None, *, address: str = "", reason: str = "",
        actor: User | None = None, client: str | None = None,
    ) -> None:  # fmt: skip
        """Something happened to the account of `user`; see `Event` for the parameters."""
        event = Event(
            name=name, at=self._clock(), address=address, reason=reason,
            userid=user.id if user else None, username=user.username if user else None,
            actor=actor.id if actor else None, client=client,
        )  # fmt: skip
        for listener in self.listeners:
            notify(name.value, listener.on_event, event)


def notify(what: str, hook: Callable[..., Any], *args: Any) -> None:
    """Call a hook that is only informed. What it raises is logged and goes no further; an `async` one runs in the background.

    Parameters:
        what: what it is told of, for the log.
        hook: plain or `async`.
        args: what it is told.
    """
    try:
        result = hook(*args)
        if inspect.isawaitable(result):
            task = asyncio.get_running_loop().create_task(_finish(what, result))
            _running.add(task)
            task.add_done_callback(_running.discard)
    except Exception as e:
        _hooks.exception("a listener failed at %s", what, exc_info=loggable(e))


async def _finish(what: str, result: Any) -> None:
    try:
        await result
    except Exception as e:
        _hooks.exception("a listener failed at %s", what, exc_info=loggable(e))

"""What `FastAPIUsers` is told besides its backends, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crossauth_backend.core.options import option, read_options
from crossauth_backend.events.record import EventListener
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.sessionmanager import SessionManager

COMPONENT: Final = "FastAPIUsers"


@dataclass(frozen=True, slots=True, kw_only=True)
class FastAPIUsersSettings:
    """The arguments of `FastAPIUsers` that are given by name."""

    session_manager: SessionManager | None = option(
        None, doc="That of a session server whose users these are, with its limits, events and second factors."
    )
    key_storage: KeyStorage | None = option(
        None,
        doc="Where attempts are counted and refresh tokens are kept. Without one every process counts for itself.",
        shown="memory",
    )
    attempt_limits: dict[str, Any] | None = option(
        None,
        doc="Changes to the limits of attempts: `{name: (attempts, seconds)}`, or `None` to switch one off.",
    )
    event_listeners: list[EventListener] = option(
        [], kind="list of objects with a method `on_event`", doc="Told of every security event, see `EventListener`."
    )
    trusted_proxies: list[str] = option([], doc="Addresses or networks of proxies whose `X-Forwarded-For` is believed.")
    site_url: str | None = option(
        None,
        not_empty=True,
        doc="Where browsers find the site, such as `https://example.com`; for the URLs that providers send users back to.",
    )


def read_core_options(**given: Any) -> FastAPIUsersSettings:
    """The arguments, parsed.

    Raises:
        CrossauthError: `Configuration`, naming every wrong type with what was expected, and what has no effect.
    """
    many = {name: _as_list(given[name]) for name in ("event_listeners", "trusted_proxies")}
    return read_options(FastAPIUsersSettings, {**given, **many}, component=COMPONENT)


def _as_list(value: Any) -> Any:
    """Anything that can be gone through as a list; a text, which is one thing, as it is."""
    is_many = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    return list(value) if is_many else value

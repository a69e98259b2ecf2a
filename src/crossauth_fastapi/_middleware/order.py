"""Attaching the middleware to an application: once, with the sources in their declared order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._middleware.authentication import AuthenticationMiddleware, Source
from crossauth_fastapi._middleware.protection import SOURCES_ATTRIBUTE, Protections
from crossauth_fastapi._middleware.refusals import refuse

# Who is asked first. A request that carries several credentials is judged by the first that applies.
SOURCE_ORDER: Final = ("session", "bearer", "api_key", "id_token")


class Sources(list[Source]):
    """The sources of one application, sorted by `SOURCE_ORDER`."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self.protections = Protections()

    def register(self, name: str, source: Source) -> None:
        """Add a source.

        Raises:
            CrossauthError: `Configuration` where the application has one of this name already.
        """
        if name in self._names:
            raise CrossauthError(ErrorCode.Configuration, f"This application already has a {name} server")
        place = sum(1 for n in self._names if SOURCE_ORDER.index(n) < SOURCE_ORDER.index(name))
        self._names.insert(place, name)
        self.insert(place, source)


def attach_source(
    app: FastAPI,
    name: str,
    source: Source,
    site_is_local: bool | None = None,
    protect: Callable[[], None] | None = None,
) -> Protections:
    """Let `source` take part in finding out who is asking `app`.

    Parameters:
        app: the application.
        name: which of `SOURCE_ORDER` it is.
        source: the source.
        site_is_local: see `AuthenticationMiddleware`.
        protect: puts guards before routes; called once, when the routes are there.

    Returns:
        What is to be put before routes, to be done when the application starts.

    Raises:
        CrossauthError: `Configuration` where the application has started, or has such a source already.
    """
    sources: Sources | None = getattr(app.state, SOURCES_ATTRIBUTE, None)
    if sources is None:
        sources = Sources()
        try:
            app.add_middleware(
                AuthenticationMiddleware, sources=sources, protections=sources.protections, site_is_local=site_is_local
            )
        except RuntimeError as e:
            raise CrossauthError(ErrorCode.Configuration, "Create the server before the application starts") from e
        setattr(app.state, SOURCES_ATTRIBUTE, sources)
        app.add_exception_handler(CrossauthError, refuse)
    sources.register(name, source)
    if protect is not None:
        sources.protections.add(protect)
    return sources.protections

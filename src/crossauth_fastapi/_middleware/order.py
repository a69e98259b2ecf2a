"""Attaching the middleware to an application: once, with the sources in their declared order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fastapi import FastAPI

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.address import Network
from crossauth_fastapi._middleware.authentication import AuthenticationMiddleware, Gate, Source
from crossauth_fastapi._middleware.refusals import refuse

# Who is asked first. A request that carries several credentials is judged by the first that applies.
SOURCE_ORDER: Final = ("session", "bearer", "api_key", "id_token")
_ATTRIBUTE: Final = "crossauth_sources"


class Sources(list[Source]):
    """The sources of one application, sorted by `SOURCE_ORDER`."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self.gates: dict[str, Gate] = {}

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
    gates: Mapping[str, Gate] | None = None,
    proxies: Sequence[Network] = (),
) -> None:
    """Let `source` take part in finding out who is asking `app`, and put `gates` before paths.

    Raises:
        CrossauthError: `Configuration` where the application has started, or has such a source already.
    """
    sources: Sources | None = getattr(app.state, _ATTRIBUTE, None)
    if sources is None:
        sources = Sources()
        try:
            app.add_middleware(
                AuthenticationMiddleware, sources=sources, gates=sources.gates, site_is_local=site_is_local,
                proxies=proxies,
            )  # fmt: skip
        except RuntimeError as e:
            raise CrossauthError(ErrorCode.Configuration, "Create the server before the application starts") from e
        setattr(app.state, _ATTRIBUTE, sources)
        app.add_exception_handler(CrossauthError, refuse)
    sources.register(name, source)
    sources.gates.update(gates or {})

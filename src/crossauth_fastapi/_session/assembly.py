"""From options to a session server's parts; everything that can be wrong with them is found here, at start-up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request

from crossauth_backend.accounts.fit import check_storages
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option_names, read_options
from crossauth_backend.core.text import with_slashes
from crossauth_backend.delivery.outbox import Outbox
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.keys.storage import KeyStorage, SupportsLifecycle
from crossauth_backend.sessionmanager import SessionManager, SessionManagerSettings
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._http.address import read_proxies
from crossauth_fastapi._middleware.authentication import Gate
from crossauth_fastapi._middleware.order import attach_source
from crossauth_fastapi._middleware.state import Site, state_of
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._session.context import SessionFace
from crossauth_fastapi._session.endpoints import Switches, enabled_endpoints
from crossauth_fastapi._session.gate import PAGES, Factor2Gate
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi._session.outbox import check_outbox
from crossauth_fastapi._session.pagevariables import page_variables
from crossauth_fastapi._session.routes import ACTIONS
from crossauth_fastapi._session.source import SessionSource

COMPONENT = "FastApiSessionServer"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def build_face(
    key_storage: KeyStorage, authenticators: Mapping[str, Authenticator], options: Mapping[str, Any]
) -> SessionFace:
    """The parts of a session server.

    Raises:
        CrossauthError: `Configuration` or `NotImplemented`, saying what to change.
    """
    if not isinstance(key_storage, KeyStorage):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: key_storage must be a KeyStorage, not {type(key_storage).__name__}",
        )
    settings = read_options(SessionServerSettings, options, component=COMPONENT)
    if settings.enable_oauth_client_management:
        raise CrossauthError(
            ErrorCode.NotImplemented, "Option 'enable_oauth_client_management' is not available in this version"
        )
    _check_columns(key_storage, settings)
    own = option_names(SessionManagerSettings)
    manager = SessionManager(key_storage, authenticators, {n: v for n, v in options.items() if n in own})
    endpoints = _checked_endpoints(settings, manager)
    _check_factors(settings, manager)
    prefix, admin_prefix = with_slashes(settings.prefix), with_slashes(settings.admin_prefix)
    site = Site(
        csrf_header=manager.csrf_header_name.lower().encode("latin-1"),
        login_url=f"{prefix}login" if "login" in endpoints else None,
        is_admin=settings.is_admin_fn,
    )
    source = SessionSource(manager, site, settings.validate_session)

    def common(request: Request) -> dict[str, Any]:
        state = state_of(request)
        shared = page_variables(state, prefix, endpoints, source)
        own = {"adminPrefix": state.url(admin_prefix), "haveOutbox": isinstance(settings.mailer, Outbox)}
        return {**shared, **own, "haveAudit": manager.audit is not None}

    pages = Pages(settings.template_dir, common)
    _check_templates(pages, settings, endpoints)
    face = SessionFace(
        settings=settings,
        manager=manager,
        source=source,
        pages=pages,
        endpoints=endpoints,
        prefix=prefix,
        admin_prefix=admin_prefix,
        proxies=read_proxies(settings.trusted_proxies),
        local_site=site_is_local(settings),
    )
    check_outbox(face)
    return face


def attach(app: FastAPI, face: SessionFace) -> None:
    """Let the session server of `face` find out who is asking `app`, and open and close its storages with it."""
    attach_source(app, "session", face.source, face.local_site, factor2_gates(face))
    attach_lifecycle(app, face.manager.parts())


def factor2_gates(face: SessionFace) -> dict[str, Gate]:
    """What stands before the paths that ask for the second factor; nothing where there are no second factors."""
    if face.manager.user_storage is None or not face.accounts.allowed_factor2:
        return {}
    pages, apis = (face.settings.factor2_protected_page_endpoints, face.settings.factor2_protected_api_endpoints)
    page_paths = PAGES if pages is None else pages
    api_paths = [f"api/{name}" for name in PAGES] if apis is None else apis
    gate = Factor2Gate(
        face, (face.prefix + p.lstrip("/") for p in page_paths), (face.prefix + p.lstrip("/") for p in api_paths)
    )
    return dict.fromkeys(gate.paths, gate)


def site_is_local(settings: SessionServerSettings) -> bool | None:
    """Whether the site is on http://localhost, as `site_url` says; `None` where it is not set.

    Raises:
        CrossauthError: `Configuration` for a `site_url` that is no URL, or is plain http elsewhere without `secure: False`.
    """
    if settings.site_url is None:
        return None
    url = urlsplit(settings.site_url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise CrossauthError(
            ErrorCode.Configuration, f"{COMPONENT}: option 'site_url' must be like https://example.com"
        )
    if url.scheme == "https":
        return False
    if url.hostname in _LOCAL or url.hostname.endswith(".localhost"):
        return True
    if settings.session_cookie_options.get("secure") is not False:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: option 'site_url' is plain http, so anybody on the way can read the session cookie. Use https, "
            "or say session_cookie_options={'secure': False} and double_submit_cookie_options={'secure': False}",
        )
    return False


def _checked_endpoints(settings: SessionServerSettings, manager: SessionManager) -> frozenset[str]:
    on = Switches(
        admin=settings.enable_admin_endpoints,
        factor2=any(name != NO_FACTOR2 for name in manager.allowed_factor2),
        verify=settings.enable_email_verification,
        reset=settings.enable_password_reset,
    )
    endpoints = enabled_endpoints(settings.endpoints, on)
    if manager.user_storage is not None:
        return endpoints
    if settings.endpoints is None:
        return frozenset({"api/getcsrftoken"})
    needing = sorted(endpoints - {"api/getcsrftoken"})
    if needing:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: option 'user_storage' is required for {', '.join(needing)}",
        )
    return endpoints


def _check_columns(key_storage: KeyStorage, settings: SessionServerSettings) -> None:
    if settings.user_storage is not None:
        asks = settings.enable_admin_endpoints and settings.is_admin_fn is default_is_admin_fn
        keys = (key_storage, settings.email_token_storage or key_storage)
        check_storages(settings.user_storage, keys, settings, {"admin": bool} if asks else {})


def _check_templates(pages: Pages, settings: SessionServerSettings, endpoints: frozenset[str]) -> None:
    options = ["error_page", *(action.page_option for action in ACTIONS if action.page_endpoint in endpoints)]
    for option in options:
        name = settings.page(option)
        if not pages.has(name):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{COMPONENT}: option {option!r}: there is no template {name!r} in {settings.template_dir!r}",
            )


def _check_factors(settings: SessionServerSettings, manager: SessionManager) -> None:
    if manager.user_storage is None:
        return
    manager.factors.require(settings.user_allowed_factor1, f"{COMPONENT}: option 'user_allowed_factor1'")
    test_only = manager.factors.test_only()
    if test_only and not site_is_local(settings):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: authenticator {', '.join(test_only)} is for tests; it needs site_url to be http://localhost",
        )


def attach_lifecycle(app: FastAPI, parts: Sequence[SupportsLifecycle]) -> None:
    """Open `parts` when `app` starts, so that what is wrong is known then, and close them, last first, when it ends."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        for part in parts:
            await part.start()
        try:
            async with inner(app) as state:
                yield state
        finally:
            for part in reversed(parts):
                await part.close()

    app.router.lifespan_context = lifespan

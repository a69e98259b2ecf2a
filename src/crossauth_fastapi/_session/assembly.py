"""From options to a session server's parts; everything that can be wrong with them is found here, at start-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request

from crossauth_backend.accounts.fit import check_storages
from crossauth_backend.accounts.login_name_rules import check_login_by
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option_names, read_options
from crossauth_backend.core.text import with_slashes
from crossauth_backend.delivery.outbox import Outbox
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.registry import NO_FACTOR2, Factors
from crossauth_backend.keys.storage import KeyStorage, SupportsLifecycle
from crossauth_backend.sessionmanager import SessionManager, SessionManagerSettings
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._actions.accounts import offer_accounts
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._http.proxies import read_proxies
from crossauth_fastapi._middleware.languages import languages_of
from crossauth_fastapi._middleware.order import attach_source, servers_on, set_site_facts
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._pages.brand import brand_of
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.csrfrefusal import csrf_refusal
from crossauth_fastapi._session.endpoints import GET_CSRF_TOKEN, enabled_endpoints
from crossauth_fastapi._session.forms import form_fields
from crossauth_fastapi._session.formvariables import form_globals
from crossauth_fastapi._session.groups import ADMIN, FACTOR2, RESET, VERIFICATION
from crossauth_fastapi._session.landing import attach_landing_page
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi._session.outbox import check_outbox
from crossauth_fastapi._session.pagevariables import awaited_variables, error_page, page_variables
from crossauth_fastapi._session.services import SessionServices
from crossauth_fastapi._session.source import SessionSource
from crossauth_fastapi._session.stepup import check_step_up, install_step_up
from crossauth_fastapi._session.wellknown import attach_change_password

COMPONENT = "FastApiSessionServer"


def build_context(
    key_storage: KeyStorage, authenticators: Mapping[str, Authenticator], options: Mapping[str, Any], title: str = ""
) -> SessionContext:
    """The parts of a session server.

    Parameters:
        key_storage: where sessions are kept.
        authenticators: factors by name.
        options: what the application gave.
        title: the title of the application, for pages of one that says no other name.

    Raises:
        CrossauthError: `Configuration` or `NotImplemented`, saying what to change.
    """
    if not isinstance(key_storage, KeyStorage):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: key_storage must be a KeyStorage, not {type(key_storage).__name__}",
        )
    if not isinstance(authenticators, Mapping):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: authenticators must be a mapping of names, such as {{'localpassword': …}}, not "
            f"{type(authenticators).__name__}",
        )
    # What is none is said before anything is asked of it.
    Factors(authenticators)
    settings = read_options(SessionServerSettings, options, component=COMPONENT)
    _refuse_unavailable(settings)
    _check_columns(key_storage, authenticators, settings)
    own = option_names(SessionManagerSettings)
    theirs: Any = {n: v for n, v in options.items() if n in own}
    manager = SessionManager(key_storage, authenticators, theirs)
    manager.validate_user = settings.validate_user_fn
    # More may come, by `add_login_endpoints` and its like: whoever asks for them asks this very set.
    endpoints = set(_checked_endpoints(settings, manager))
    _check_factors(settings, manager, options, endpoints)
    check_login_by(settings.login_by, manager.user_storage, not endpoints.isdisjoint(("signup", "api/signup")))
    prefix, admin_prefix = with_slashes(settings.prefix), with_slashes(settings.admin_prefix)
    source = SessionSource(manager, settings.validate_session)
    brand = brand_of(settings, COMPONENT, settings.site_name, settings.site_url, title)

    def common(request: Request) -> dict[str, Any]:
        state = state_of(request)
        shared = page_variables(state, prefix, brand, endpoints, source)
        own = {"adminPrefix": state.url(admin_prefix), "haveOutbox": isinstance(settings.mailer, Outbox)}
        return {**shared, **own, "haveAudit": manager.audit is not None}

    pages = Pages(settings.template_dir, common, awaited_variables, brand)
    words = {name: factor.friendly_name for name, factor in manager.factors.items()}
    pages.templates.env.globals.update(form_fields=form_fields, now=manager.session.clock, factorNames=words)
    pages.templates.env.globals.update(form_globals(settings, authenticators))
    _check_templates(pages, settings, endpoints)
    ctx = SessionContext(
        settings=settings,
        manager=manager,
        source=source,
        pages=pages,
        endpoints=endpoints,
        prefix=prefix,
        admin_prefix=admin_prefix,
        proxies=read_proxies(settings.trusted_proxies),
        local_site=site_is_local(settings),
        shown_fields=() if manager.user_storage is None else tuple(manager.user_storage.user_editable_fields),
        secret_names=_secret_names(settings, manager),
        code_names=frozenset(name for a in authenticators.values() for name in a.transient_secret_names()),
        services=None if manager.user_storage is None else manager.accounts(),
    )
    check_outbox(ctx)
    check_step_up(ctx)
    return ctx


def attach(app: FastAPI, ctx: SessionContext, router: APIRouter) -> None:
    """Let the session server of `ctx` find out who is asking `app`, and open and close its storages with it.

    Parameters:
        app: the application.
        ctx: the session server.
        router: holds the routes of the session server.
    """
    manager, settings = ctx.manager, ctx.settings
    attach_source(app, ctx.source, lambda: install_step_up(app, router.routes, ctx))
    set_site_facts(
        app,
        public_url=settings.site_url,
        local=ctx.local_site,
        prefix=ctx.prefix,
        admin_prefix=ctx.admin_prefix,
        is_admin_fn=settings.is_admin_fn,
        session_scheme=ctx.session_scheme,
        csrf_header=manager.csrf_header_name.lower().encode("latin-1"),
        csrf_token=ctx.source.csrf_token,
        csrf_check=ctx.source.csrf.check,
        csrf_refusal=partial(csrf_refusal, ctx.source.csrf.cookie),
        trusted_proxies=ctx.proxies,
        error_page=partial(error_page, ctx.pages, settings.error_page),
        **languages_of(settings, COMPONENT),
    )
    attach_lifecycle(app, manager.parts())
    offer_accounts(app, SessionServices(ctx, router))
    attach_landing_page(app, ctx)
    attach_change_password(app, ctx)


def set_login_page(app: FastAPI, ctx: SessionContext) -> None:
    """Let browsers that have to log in be sent to the login page, which is there now."""
    set_site_facts(app, login_path=f"{ctx.prefix}login")


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
    if is_local_host(url.hostname):
        return True
    if settings.session_cookie_options.get("secure") is not False:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: option 'site_url' is plain http, so anybody on the way can read the session cookie. Use https, "
            "or say session_cookie_options={'secure': False} and double_submit_cookie_options={'secure': False}",
        )
    return False


def _refuse_unavailable(settings: SessionServerSettings) -> None:
    """Refuse the endpoints of a part that is not in this version; named endpoints decide by themselves whether they need one."""
    if settings.enable_oauth_client_management and not settings.endpoints:
        raise CrossauthError(
            ErrorCode.NotImplemented,
            f"{COMPONENT}: not available in this version: option 'enable_oauth_client_management'",
        )


def _checked_endpoints(settings: SessionServerSettings, manager: SessionManager) -> frozenset[str]:
    switches = {
        ADMIN: settings.enable_admin_endpoints,
        FACTOR2: any(name != NO_FACTOR2 for name in manager.allowed_factor2),
        VERIFICATION: settings.enable_email_verification,
        RESET: settings.enable_password_reset,
    }
    on = [group for group, is_on in switches.items() if is_on]
    endpoints = enabled_endpoints(settings.endpoints, on)
    if manager.user_storage is not None:
        return endpoints
    if not settings.endpoints:
        return frozenset({GET_CSRF_TOKEN})
    needing = sorted(endpoints - {GET_CSRF_TOKEN})
    if needing:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: option 'user_storage' is required for {', '.join(needing)}",
        )
    return endpoints


def _secret_names(settings: SessionServerSettings, manager: SessionManager) -> frozenset[str]:
    """The names of what first factors store: those that users and administrators may choose, and whatever is no second factor."""
    first = {*settings.user_allowed_factor1, *settings.admin_allowed_factor1}
    second = set(manager.allowed_factor2) - first
    return frozenset(n for name, a in manager.factors.items() if name not in second for n in a.secret_names())


def _check_columns(
    key_storage: KeyStorage, authenticators: Mapping[str, Authenticator], settings: SessionServerSettings
) -> None:
    if settings.user_storage is not None:
        asks = settings.enable_admin_endpoints and settings.is_admin_fn is default_is_admin_fn
        keys = (key_storage, settings.email_token_storage or key_storage)
        names = (*settings.allowed_factor2, *settings.user_allowed_factor1, *settings.admin_allowed_factor1)
        offered = [factor for name, factor in authenticators.items() if name in names]
        check_storages(settings.user_storage, keys, settings, offered, {"admin": bool} if asks else {})


def _check_templates(pages: Pages, settings: SessionServerSettings, endpoints: set[str]) -> None:
    on = [action for action in ACTIONS if action.page_endpoint in endpoints]
    missing = [action.template for action in on if action.template is not None and not pages.has(action.template)]
    if missing:
        raise CrossauthError(ErrorCode.Configuration, f"{COMPONENT}: there is no template {missing[0]!r}")
    for option in ("error_page", *(action.page_option for action in on if action.page_option is not None)):
        name = settings.page(option)
        if not pages.has(name):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{COMPONENT}: option {option!r}: there is no template {name!r} in {settings.template_dir!r}",
            )


def _check_factors(
    settings: SessionServerSettings, manager: SessionManager, options: Mapping[str, Any], endpoints: set[str]
) -> None:
    if manager.user_storage is None:
        return
    manager.factors.require(settings.user_allowed_factor1, f"{COMPONENT}: option 'user_allowed_factor1'")
    creates_users = endpoints & {"admin/createuser", "admin/api/createuser"}
    if creates_users or options.get("admin_allowed_factor1") is not None:
        manager.factors.require(settings.admin_allowed_factor1, f"{COMPONENT}: option 'admin_allowed_factor1'")
    test_only = manager.factors.test_only()
    if test_only and not site_is_local(settings):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: authenticator {', '.join(test_only)} is for tests; it needs site_url to be http://localhost",
        )


def attach_lifecycle(app: FastAPI, parts: Sequence[SupportsLifecycle]) -> None:
    """Open `parts` when `app` starts, so that what is wrong is known then, and close them, last first, when it ends."""
    servers_on(app).lifecycle.add(parts)

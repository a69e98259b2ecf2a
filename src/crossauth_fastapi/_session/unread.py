"""Options of a part of the session server that is switched off. Nobody is to think that they count."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, Final

from fastapi import FastAPI

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_fastapi._middleware.order import servers_on
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.assembly import COMPONENT
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.options import SessionServerSettings

_TABLE: Final = SessionServerSettings
# Which options are read only where another one is switched on.
_SWITCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "enable_email_verification": (
        "email_verified_page", "email_verification_html_body", "email_verification_subject",
        "email_verification_text_body", "verify_email_expires",
    ),
    "enable_password_reset": (
        "password_reset_expires", "password_reset_html_body", "password_reset_subject", "password_reset_text_body",
    ),
    "enable_known_devices": ("known_device_cookie_options",),
    "enable_admin_endpoints": ("admin_allowed_factor1", "user_search_fn"),
}  # fmt: skip
# What a sign-up or a login shows too, where there are second factors.
_FACTOR2_PAGES: Final = ("configure_factor2_page", "factor2_page")


def check_unread(app: FastAPI, ctx: SessionContext, given: Mapping[str, Any]) -> None:
    """Stop the start where the application gave an option that nothing reads.

    The environment may be that of several applications: what it says is no mistake.

    Parameters:
        app: the application, with all of its servers.
        ctx: the session server, with all of its endpoints.
        given: its options, as the application wrote them.

    Raises:
        CrossauthError: `Configuration`, naming each, and what it needs.
    """
    defaults = {f.name: f.default_factory() if f.default_factory is not MISSING else f.default for f in fields(_TABLE)}
    declared = {
        name for name, value in given.items() if name in defaults and value is not None and value != defaults[name]
    }
    problems = [*_without_page(ctx, declared), *_switched_off(ctx, declared)]
    if "edit_user_scope" in declared and not servers_on(app).names & {"api_key", "bearer"}:
        problems.append("option 'edit_user_scope' has no effect without a server for API keys or a resource server")
    if problems:
        raise CrossauthError(ErrorCode.Configuration, [f"{COMPONENT}: {text}" for text in problems])


def _without_page(ctx: SessionContext, said: Collection[str]) -> Iterator[str]:
    pages: dict[str, set[str]] = {}
    for action in ACTIONS:
        if action.page_option is not None:
            pages.setdefault(action.page_option, set()).add(action.page_endpoint)
    asks = any(name != NO_FACTOR2 for name in ctx.manager.allowed_factor2)
    for name in sorted(said & pages.keys()):
        if not pages[name] & ctx.endpoints and not (asks and name in _FACTOR2_PAGES):
            view = " or ".join(map(repr, sorted(pages[name])))
            yield f"option {name!r} has no effect without the page {view}, see option 'endpoints' and those that switch parts on"


def _switched_off(ctx: SessionContext, said: Collection[str]) -> Iterator[str]:
    if ctx.settings.endpoints is not None:
        # Whoever names the endpoints may name single ones of a part.
        return
    for switch, names in _SWITCHES.items():
        if not getattr(ctx.settings, switch):
            yield from (f"option {name!r} has no effect without {switch!r}" for name in names if name in said)

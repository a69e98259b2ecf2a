"""Reading an application and its environment into a snapshot. Nothing is started, and nothing is changed."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import typer
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.delivery.outbox import Outbox
from crossauth_backend.delivery.smtp import SmtpMailer
from crossauth_backend.factors.password.authenticator import LocalPasswordAuthenticator
from crossauth_backend.sessionmanager import SessionManager
from crossauth_fastapi._actions.accounts import accounts_on
from crossauth_fastapi._middleware.order import servers_on
from crossauth_fastapi._session.services import SessionServices
from crossauth_fastapi.cli.doctor.git import tracked
from crossauth_fastapi.cli.doctor.snapshot import Client, Cors, EnvFile, Sessions, Snapshot
from crossauth_fastapi.cli.doctor.stores import stores_of
from crossauth_fastapi.cli.doctor.variables import known_variables
from crossauth_fastapi.cli.target import load_server
from crossauth_fastapi.fastapiserver import FastApiServer

# What attackers try first, and what is too short.
_GUESSES: Final = ("password", "12345678", "qwerty", "abc")
_PROXY_MIDDLEWARE: Final = "ProxyHeadersMiddleware"
_MOST_WORKERS: Final = 6


def load(target: str) -> FastApiServer | list[str]:
    """The server of an application, or why it cannot be created, as texts.

    Parameters:
        target: see `target.load_server`.

    Raises:
        typer.BadParameter: there is no such application.
    """
    try:
        server = load_server(target)
        # What start-up checks once every route is there.
        servers_on(server.app).protections.install()
    except CrossauthError as e:
        return list(e.messages)
    except typer.BadParameter:
        raise
    except Exception as e:
        # Of what an application of others raises only the kind: its text may hold a secret.
        return [f"importing it raises {type(e).__name__}; run python -c 'import {target.partition(':')[0]}' to see why"]
    return server


def environment_snapshot(
    folder: Path, environment: Mapping[str, str], workers: int | None, production: bool
) -> Snapshot:
    """What is known without the application.

    Parameters:
        folder: where it is.
        environment: the environment variables.
        workers: how many processes serve it; by default as WEB_CONCURRENCY says.
        production: see `Snapshot`.
    """
    told = environment.get("WEB_CONCURRENCY", "")
    number = int(told) if told.isascii() and told.isdecimal() and len(told) < _MOST_WORKERS else 1
    return Snapshot(
        environment=dict(environment), known_variables=known_variables(), production=production,
        workers=number if workers is None else workers, env_files=_env_files(folder),
        proxy_headers="uvicorn, by FORWARDED_ALLOW_IPS," if environment.get("FORWARDED_ALLOW_IPS") else "",
    )  # fmt: skip


async def with_application(snapshot: Snapshot, server: FastApiServer) -> Snapshot:
    """A snapshot with what the application says besides."""
    app = server.app
    sessions = await _sessions(server)
    classes = [getattr(entry.cls, "__name__", "") for entry in app.user_middleware]
    keys, resources = server.api_key_server, server.oauth_resserver
    return replace(
        snapshot, sessions=sessions, stores=stores_of(server), debug=app.debug,
        api_keys=keys.manager.settings if keys is not None else None,
        clients=tuple(_client(client) for client in server.oauth_clients or ()),
        consumers=tuple(one._settings for one in resources._consumers) if resources is not None else (),
        docs=_docs(app), cors=_cors(app),
        proxy_headers=f"the middleware {_PROXY_MIDDLEWARE}" if _PROXY_MIDDLEWARE in classes else snapshot.proxy_headers,
        missing_extras=_missing_extras(server, sessions),
    )  # fmt: skip


async def _sessions(server: FastApiServer) -> Sessions | None:
    services = accounts_on(server.app)
    if server.session_server is None or not isinstance(services, SessionServices):
        return None
    manager, factors = server.session_server.session_manager, server.session_server.authenticators
    passwords = [f for f in factors.values() if isinstance(f, LocalPasswordAuthenticator)]
    has_passwords = next(manager.factors.password_factors(), None) is not None
    weak = tuple([text for text in _GUESSES if await _accepts(manager, text)])
    return Sessions(
        settings=services.context.settings, cookie=manager.session.settings, csrf=manager.csrf_tokens.settings,
        devices=manager.devices.settings, limits=manager.limits.limits if manager.limits is not None else {},
        mail=_mail(manager), test_factors=tuple(manager.factors.test_only()),
        argon2=passwords[0].settings.argon2 if passwords else None, weak_passwords=weak, has_passwords=has_passwords,
    )  # fmt: skip


async def _accepts(manager: SessionManager, password: str) -> bool:
    """Whether users may choose a password. What an application's own rules raise refuses it."""
    factor = next(manager.factors.password_factors(), None)
    if factor is None:
        return False
    try:
        return not await factor.secret_problems({"password": password})
    except Exception:
        return False


def _mail(manager: SessionManager) -> Any:
    mailer = manager.emails.mailer if manager.emails is not None else manager.settings.mailer
    if mailer is None:
        return "none" if manager.settings.smtp_host is None else "smtp"
    return "outbox" if isinstance(mailer, Outbox) else "smtp" if isinstance(mailer, SmtpMailer) else "own"


def _client(client: Any) -> Client:
    ctx = client.context
    return Client(
        protocol=client.settings, web=ctx.options, flows=frozenset(ctx.flows), redirect_uri=ctx.redirect_uri or ""
    )


def _docs(app: FastAPI) -> tuple[str, ...]:
    if not app.openapi_url:
        return ()
    return tuple(path for path in (app.docs_url, app.redoc_url, app.openapi_url) if path)


def _cors(app: FastAPI) -> tuple[Cors, ...]:
    cors: Any = CORSMiddleware
    return tuple(_cors_of(entry.kwargs) for entry in app.user_middleware if entry.cls is cors)


def _cors_of(options: Mapping[str, Any]) -> Cors:
    regex, origins = options.get("allow_origin_regex"), tuple(options.get("allow_origins", ()))
    told = None if regex is None else str(regex)
    return Cors(origins=origins, regex=told, credentials=bool(options.get("allow_credentials")))


def _missing_extras(server: FastApiServer, sessions: Sessions | None) -> tuple[str, ...]:
    """The extras that options need and that are not installed."""
    needed = {
        "email": ("aiosmtplib", sessions is not None and sessions.mail == "smtp"),
        "client": ("aiohttp", bool(server.oauth_clients) or server.oauth_resserver is not None),
    }
    return tuple(extra for extra, (module, requested) in needed.items() if requested and find_spec(module) is None)


def _env_files(folder: Path) -> tuple[EnvFile, ...]:
    """The files `.env` and `.env.*` of a folder; examples of them hold no secrets."""
    paths = [path for path in sorted(folder.glob(".env*")) if path.is_file() and "example" not in path.name]
    committed = tracked(folder, [path.name for path in paths])
    return tuple(
        EnvFile(path=path.name, mode=stat.S_IMODE(path.stat().st_mode), tracked=path.name in committed)
        for path in paths
    )

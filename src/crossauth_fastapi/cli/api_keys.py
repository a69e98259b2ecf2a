"""`crossauth api-keys`: the API keys of an application's users."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import typer

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.users.record import UserId
from crossauth_fastapi.cli.target import load_server, with_server
from crossauth_fastapi.fastapiserver import FastApiServer

T = TypeVar("T")
NEVER: Final = "never"
Target = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="The application, as module or module:name: its FastApiServer, or the FastAPI application that has one.",
    ),
]
Username = Annotated[str, typer.Option("--user", help="Username of the account that the keys belong to.")]

api_keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke the API keys of a user.")


@api_keys.command("create")
def create(
    app: Target,
    user: Username,
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists.")],
    scope: Annotated[list[str] | None, typer.Option(help="A scope; may be given several times.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="Seconds until the key ends, or 'never'; by default as the server is configured.")
    ] = None,
) -> None:
    """Create an API key and print it. It is shown only now."""
    lifetime = _seconds(expires)

    async def act(manager: ApiKeyManager, userid: UserId) -> str:
        if expires is None:
            return (await manager.create_key(name, userid, scope=scope)).token
        return (await manager.create_key(name, userid, scope=scope, expiry=lifetime)).token

    print(_run(app, user, act))


@api_keys.command("list")
def list_(app: Target, user: Username) -> None:
    """List the API keys of a user: id, beginning, name, scopes, last use and end."""

    async def act(manager: ApiKeyManager, userid: UserId) -> list[str]:
        return [
            "\t".join((
                key.id, f"{key.hint}…", key.name, " ".join(key.scope or ()) or "-", f"used {_day(key.lastactive)}",
                f"ends {_day(key.ends)}",
            ))
            for key in await manager.list_keys(userid)
        ]  # fmt: skip

    for line in _run(app, user, act):
        print(line)


@api_keys.command("revoke")
def revoke(
    app: Target, user: Username, id: Annotated[str, typer.Argument(metavar="ID", help="The key's id in the list.")]
) -> None:
    """Revoke an API key at once."""

    async def act(manager: ApiKeyManager, userid: UserId) -> None:
        await manager.revoke_key(userid, id)

    _run(app, user, act)
    print(f"{id} is revoked")


def _run(target: str, username: str, act: Callable[[ApiKeyManager, UserId], Awaitable[T]]) -> T:
    server = load_server(target)

    async def inner() -> T:
        manager = _manager(server)
        assert manager.user_storage is not None
        found = await manager.user_storage.get_user_by_username(
            username, {"skip_active_check": True, "skip_email_verified_check": True}
        )
        return await act(manager, found.user.id)

    try:
        return asyncio.run(with_server(server, inner))
    except CrossauthError as e:
        raise typer.BadParameter(e.message) from e


def _manager(server: FastApiServer) -> ApiKeyManager:
    """The keys of the server for API keys; without one those beside the sessions, with options from the environment,
    `CROSSAUTH_APIKEY_*`.
    """
    if server.api_key_server is not None:
        return server.api_key_server.manager
    if server.session_server is None or server.session_server.session_manager.user_storage is None:
        raise typer.BadParameter("API keys need a server for API keys, or a session server with a storage of users")
    sessions = server.session_server.session_manager
    options: Any = {"secret": sessions.settings.secret, "user_storage": sessions.user_storage}
    return ApiKeyManager(sessions.key_storage, options, events=sessions.events)


def _seconds(text: str | None) -> int | None:
    if text in (None, NEVER):
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        raise typer.BadParameter(f"--expires must be a number of seconds or {NEVER!r}, not {text[:50]!r}")
    return int(text)


def _day(time: datetime | None) -> str:
    return NEVER if time is None else f"{time:%Y-%m-%d %H:%M}"

"""`crossauth api-keys`: the API keys of an application's users."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import typer

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.api_keys.record import ApiKey
from crossauth_backend.users.reads import ANY_STATE
from crossauth_backend.users.record import UserId
from crossauth_fastapi.cli.output import TAKES_IDS, AsJson, show
from crossauth_fastapi.cli.target import App, load_server, run, with_server
from crossauth_fastapi.fastapiserver import FastApiServer

T = TypeVar("T")
NEVER: Final = "never"
Username = Annotated[str, typer.Option("--user", help="Username of the account that the keys belong to.")]

api_keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke the API keys of a user.")


@api_keys.command("create")
def create(
    app: App,
    user: Username,
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists.")],
    scope: Annotated[list[str] | None, typer.Option(help="A scope; may be given several times.")] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="Seconds until the key expires, or 'never'; by default as the server is configured."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it. It is shown only now."""
    lifetime = _seconds(expires)

    async def act(manager: ApiKeyManager, userid: UserId) -> dict[str, Any]:
        more: dict[str, Any] = {} if expires is None else {"expiry": lifetime}
        made = await manager.create_key(name, userid, scope=scope, **more)
        return {**_public(made.key), "token": made.token}

    made = _run(app, user, act)
    show(made, as_json, made["token"])


@api_keys.command("list")
def list_(app: App, user: Username, as_json: AsJson = False) -> None:
    """List the API keys of a user: id, beginning, name, scopes, last use and expiry."""

    async def act(manager: ApiKeyManager, userid: UserId) -> list[ApiKey]:
        return list(await manager.list_keys(userid))

    keys = _run(app, user, act)
    lines = (
        "\t".join((
            key.id, f"{key.hint}…", key.name, " ".join(key.scope or ()) or "-", f"used {_day(key.lastactive)}",
            f"ends {_day(key.ends)}",
        ))
        for key in keys
    )  # fmt: skip
    show([_public(key) for key in keys], as_json, lines)


@api_keys.command("revoke", context_settings=TAKES_IDS)
def revoke(
    app: App,
    user: Username,
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id in the list.")],
    as_json: AsJson = False,
) -> None:
    """Revoke an API key at once."""

    async def act(manager: ApiKeyManager, userid: UserId) -> None:
        await manager.revoke_key(userid, id)

    _run(app, user, act)
    show({"revoked": id}, as_json, f"{id} is revoked")


def _run(target: str, username: str, act: Callable[[ApiKeyManager, UserId], Awaitable[T]]) -> T:
    server = load_server(target)

    async def inner() -> T:
        manager = _manager(server)
        assert manager.user_storage is not None
        found = await manager.user_storage.get_user_by_username(username, ANY_STATE)
        return await act(manager, found.user.id)

    return run(with_server(server, inner))


def _public(key: ApiKey) -> dict[str, Any]:
    """What is printed of a key: nothing that could be used as one."""
    return {
        "id": key.id, "hint": key.hint, "name": key.name, "scope": list(key.scope or ()), "created": key.created,
        "last_used": key.lastactive, "expires": key.ends,
    }  # fmt: skip


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

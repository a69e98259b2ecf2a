"""What a command works on: an object of the application's, and its user manager as a request would get it."""

import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer
from fastapi import Depends, FastAPI

from crossauth_fastapi.fastapi_users.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapiserver import FastApiServer, servers_of

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741
UserManager = BaseUserManager[Any, Any]


def load(target: str, kind: type[O]) -> O:
    """The object `module:name`, looked for from the folder the command is given in.

    Raises:
        typer.BadParameter: there is none, or it is something else.
    """
    module_name, colon, name = target.partition(":")
    if not (module_name and colon and name):
        raise typer.BadParameter(f"{target!r} must be module:name, such as main:fastapi_users")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is None or not f"{module_name}.".startswith(f"{e.name}."):
            raise
        raise typer.BadParameter(f"there is no module {e.name!r} here") from e
    for part in name.split("."):
        if not hasattr(found, part):
            raise typer.BadParameter(f"{module_name!r} has no {name!r}")
        found = getattr(found, part)
    if not isinstance(found, kind):
        raise typer.BadParameter(f"{target} is a {type(found).__name__}; a {kind.__name__} is needed")
    return found


def load_server(target: str) -> FastApiServer:
    """The server at `module:name`: a `FastApiServer`, or the application that one was put onto.

    Raises:
        typer.BadParameter: there is none, or more than one.
    """
    found = load(target, object)
    if isinstance(found, FastApiServer):
        return found
    servers = servers_of(found) if isinstance(found, FastAPI) else []
    if len(servers) == 1:
        return servers[0]
    if servers:
        raise typer.BadParameter(f"{target} has {len(servers)} servers: name one of them, as module:name")
    raise typer.BadParameter(f"{target} is no FastApiServer, and no FastAPI application that has one")


async def with_server(server: FastApiServer, act: Callable[[], Awaitable[T]]) -> T:
    """What `act` returns while the server's application is started: its storages are open, its tables are there."""
    app = server.app
    async with app.router.lifespan_context(app):
        return await act()


async def with_user_manager(
    users: FastAPIUsers[Any, Any], app: FastAPI | None, act: Callable[[UserManager], Awaitable[T]]
) -> T:
    """What `act` makes of the application's user manager, whose dependencies are resolved as for a request.

    Parameters:
        users: the application's.
        app: its application, where its start-up is needed: tables, connections, `app.state`, dependency overrides.
        act: gets the user manager.
    """
    results: list[T] = []
    inner = FastAPI(openapi_url=None)

    @inner.post("/")
    async def route(user_manager: Annotated[UserManager, Depends(users.get_user_manager)]) -> None:
        results.append(await act(user_manager))

    if app is None:
        await _ask(inner, {})
    else:
        inner.state, inner.dependency_overrides = app.state, app.dependency_overrides
        async with app.router.lifespan_context(app) as state:
            await _ask(inner, dict(state or {}))
    return results[0]


async def _ask(app: FastAPI, state: dict[str, Any]) -> None:
    """Make the one request there is; what goes wrong in it is raised here."""
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/",
        "raw_path": b"/", "root_path": "", "query_string": b"", "headers": [], "client": None, "server": None,
        "state": state,
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        """There is nobody to be answered."""

    await app(scope, receive, send)

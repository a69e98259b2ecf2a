"""What a command works on: an object of the application's, and its user manager as a request would get it."""

import asyncio
import importlib
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Annotated, Any, Final, TypeVar

import typer
from fastapi import Depends, FastAPI
from starlette.routing import Mount

from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi.cli.output import Refused, aside
from crossauth_fastapi.fastapi_users.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapiserver import FastApiServer, servers_of

App = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="The application, as module or module:name: its FastAPI application, its FastApiServer, or a function "
        "that makes one.",
    ),
]
# The command line acts for the operator of the server: events have no address, and no actor.
COMMAND_LINE: Final = ClientInfo(agent="crossauth command line")
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
    found: Any = _module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            raise typer.BadParameter(f"{module_name!r} has no {name!r}")
        found = getattr(found, part)
    if not isinstance(found, kind):
        raise typer.BadParameter(f"{target} is a {type(found).__name__}; a {kind.__name__} is needed")
    return found


def load_server(target: str) -> FastApiServer:
    """The server of an application.

    Parameters:
        target: `module:name` of a `FastApiServer`, of the FastAPI application that one was put onto, or of a function without
            arguments that makes either; or a module in which there is one.

    Raises:
        typer.BadParameter: there is none, or more than one.
    """
    return _only(target, FastApiServer)


def load_accounts(target: str) -> FastApiServer | FastAPIUsers[Any, Any]:
    """What looks after the accounts of an application: as `load_server`, or a `FastAPIUsers`.

    Raises:
        typer.BadParameter: there is none, or more than one.
    """
    kinds: tuple[Any, ...] = (FastApiServer, FastAPIUsers)
    found: FastApiServer | FastAPIUsers[Any, Any] = _only(target, *kinds)
    return found


def _only(target: str, *kinds: type[O]) -> O:
    """The one object of these kinds that is, or is in, what `target` names."""
    module_name, colon, _ = target.partition(":")
    if colon:
        named: Any = load(target, object)
        with aside():
            places: list[object] = [named() if _is_factory(named) else named]
    else:
        places = list(vars(_module(module_name)).values())
    found = list(dict.fromkeys(one for place in places for one in _in(place, kinds)))
    if len(found) == 1:
        return found[0]
    if found:
        raise typer.BadParameter(f"{target} has {len(found)} servers: name one of them, as module:name")
    what = f"{' or '.join(kind.__name__ for kind in kinds)}, nor a FastAPI application that has a FastApiServer"
    raise typer.BadParameter(f"{target} is no {what}" if colon else f"in the module {target} there is no {what}")


def _in(place: object, kinds: tuple[type[O], ...]) -> Iterator[O]:
    """What of these kinds `place` is, or has: the servers of an application, and those of applications mounted on it."""
    if isinstance(place, kinds):
        yield place
    elif isinstance(place, FastAPI):
        yield from (server for server in servers_of(place) if isinstance(server, kinds))
        for route in place.routes:
            if isinstance(route, Mount):
                yield from _in(route.app, kinds)


def _is_factory(value: Any) -> bool:
    """Whether it is a function that can be called without arguments."""
    if not inspect.isfunction(value):
        return False
    parameters = inspect.signature(value).parameters.values()
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _module(name: str) -> ModuleType:
    """The module of this name, looked for from the folder the command is given in.

    Raises:
        typer.BadParameter: there is none.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise typer.BadParameter(f"{name!r} is no name of a module")
    sys.path.insert(0, os.getcwd())
    try:
        with aside():
            return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name is None or not f"{name}.".startswith(f"{e.name}."):
            raise
        raise typer.BadParameter(f"there is no module {e.name!r} here") from e


async def with_server(server: FastApiServer, act: Callable[[], Awaitable[T]]) -> T:
    """What `act` returns while the server's application is started: its storages are open, its tables are there."""
    app = server.app
    async with app.router.lifespan_context(app):
        return await act()


def run(act: Awaitable[T]) -> T:
    """What `act` returns; what the library refuses is said without a traceback.

    Raises:
        Refused: with the reason.
    """

    async def inner() -> T:
        return await act

    try:
        with aside():
            return asyncio.run(inner())
    except CrossauthError as e:
        # What the database or the configuration says is for the operator, who types this; other details may hold values.
        told = e.detail if e.code in (ErrorCode.Connection, ErrorCode.Configuration) and e.detail else None
        raise Refused(e.message if told is None else f"{e.message} ({told})") from e


def run_accounts(target: str, act: Callable[[Accounts], Awaitable[T]]) -> T:
    """What `act` makes of the accounts of an application, while it is started.

    Raises:
        typer.BadParameter: there is no such application, or it has no accounts; `Refused` with another reason.
    """
    server = load_server(target)
    accounts = accounts_of(server)
    return run(with_server(server, lambda: act(accounts)))


def accounts_of(server: FastApiServer) -> Accounts:
    """The accounts of an application.

    Raises:
        typer.BadParameter: it has no users that log in.
    """
    if server.session_server is None or server.session_server.session_manager.user_storage is None:
        raise typer.BadParameter("this command needs a session server with a storage of users")
    return server.session_server.session_manager.accounts()


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

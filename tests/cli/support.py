"""Commands as somebody types them."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from crossauth_fastapi.cli.commands import cli
from tests.support import SECRET

PASSWORD = "nimue and the lake"


def crossauth(
    folder: Path, *arguments: str, secret: str | None = SECRET, typed: str | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run `crossauth` in `folder`.

    Parameters:
        folder: where the application is.
        arguments: what is typed.
        secret: CROSSAUTH_SECRET, where it is set.
        typed: standard input.
        variables: further environment variables.
    """
    provided = variables if secret is None else {"CROSSAUTH_SECRET": secret, **variables}
    return subprocess.run(
        [str(Path(sys.executable).parent / "crossauth"), *arguments], cwd=folder,
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb", **provided}, capture_output=True, text=True, timeout=60,
        check=False, input=typed or "",
    )  # fmt: skip


def invoke(folder: Path, *arguments: str, typed: str | None = None, **variables: str) -> Result:
    """The same in this process, which is faster: modules of `folder` are imported anew.

    Parameters:
        folder: where the application is.
        arguments: what is typed.
        typed: standard input.
        variables: further environment variables.
    """
    before, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    os.chdir(folder)
    try:
        provided = {"CROSSAUTH_SECRET": SECRET, "COLUMNS": "200", "TERM": "dumb", **variables}
        # In a thread: a command has an event loop of its own, and so may the test.
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(CliRunner().invoke, cli, list(arguments), input=typed or "", env=provided).result()
    finally:
        os.chdir(before)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if Path(file).is_relative_to(folder):
                del sys.modules[name]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def query(file: Path, statement: str) -> list[tuple[Any, ...]]:
    """What a statement on a SQLite file gives; what it changes is kept."""
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(statement).fetchall()


def unwrapped(text: str) -> str:
    """What a box on the terminal says, on one line."""
    return " ".join(text.replace("│", " ").split())

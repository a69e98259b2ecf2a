"""For trying things out on one's own machine. An application in production gives its own secret and never comes here."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import random_value
from crossauth_backend.factors.password.authenticator import LocalPasswordAuthenticator
from crossauth_backend.users.rules import username_problems
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._http.localhost import is_local_host


def local_secret(database_url: str, site_url: str) -> str:
    """`CROSSAUTH_SECRET`, or on localhost a secret that is made once and kept beside the database.

    Parameters:
        database_url: the database; a secret made here is kept in a file beside it, so that sessions survive a restart.
        site_url: where the site is.

    Raises:
        CrossauthError: `Configuration` where the site is not on localhost and there is no secret.
    """
    provided = os.environ.get("CROSSAUTH_SECRET")
    if provided:
        return provided
    if not is_local_host(urlsplit(site_url).hostname or ""):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"Set CROSSAUTH_SECRET: {site_url} is not on localhost, so a made-up secret will not do",
        )
    url = urlsplit(database_url)
    is_file = url.scheme.startswith("sqlite") and len(url.path) > 1
    file = Path(url.path[1:] + ".secret" if is_file else "crossauth.secret")
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(random_value(48))
    except FileExistsError:
        pass
    print(f"CROSSAUTH_SECRET is not set: using the development secret in {file}", file=sys.stderr)
    return file.read_text().strip()


def first_administrator(app: FastAPI, users: UserStorage, passwords: LocalPasswordAuthenticator) -> None:
    """Let `app` make an administrator when it starts, if it has no user yet.

    Name and password come from the environment variable CROSSAUTH_ADMIN (`name:password`); without it the name is `admin` and
    the password is made up and printed, once. For samples: an application's own administrators are its own affair.

    Parameters:
        app: the application.
        users: where users are.
        passwords: makes the hash.

    Raises:
        CrossauthError: `Configuration` at start-up where CROSSAUTH_ADMIN has no name or no password.
    """
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with inner(app) as state:
            await _make_administrator(users, passwords)
            yield state

    app.router.lifespan_context = lifespan


async def _make_administrator(users: UserStorage, passwords: LocalPasswordAuthenticator) -> None:
    provided = os.environ.get("CROSSAUTH_ADMIN")
    name, colon, password = (provided or "admin:").partition(":")
    if provided is not None and not (name and colon and password):
        raise CrossauthError(ErrorCode.Configuration, "CROSSAUTH_ADMIN must be name:password")
    refused = username_problems(name)
    if refused:
        raise CrossauthError(ErrorCode.Configuration, f"CROSSAUTH_ADMIN: {'; '.join(refused)}")
    if provided is None and await users.get_users(0, 1):
        return
    problems = await passwords.secret_problems({"password": password}) if password else []
    if problems:
        print(f"CROSSAUTH_ADMIN: the password is weak: {'; '.join(problems)}", file=sys.stderr)
    password = password or random_value(15)
    user = {"username": name, "state": "active", "factor1": "localpassword", "admin": True}
    try:
        await users.create_user(user, {"password": await passwords.create_password_for_storage(password)})
    except CrossauthError as e:
        # There already, or another worker was faster.
        if e.code is not ErrorCode.UserExists:
            raise
        return
    if provided is None:
        print(f"The administrator is {name!r} with the password {password}", file=sys.stderr, flush=True)

"""The application under uvicorn, and clients of it."""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from tests.fastapi_users.app import CHEAP, Site
from tests.services.uvicorn import serve


class Api(httpx2.Client):
    """A client of the application; each has cookies of its own."""

    def __init__(self, url: str, site: Site, database: str) -> None:
        super().__init__(base_url=url, trust_env=False, timeout=20)
        self.site, self.url, self.database = site, url, database
        self.taken: dict[str, int] = {}

    def another(self) -> "Api":
        """A client without this one's cookies."""
        return Api(self.url, self.site, self.database)

    def register(self, email: str = "arthur@camelot.bt", password: str = "guinevere", **more: Any) -> httpx2.Response:
        return self.post("/auth/register", json={"email": email, "password": password, **more})

    def log_in(self, email: str = "arthur@camelot.bt", password: str = "guinevere", by: str = "jwt") -> httpx2.Response:
        return self.post(f"/auth/{by}/login", data={"username": email, "password": password})

    def bearer(self, email: str = "arthur@camelot.bt", password: str = "guinevere", by: str = "jwt") -> dict[str, str]:
        """The header of a user who logs in."""
        answer = self.log_in(email, password, by)
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def cookie_login(self, email: str = "arthur@camelot.bt", password: str = "guinevere") -> dict[str, str]:
        """The header of a user who logs in by cookie. The cookie is Secure, so the client keeps it from http by itself."""
        answer = self.log_in(email, password, "cookie")
        assert answer.status_code == 204, answer.text
        value = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        return {"Cookie": f"fastapiusersauth={value}"}

    def token(self, hook: str) -> str:
        """The token that a hook was handed, each once; hooks that send mail run after the answer."""
        deadline = time.monotonic() + 10
        while True:
            found = [call for call in self.site.calls if call[0] == hook]
            if len(found) > self.taken.get(hook, 0):
                self.taken[hook] = len(found)
                return str(found[-1][2])
            assert time.monotonic() < deadline, f"{hook} was not called"
            time.sleep(0.005)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement on the application's SQLite file."""
        with sqlite3.connect(self.database, timeout=10) as connection:
            found = connection.execute(statement, values).fetchall()
        connection.close()
        return found

    def set(self, email: str = "arthur@camelot.bt", **flags: Any) -> None:
        """Change columns of a user behind the application's back."""
        for name, value in flags.items():
            self.sql(f'UPDATE "user" SET {name} = ? WHERE email = ?', value, email)

    def superuser(self, email: str = "merlin@camelot.bt") -> dict[str, str]:
        """The header of a superuser, made for the purpose."""
        values = (str(uuid.uuid4()), email, CHEAP.hash("sword"), 1, 1, 1)
        self.sql(
            'INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified) VALUES (?,?,?,?,?,?)',
            *values,
        )
        return self.bearer(email, "sword")


@contextmanager
def open_site(folder: Any, **options: Any) -> Iterator[Api]:
    """The application on a SQLite file of its own."""
    database = f"{folder}/users.db"
    site = Site(f"sqlite:///{database}", **options)
    with serve(site.app) as url, Api(url, site, database) as api:
        yield api


@pytest.fixture
def api(tmp_path: Any) -> Iterator[Api]:
    """The application and a client of it."""
    with open_site(tmp_path) as api:
        yield api


def detail(answer: httpx2.Response) -> Any:
    """What a refusal says."""
    return json.loads(answer.text)["detail"]

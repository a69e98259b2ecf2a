"""Crossauth. BENCH_DATABASE is a URL, or empty for memory; with BENCH_REDIS keys are there."""

import os
from typing import Any

from fastapi import FastAPI, Request

from crossauth_backend import (
    DEFAULT_LIMITS,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    LocalPasswordAuthenticator,
    Mail,
    UserStorage,
)
from crossauth_fastapi import FastApiServer

app = FastAPI()
url = os.environ.get("BENCH_DATABASE", "")
users: UserStorage = InMemoryUserStorage()
keys: KeyStorage = InMemoryKeyStorage()
if url:
    from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine

    engine = open_engine(url)
    users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
if "BENCH_REDIS" in os.environ:
    from crossauth_backend import RedisKeyStorage, open_redis

    keys = RedisKeyStorage(open_redis(os.environ["BENCH_REDIS"]), {"prefix": f"{os.getpid()}:"})


class Nowhere:
    """Takes mail and throws it away."""

    async def send(self, mail: Mail) -> None:
        pass


# Recovery is on, and the limits count as they always do but are too wide to be reached.
more: dict[str, Any] = {
    "enable_password_reset": True,
    "mailer": Nowhere(),
    "site_url": "http://localhost:8000",
    "attempt_limits": dict.fromkeys(DEFAULT_LIMITS, (10**6, 900)),
}
server = FastApiServer(
    {"session": {"key_storage": keys}},
    {
        "app": app,
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
        "secret": "a secret of the benchmark, long enough",
        "user_storage": users,
        **(more if "BENCH_RECOVERY" in os.environ else {}),
    },
)


@app.get("/public")
async def public() -> dict[str, str]:
    """The same as the bare application's `/me`: nothing asks who is asking."""
    return {"username": "alice"}


@app.get("/me")
async def me(request: Request) -> dict[str, Any]:
    user = request.state.user
    return {"username": user.username if user else None}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}

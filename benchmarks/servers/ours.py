"""Crossauth with every source switched on: sessions, API keys, access tokens. BENCH_DATABASE is a URL, or empty for memory; with
BENCH_REDIS keys are there. With BENCH_WRITE the time of last use of a session is written once a second instead of once a minute.
Access tokens are of BENCH_ISSUER and verified by the file BENCH_PUBLIC_KEY; the issuer is asked about opaque ones."""

import os
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from crossauth_backend import (
    DEFAULT_LIMITS,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    LocalPasswordAuthenticator,
    Mail,
    User,
    UserStorage,
)
from crossauth_backend.sessions import manager
from crossauth_fastapi import CurrentUser, FastApiServer, require

if "BENCH_WRITE" in os.environ:
    manager.TOUCH_INTERVAL = timedelta(seconds=1)

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
    "attempt_limits": dict.fromkeys(DEFAULT_LIMITS, (10**6, 900)),
}
tokens: dict[str, Any] = {"auth_server_base_url": "https://issuer.example.com", "audience": "bench"}
if "BENCH_ISSUER" in os.environ:
    client = {"introspection_client_id": "rs", "introspection_client_secret": "the secret of the resource server"}
    tokens |= {"auth_server_base_url": os.environ["BENCH_ISSUER"], "introspection": "opaque", **client}
elif "BENCH_PUBLIC_KEY" in os.environ:
    tokens |= {"jwt_key_type": "RS256", "jwt_public_key_file": os.environ["BENCH_PUBLIC_KEY"]}
# `GET /me` of a user who is logged in here, and has no tokens of a provider.
login: dict[str, Any] = {
    "auth_server_base_url": "https://issuer.example.com",
    "options": {"client_id": "c", "client_secret": "a secret of it", "valid_flows": ["oidcAuthorizationCode"]},
}
server = FastApiServer(
    {
        "session": {"key_storage": keys},
        "api_key": {"key_storage": keys},
        "oauth_resserver": {},
        **({"oauth_client": login} if "BENCH_CLIENT" in os.environ else {}),  # type: ignore[typeddict-item]
    },
    {
        "app": app,
        # As every application in production says it; without it each request is judged by its headers.
        "site_url": "http://localhost:8000",
        **tokens,
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
        "secret": "a secret of the benchmark, long enough",
        "user_storage": users,
        **(more if "BENCH_RECOVERY" in os.environ else {}),
    },
)


async def public() -> dict[str, str]:
    """The same as the bare application's `/me`: nothing asks who is asking."""
    return {"username": "alice"}


async def me(request: Request) -> dict[str, Any]:
    user = request.state.user
    return {"username": user.username if user else None}


async def current(user: CurrentUser) -> dict[str, Any]:
    return {"username": user.username}


async def required(
    user: Annotated[User, Depends(require(scope="orders", credentials=["session", "bearer"]))],
) -> dict[str, Any]:
    """Everything that a route can require and a session of the benchmark has."""
    return {"username": user.username}


ROUTES: dict[str, Any] = {"/public": public, "/me": me, "/current": current, "/required": required}
# What is measured is the first route of its application, as it is of the bare one: what comes before costs each time.
for path in sorted(ROUTES, key=lambda path: path != os.environ.get("BENCH_ROUTE")):
    app.get(path)(ROUTES[path])


@app.get("/sessions-in-rotation")
async def sessions_in_rotation() -> list[str]:
    """The cookies of ten sessions of each of fifty users, made for the benchmark."""
    assert server.session_server is not None
    sessions = server.session_server.session_manager.session
    cookies = []
    for number in range(50):
        user = await users.create_user(
            {"username": f"user{number}-{os.getpid()}", "state": "active", "factor1": "localpassword"}
        )
        for _ in range(10):
            cookies.append(sessions.make_cookie(await sessions.create_session_key(user.id), local=True).value)
    return cookies


@app.get("/api-keys-in-rotation")
async def api_keys_in_rotation() -> list[str]:
    """Ten API keys of each of fifty users, made for the benchmark."""
    assert server.api_key_server is not None
    found = []
    for number in range(50):
        user = await users.create_user(
            {"username": f"program{number}-{os.getpid()}", "state": "active", "factor1": "localpassword"}
        )
        for key in range(10):
            found.append((await server.api_key_server.manager.create_key(f"key {key}", user.id)).token)
    return found


@app.get("/purge")
async def purge() -> dict[str, int]:
    """Throw away what has expired, as the task does that runs once an hour."""
    assert server.session_server is not None
    return {"purged": await keys.purge_expired(server.session_server.session_manager.session.clock())}  # type: ignore


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}

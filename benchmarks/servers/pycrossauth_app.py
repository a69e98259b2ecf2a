"""pycrossauth. BENCH_DATABASE is a URL whose tables are there already, or empty for memory."""

import os
from typing import Any

from fastapi import FastAPI, Request

from crossauth_backend import InMemoryKeyStorage, InMemoryUserStorage, LocalPasswordAuthenticator
from crossauth_fastapi import FastApiServer

url = os.environ.get("BENCH_DATABASE", "")
if url:
    from sqlalchemy.ext.asyncio import create_async_engine

    from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, register_sqlite_datetime

    register_sqlite_datetime()
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
    keys, users = SqlAlchemyKeyStorage(engine), SqlAlchemyUserStorage(engine, {"user_editable_fields": ["email"]})
else:
    keys, users = InMemoryKeyStorage(), InMemoryUserStorage({"user_editable_fields": ["email"]})
app = FastAPI()
server = FastApiServer(
    {"session": {"key_storage": keys}},
    {
        "app": app,
        "user_storage": users,
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
        "secret": "a secret of the benchmark, long enough",
        "enable_email_verification": False,
        "enable_password_reset": False,
        "session_cookie_options": {"secure": False},
        "double_submit_cookie_options": {"secure": False},
        "site_url": "http://localhost:8000",
    },
)


@app.get("/me")
async def me(request: Request) -> dict[str, Any]:
    user = request.state.user
    return {"username": user["username"] if user else None}


@app.get("/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}

"""Crossauth on sessions that are not its own: here Starlette's signed cookie. Run it: python examples/session_adapter.py"""

import os
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware

from crossauth_backend import CrossauthError, ErrorCode, KeyDataEntry, User
from crossauth_fastapi import CurrentUser, FastApiServer, FastApiSessionAdapter
from crossauth_fastapi.development import local_secret

PORT = int(os.environ.get("PORT", "8000"))
SITE = os.environ.get("CROSSAUTH_SITE_URL", f"http://localhost:{PORT}")
KNOWN = {"alice": User(id=1, username="alice"), "bob": User(id=2, username="bob", admin=True)}


class StarletteSessions(FastApiSessionAdapter):
    """Reads and writes `request.session`. Its cookie is SameSite=Lax and nothing here changes by GET: no CSRF token."""

    def csrf_protection_enabled(self) -> bool:
        return False

    def get_csrf_token(self, request: Request) -> str | None:
        return None

    def get_user(self, request: Request) -> User | None:
        return KNOWN.get(request.session.get("username", ""))

    async def get_session_data(self, request: Request, name: str) -> Any:
        return request.session.get("data", {}).get(name)

    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        await self.update_many_session_data(request, [{"data_name": name, "value": value}])

    async def update_many_session_data(self, request: Request, data_array: list[KeyDataEntry]) -> None:
        changes = {entry["data_name"]: entry.get("value") for entry in data_array}
        request.session["data"] = {**request.session.get("data", {}), **changes}

    async def delete_session_data(self, request: Request, name: str) -> None:
        request.session["data"] = {n: v for n, v in request.session.get("data", {}).items() if n != name}


app = FastAPI(title="Crossauth on somebody else's sessions")
app.add_middleware(SessionMiddleware, secret_key=local_secret("", SITE), https_only=SITE.startswith("https"))
server = FastApiServer({"session_adapter": StarletteSessions()}, {"app": app})


@app.post("/enter/{username}", responses={401: {"description": "There is no such user."}})
async def enter(username: str, request: Request) -> dict[str, str]:
    """Stands for whatever logs users in: it believes everybody."""
    if username not in KNOWN:
        raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
    request.session["username"] = username
    return {"welcome": username}


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    """A protected route, as with Crossauth's own sessions."""
    return {"username": user.username}


@app.post("/visits")
async def visits(user: CurrentUser, request: Request) -> dict[str, int]:
    """Session data through the server's own methods."""
    count = (await server.get_session_data(request, "visits") or 0) + 1
    await server.update_session_data(request, "visits", count)
    return {"visits": count}


if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)

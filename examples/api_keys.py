"""API keys for programs, and pages for their users, on SQLite. Run it: python examples/api_keys.py"""

import os
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Request, Response

from crossauth_backend import (
    LocalPasswordAuthenticator,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    User,
    open_engine,
)
from crossauth_fastapi import CurrentUser, FastApiServer, require
from crossauth_fastapi.development import first_administrator, local_secret

PORT = int(os.environ.get("PORT", "8000"))
SITE = os.environ.get("CROSSAUTH_SITE_URL", f"http://localhost:{PORT}")
DATABASE = os.environ.get("CROSSAUTH_DATABASE_URL", "sqlite:///crossauth.db")

app = FastAPI(title="Crossauth API keys")
engine = open_engine(DATABASE)
users, keys = SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine)
passwords = LocalPasswordAuthenticator(users)
server = FastApiServer(
    {
        "session": {"key_storage": keys},
        "api_key": {"key_storage": keys, "options": {"scopes": ["notes:read", "notes:write"]}},
    },
    {
        "app": app,
        "authenticators": {"localpassword": passwords},
        "enable_admin_endpoints": True,
        "secret": local_secret(DATABASE, SITE),
        "site_url": SITE,
        "user_storage": users,
    },
)
first_administrator(app, users, passwords)
TIPS = [
    {"title": "Sign up", "text": "You need an account first.", "href": "/signup"},
    {"title": "Create an API key", "text": "Give it the scopes that your program needs.", "href": "/apikeys"},
    {"title": "Call the API", "text": 'curl -H "Authorization: ApiKey xa_…" /api/notes', "href": "/docs"},
]
NOTES: dict[str, list[str]] = {}
Reader = Annotated[User, Depends(require(scope="notes:read"))]
Writer = Annotated[User, Depends(require(scope="notes:write"))]


@app.get("/", include_in_schema=False)
async def home(request: Request) -> Response:
    """A page for everybody."""
    return server.render(request, "home.jinja2", {"tips": TIPS, "protectedUrl": "/apikeys"})


@app.get("/api/notes", tags=["sample"])
async def read_notes(user: Reader) -> list[str]:
    """For users who are logged in, and for keys with the scope `notes:read`."""
    return NOTES.get(str(user.id), [])


@app.post("/api/notes", tags=["sample"])
async def write_note(user: Writer, text: str) -> list[str]:
    """For users who are logged in, and for keys with the scope `notes:write`."""
    NOTES.setdefault(str(user.id), []).append(text)
    return NOTES[str(user.id)]


@app.get("/api/me", tags=["sample"])
async def me(user: CurrentUser, request: Request) -> dict[str, str | None]:
    """Who is asking, and how: any key of the user will do."""
    key = request.state.apiKey
    return {"username": user.username, "by": request.state.auth_type, "key": key.name if key else None}


if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)

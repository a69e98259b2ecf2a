"""Sign-up, login and account pages on SQLite. Run it: python examples/session_server.py"""

import os

import uvicorn
from fastapi import FastAPI, Request, Response

from crossauth_backend import LocalPasswordAuthenticator, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_fastapi import CurrentUser, FastApiServer, UserView
from crossauth_fastapi.development import local_secret

PORT = int(os.environ.get("PORT", "8000"))
SITE = os.environ.get("CROSSAUTH_SITE_URL", f"http://localhost:{PORT}")
DATABASE = os.environ.get("CROSSAUTH_DATABASE_URL", "sqlite:///crossauth.db")

app = FastAPI(title="Crossauth sample")
engine = open_engine(DATABASE)
users = SqlAlchemyUserStorage(engine, {"user_editable_fields": ["email"]})
server = FastApiServer(
    {"session": {"key_storage": SqlAlchemyKeyStorage(engine)}},
    {
        "app": app,
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
        "secret": local_secret(DATABASE, SITE),
        "site_url": SITE,
        "user_storage": users,
    },
)
TIPS = [
    {"title": "Sign up", "text": "Create an account; it is kept in the database.", "href": "/signup"},
    {"title": "Open a protected page", "text": "Only logged-in users can open it.", "href": "/account"},
    {"title": "Call the API", "text": "Every page is also a JSON endpoint.", "href": "/docs"},
]


@app.get("/", include_in_schema=False)
async def home(request: Request) -> Response:
    """A page for everybody."""
    return server.render(request, "home.jinja2", {"tips": TIPS, "protectedUrl": "/account"})


@app.get("/account", include_in_schema=False)
async def account(request: Request, user: CurrentUser) -> Response:
    """A page for users who are logged in."""
    return server.render(request, "account.jinja2", {"sessionCreated": request.state.session_key.created})


@app.get("/api/me", tags=["sample"])
async def me(user: CurrentUser) -> UserView:
    """The user who is logged in: a protected endpoint of the application's own."""
    return UserView(**{**user.to_dict(), "factor2": user.factor2 or ""})


if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)

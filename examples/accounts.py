"""Second factors, email, recovery, API keys and administration on SQLite. Run it: python examples/accounts.py"""

import os

import uvicorn
from fastapi import FastAPI, Request, Response

from crossauth_backend import (
    EmailAuthenticator,
    LocalPasswordAuthenticator,
    Outbox,
    SqlAlchemyAuditStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    TotpAuthenticator,
    open_engine,
)
from crossauth_fastapi import CurrentUser, FastApiServer, FastApiServerOptions, OptionalUser, UserView
from crossauth_fastapi.development import first_administrator, local_secret

PORT = int(os.environ.get("PORT", "8000"))
SITE = os.environ.get("CROSSAUTH_SITE_URL", f"http://localhost:{PORT}")
DATABASE = os.environ.get("CROSSAUTH_DATABASE_URL", "sqlite:///crossauth.db")

app = FastAPI(title="Crossauth accounts")
engine = open_engine(DATABASE)
users = SqlAlchemyUserStorage(engine, {"user_editable_fields": ["email"], "admin_editable_fields": ["phone"]})
passwords = LocalPasswordAuthenticator(users)
# Where an SMTP server is configured (CROSSAUTH_SMTP_HOST, CROSSAUTH_EMAIL_FROM), mail goes there; else it can be seen at /outbox.
mailer: FastApiServerOptions = {} if "CROSSAUTH_SMTP_HOST" in os.environ else {"mailer": Outbox()}
keys = SqlAlchemyKeyStorage(engine)
server = FastApiServer(
    {"session": {"key_storage": keys}, "api_key": {"key_storage": keys}},
    {
        "app": app,
        "authenticators": {
            "localpassword": passwords,
            "totp": TotpAuthenticator("Crossauth sample"),
            "email": EmailAuthenticator(),
        },
        "allowed_factor2": ["none", "totp", "email"],
        "audit_storage": SqlAlchemyAuditStorage(engine),
        "enable_admin_endpoints": True,
        "enable_email_verification": True,
        "enable_password_reset": True,
        "secret": local_secret(DATABASE, SITE),
        "site_url": SITE,
        "user_storage": users,
        **mailer,
    },
)
first_administrator(app, users, passwords)
TIPS = [
    {"title": "Open a protected page", "text": "Only logged-in users can open it.", "href": "/account"},
    {"title": "Log out a session", "text": "See where you're logged in.", "href": "/sessions"},
    {"title": "Create an API key", "text": "Let a program act for you, without your password.", "href": "/apikeys"},
    {
        "title": "Manage users",
        "text": "Log in with the administrator shown in your terminal.",
        "href": "/admin/selectuser",
    },
    {"title": "Log in with a provider", "text": "Run make provider and examples/oauth_client.py."},
    {"title": "Call the API", "text": "Every page is also a JSON endpoint.", "href": "/docs"},
]


@app.get("/", include_in_schema=False)
async def home(request: Request, user: OptionalUser) -> Response:
    """A page for everybody."""
    root = request.scope.get("root_path", "")
    steps = [
        {"title": "Sign up", "text": "It takes a username, an email address and a password.", "href": f"{root}/signup"},
        {"title": "Verify your email address", "text": "The email appears in the outbox.", "href": f"{root}/outbox"},
        {
            "title": "Turn on two-factor authentication",
            "text": "With an app or by email.",
            "href": f"{root}/changefactor2",
        },
    ]
    done = (user is not None, user is not None, user is not None and bool(user.factor2))
    displayed = {
        "version": app.version,
        "steps": [{**step, "done": is_done} for step, is_done in zip(steps, done, strict=True)],
        "tips": [{**tip, "href": root + tip["href"]} if "href" in tip else tip for tip in TIPS],
        "protectedUrl": f"{root}/account",
    }
    return server.render(request, "home.jinja2", displayed)


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

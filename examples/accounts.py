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
from crossauth_fastapi import CurrentUser, FastApiServer, FastApiServerOptions, UserView
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
    {"title": "Sign up", "text": "With a second factor, if you like.", "href": "/signup"},
    {"title": "Read your mail", "text": "In development it is not sent but shown.", "href": "/outbox"},
    {"title": "See a protected page", "text": "Only whoever is logged in gets there.", "href": "/account"},
    {"title": "End a session", "text": "See where you are logged in.", "href": "/sessions"},
    {"title": "Create an API key", "text": "Let a program act for you, without your password.", "href": "/apikeys"},
    {"title": "Look after users", "text": "As the administrator that the terminal names.", "href": "/admin/selectuser"},
    {"title": "Log in at a provider", "text": "Run examples/oauth_client.py, and make provider beside it."},
    {"title": "Call the API", "text": "Every page has a JSON twin.", "href": "/docs"},
]


@app.get("/", include_in_schema=False)
async def home(request: Request) -> Response:
    """A page for everybody."""
    root = request.scope.get("root_path", "")
    tips = [{**tip, "href": root + tip["href"]} if "href" in tip else tip for tip in TIPS]
    return server.render(request, "home.jinja2", {"tips": tips, "protectedUrl": f"{root}/account"})


@app.get("/account", include_in_schema=False)
async def account(request: Request, user: CurrentUser) -> Response:
    """A page for whoever is logged in."""
    return server.render(request, "account.jinja2", {"sessionCreated": request.state.session_key.created})


@app.get("/api/me", tags=["sample"])
async def me(user: CurrentUser) -> UserView:
    """The user who is logged in: a protected endpoint of the application's own."""
    return UserView(**{**user.to_dict(), "factor2": user.factor2 or ""})


if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)

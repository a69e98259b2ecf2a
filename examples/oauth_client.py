"""Log in at a provider by every OAuth flow, and call its API. Run both: make provider; python examples/oauth_client.py"""

import os

import uvicorn
from fastapi import FastAPI, Request, Response

from crossauth_backend import (
    LocalPasswordAuthenticator,
    SqlAlchemyIdentityStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_fastapi import BffEndpoint, FastApiServer
from crossauth_fastapi.development import local_secret

PORT = int(os.environ.get("PORT", "8000"))
SITE = os.environ.get("CROSSAUTH_SITE_URL", f"http://localhost:{PORT}")
DATABASE = os.environ.get("CROSSAUTH_DATABASE_URL", "sqlite:///crossauth.db")
ISSUER = os.environ.get("ISSUER", "http://localhost:9000")

app = FastAPI(title="Crossauth OAuth client")
engine = open_engine(DATABASE)
users = SqlAlchemyUserStorage(engine)
server = FastApiServer(
    {"session": {"key_storage": SqlAlchemyKeyStorage(engine)}, "oauth_client": {"auth_server_base_url": ISSUER}},
    {
        "app": app,
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
        "secret": local_secret(DATABASE, SITE),
        "site_url": SITE,
        "user_storage": users,
        "client_id": os.environ.get("CROSSAUTH_OAUTH_CLIENT_ID", "client"),
        "client_secret": os.environ.get("CROSSAUTH_OAUTH_CLIENT_SECRET", "a secret of the client's, long enough"),
        "valid_flows": ["all"],
        "token_response_type": "save_in_session_and_redirect",
        "error_response_type": "page_error",
        "authorized_url": "/",
        "user_creation_type": "merge",
        "identity_storage": SqlAlchemyIdentityStorage(engine),
        "require_local_account": False,
        "link_accounts": True,
        "token_endpoints": ["have_access_token", "have_refresh_token", "have_id_token"],
        "delete_tokens_get_url": "deletetokens",
        "delete_tokens_post_url": "deletetokens",
        "bff_base_url": ISSUER,
        "bff_endpoints": [BffEndpoint("/userinfo", ["GET"], False)],
    },
)
SCOPE = "openid email offline_access"
TIPS = [
    {
        "title": "Log in at the provider",
        "text": "By the authorization code flow.",
        "href": f"/authzcodeflow?scope={SCOPE}",
    },
    {"title": "Log in with PKCE", "text": "The same, never without it.", "href": f"/authzcodeflowpkce?scope={SCOPE}"},
    {"title": "Log in by password", "text": "You enter it here. Better not.", "href": f"/passwordflow?scope={SCOPE}"},
    {"title": "Log in by device code", "text": "Confirm by phone.", "action": "/devicecodeflow", "scope": SCOPE},
    {"title": "Get a token for this application", "text": "By client credentials.", "action": "/clientcredflow"},
    {"title": "Call the API", "text": "The server adds the token.", "href": "/bff/userinfo"},
    {"title": "See your tokens", "text": "What they say, not the tokens.", "action": "/tokens"},
    {"title": "Refresh them", "text": "Without logging in again.", "action": "/refreshtokens"},
    {"title": "Delete them", "text": "You stay logged in at the provider.", "href": "/deletetokens"},
    {"title": "Link an account", "text": "Sign up here first.", "href": "/linkedaccounts"},
    {"title": "Log out at the provider", "text": "And here.", "href": "/logoutoidc"},
]


@app.get("/", include_in_schema=False)
async def home(request: Request) -> Response:
    """A page for everybody."""
    return server.render(request, "home.jinja2", {"tips": TIPS, "protectedUrl": "/bff/userinfo"})


if __name__ == "__main__":
    uvicorn.run(app, host="localhost", port=PORT)

"""The backend-for-frontend: URLs of this site that are served by an API, with the access token of the browser's session."""

from crossauth_fastapi._oauth_client.bff.routes import add_routes

__all__ = ["add_routes"]

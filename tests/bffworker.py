"""One worker of an application with a backend-for-frontend, for `uvicorn --factory tests.bffworker:create`."""

import os
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI

from crossauth_backend import SqlAlchemyKeyStorage, open_engine
from crossauth_fastapi import FastApiServer
from crossauth_fastapi.fastapioauthclient import BffEndpoint
from tests.patience import PATIENCE
from tests.support import SECRET

PROCESS = "x-process"
"""The header by which every answer says which process it comes from."""


class _Named:
    """Puts the number of the process onto every answer."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_named(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (PROCESS.encode(), str(os.getpid()).encode())]
            await send(message)

        await self.app(scope, receive, send_named)


def create() -> FastAPI:
    """The application: where its database, its provider and its API are, the environment says."""
    app = FastAPI()
    FastApiServer(
        {
            "session": {"key_storage": SqlAlchemyKeyStorage(open_engine(os.environ["SITE_DATABASE"]))},
            "oauth_client": {
                "auth_server_base_url": os.environ["SITE_PROVIDER"],
                "options": {
                    "client_id": os.environ["SITE_CLIENT_ID"], "client_secret": os.environ["SITE_CLIENT_SECRET"],
                    "valid_flows": ["password", "refresh_token"], "fetch_timeout": PATIENCE,
                    "token_response_type": "save_in_session_and_load", "bff_base_url": os.environ["SITE_API"],
                    "bff_endpoints": [BffEndpoint("/me", ["GET"], False)],
                },
            },
        },
        {"app": app, "secret": SECRET, "site_url": "http://localhost:8000"},
    )  # fmt: skip
    app.add_middleware(_Named)
    return app

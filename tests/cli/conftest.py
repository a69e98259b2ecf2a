"""An application in a folder of its own, which commands are given."""

from pathlib import Path

import pytest

SHOP = """
import os
from fastapi import FastAPI
from crossauth_backend import (
    LocalPasswordAuthenticator, Outbox, SqlAlchemyAuditStorage, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine,
)
from crossauth_fastapi import FastApiServer

engine = open_engine(os.environ.get("DATABASE_URL", "sqlite:///shop.db"))
migrate = {"migrate": os.environ.get("MIGRATE") != "no"}
users = SqlAlchemyUserStorage(engine, migrate)
app = FastAPI()
outbox = Outbox()
server = FastApiServer(
    {"session": {"key_storage": SqlAlchemyKeyStorage(engine, migrate)}},
    {
        "app": app, "user_storage": users, "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
        "audit_storage": SqlAlchemyAuditStorage(engine, migrate), "site_url": "http://localhost:8000",
        **({} if os.environ.get("RESET") == "no" else {"enable_password_reset": True, "mailer": outbox}),
    },
)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with `shop.py`, which has users, sessions, an audit table and password reset."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path

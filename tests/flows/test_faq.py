"""Every message that the FAQ explains is really given, in these words."""

import ast
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from crossauth_backend import (
    CrossauthError,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    Outbox,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    TotpAuthenticator,
    User,
    open_engine,
)
from crossauth_fastapi import CurrentUser, FastApiServer, require

ROOT = Path(__file__).parents[2]
FAQ = (ROOT / "docs" / "faq.md").read_text()
MESSAGES = re.findall(r"^### `(.*)`$", FAQ, re.MULTILINE)
SECRET = "a long secret of this application"
MAIL = {"enable_password_reset": True, "email_from": "shop@example.com"}
SITE = {"site_url": "https://shop.example.com"}
CUSTOMERS, SMALL = (
    sa.Table(
        "customer",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, unique=True) for name in names),
    )
    for names in (("username", "username_normalized", "state", "factor1"), ("username",))
)


def start(app: FastAPI | None = None, servers: dict[str, Any] | None = None, **options: Any) -> FastAPI:
    """An application with these options, started once."""
    app = app or FastAPI()
    users = options.pop("users", None) or InMemoryUserStorage()
    provided = {"secret": SECRET, "authenticators": {"localpassword": LocalPasswordAuthenticator(users)}, **options}
    FastApiServer(
        {"session": {"key_storage": InMemoryKeyStorage()}, **(servers or {})},  # type: ignore[typeddict-item]
        {"app": app, "user_storage": users, **{k: v for k, v in provided.items() if v is not None}},  # type: ignore[typeddict-item]
    )
    with TestClient(app, base_url="https://testserver"):
        pass
    return app


def start_sql(**options: Any) -> None:
    """One on SQLite, with these options of the user storage."""
    engine = open_engine("sqlite://")
    users = SqlAlchemyUserStorage(engine, options)  # type: ignore[arg-type]
    app = FastAPI()
    FastApiServer(
        {"session": {"key_storage": SqlAlchemyKeyStorage(engine)}},
        {
            "app": app,
            "secret": SECRET,
            "user_storage": users,
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
        },
    )
    with TestClient(app):
        pass


async def _takes_a_user(user: User) -> None: ...


async def _for_keys(user: Annotated[User, Depends(require(credentials=["api_key"]))]) -> None: ...


def start_with(route: Any) -> None:
    """One with this route."""
    app = FastAPI()
    app.get("/orders")(route)
    start(app)


def two_factors() -> dict[str, Any]:
    users = InMemoryUserStorage()
    both = {"localpassword": LocalPasswordAuthenticator(users), "totp": TotpAuthenticator("Shop")}
    return {"allowed_factor2": ["none", "totp"], "authenticators": both}


STARTS: dict[str, Callable[[], object]] = {
    "no secret": lambda: start(secret=None),
    "short secret": lambda: start(secret="short"),
    "typo": lambda: start(login_redirct="/"),
    "wrong type": lambda: start(trusted_proxies="127.0.0.1"),
    "no effect": lambda: start(audit_retention_days=5),
    "plain http": lambda: start(site_url="http://shop.example.com"),
    "no scheme": lambda: start(site_url="shop.example.com"),
    "no mail server": lambda: start(**MAIL, **SITE),
    "mail without a site": lambda: start(**MAIL, smtp_host="mail.example.com"),
    "outbox": lambda: start(**MAIL, **SITE, mailer=Outbox()),
    "factor without authenticator": lambda: start(allowed_factor2=["none", "totp"]),
    "path of no route": lambda: start(**two_factors(), factor2_protected_page_endpoints=["/nothing"]),
    "proxy by name": lambda: start(trusted_proxies=["nginx"]),
    "limit": lambda: start(attempt_limits={"login": None}),
    "endpoint": lambda: start(endpoints=["signin"]),
    "endpoint of a feature that is off": lambda: start(endpoints=["login", "resetpassword"]),
    "twice": lambda: start(start()),
    "no table": lambda: start_sql(table=CUSTOMERS),
    "no migration": lambda: start_sql(migrate=False),
    "columns": lambda: start_sql(table=SMALL),
    "editable field": lambda: start_sql(user_editable_fields=["company"]),
    "driver": lambda: open_engine("postgresql+psycopg2://localhost/app"),
    "user as parameter": lambda: start_with(_takes_a_user),
    "nobody": lambda: start_with(_for_keys),
    "later": lambda: start(servers={"oauth_auth_server": {}}),
}


def explained(text: str) -> list[str]:
    """The headings of the FAQ that stand for this message."""
    found = []
    for message in MESSAGES:
        pattern = ".+".join(re.escape(part) for part in message.split("…"))
        if re.fullmatch(pattern, text, re.DOTALL):
            found.append(message)
    return found


@pytest.mark.parametrize("case", STARTS)
def test_a_message_at_the_start_is_explained(case: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        STARTS[case]()
    assert explained(refused.value.message), f"the FAQ doesn't explain: {refused.value.message}"


def test_a_wrong_environment_variable_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_SESSION_MAX_PER_USER", "many")
    with pytest.raises(CrossauthError) as refused:
        start()
    assert explained(refused.value.message), refused.value.message


def test_the_messages_about_csrf_are_explained() -> None:
    app = start()
    with TestClient(app) as client:
        plain = client.post("/api/login", json={}).json()
    with TestClient(app, base_url="https://testserver") as client:
        bare = client.post("/api/login", json={}).json()
        client.get("/api/getcsrftoken")
        wrong = client.post("/api/login", json={}).json()
    messages = [answer["errorMessage"] for answer in (plain, bare, wrong)]
    assert [answer["errorCodeName"] for answer in (plain, bare, wrong)] == ["InvalidCsrf"] * 3
    assert len(set(messages)) == 3
    for message in messages:
        assert explained(message), message


def test_a_missing_server_is_explained(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()

    @app.get("/orders")
    async def orders(user: CurrentUser) -> None: ...

    with caplog.at_level(logging.ERROR), pytest.raises(CrossauthError) as refused, TestClient(app) as client:
        client.get("/orders")
    assert explained(refused.value.detail or ""), refused.value.detail


def test_every_message_of_the_log_is_in_the_code() -> None:
    texts = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    code = "\n".join(texts)
    logged = re.findall(r"^### `(.*)`$", FAQ.partition("## In the log")[2].partition("\n## ")[0], re.MULTILINE)
    assert len(logged) > 3
    for message in logged:
        longest = max(re.split(r"[…';:]|http://|\d+", message), key=len).strip()
        assert longest in code, f"no code has the text {longest!r}"

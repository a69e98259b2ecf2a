"""`crossauth doctor` on applications as people write them."""

import json
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_fastapi.cli.doctor.command import RULES
from tests.cli.support import invoke, query, unwrapped
from tests.unit.cli.doctor_fixtures import OTHER, RANDOM

WELL = """
from fastapi import FastAPI
from crossauth_backend import (
    LocalPasswordAuthenticator, SqlAlchemyAuditStorage, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, TotpAuthenticator,
    open_engine,
)
from crossauth_fastapi import FastApiServer

engine = open_engine("sqlite:///well.db")
users = SqlAlchemyUserStorage(engine)
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
server = FastApiServer(
    {"session": {"key_storage": SqlAlchemyKeyStorage(engine)}},
    {
        "app": app, "user_storage": users, "audit_storage": SqlAlchemyAuditStorage(engine),
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users), "totp": TotpAuthenticator("Shop")},
        "allowed_factor2": ["totp", "none"], "site_url": "https://shop.acme.io", "trusted_proxies": ["10.0.0.5"],
        "session_cookie_options": {"idle_timeout": 3600}, "enable_password_reset": True, "enable_email_verification": True,
        "smtp_host": "mail.acme.io", "email_from": "shop@acme.io",
    },
)
"""
ILL = """
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from crossauth_backend import InMemoryKeyStorage, LocalPasswordAuthenticator, SqlAlchemyUserStorage, open_engine
from crossauth_fastapi import FastApiServer

users = SqlAlchemyUserStorage(open_engine("sqlite:///ill.db"), {"migrate": False})
app = FastAPI(debug=True)
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
server = FastApiServer(
    {"session": {"key_storage": InMemoryKeyStorage()}, "api_key": {"key_storage": InMemoryKeyStorage(),
     "options": {"default_expiry": None, "max_expiry": None}}, "oauth_client": {"auth_server_base_url": "https://id.acme.io"}},
    {
        "app": app, "user_storage": users, "site_url": "https://shop.acme.io", "client_id": "shop",
        "authenticators": {"localpassword": LocalPasswordAuthenticator(users, {"validate_password_fn": lambda params: []})},
        "attempt_limits": {"login_account": None}, "trusted_proxies": ["0.0.0.0/0"], "valid_flows": ["password"],
        "session_cookie_options": {"secure": False, "httpOnly": False, "maxAge": 0},
        "reauthentication_seconds": None, "enable_admin_endpoints": True,
    },
)
"""


def ids(folder: Path, *arguments: str, **variables: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the details of what was found by the ids of rules."""
    done = invoke(folder, "doctor", *arguments, "--json", **{"CROSSAUTH_SECRET": RANDOM, **variables})
    told: dict[str, Any] = json.loads(done.stdout)
    found = told["findings"]
    assert sum(told["found"].values()) == len(found)
    return done.exit_code, {one["id"]: one["detail"] for one in found}


async def migrate(file: Path) -> None:
    from crossauth_backend import SqlAlchemyAuditStorage

    engine = open_engine(f"sqlite:///{file}")
    for kind in (SqlAlchemyUserStorage, SqlAlchemyKeyStorage, SqlAlchemyAuditStorage):
        await kind(engine).migrate()
    await engine.dispose()


async def test_a_good_configuration_has_no_findings(tmp_path: Path) -> None:
    (tmp_path / "well.py").write_text(WELL)
    code, found = ids(tmp_path, "well:app", CROSSAUTH_ENCRYPTION_KEYS=json.dumps([OTHER, RANDOM]))
    assert (code, set(found)) == (0, {"schema-upgrade-at-start"})
    # Looking has made nothing.
    assert query(tmp_path / "well.db", "select count(*) from sqlite_master") == [(0,)]
    await migrate(tmp_path / "well.db")
    code, found = ids(tmp_path, "well", CROSSAUTH_ENCRYPTION_KEYS=json.dumps([OTHER, RANDOM]))
    assert (code, found) == (0, {})
    text = invoke(tmp_path, "doctor", "well", CROSSAUTH_SECRET=RANDOM, CROSSAUTH_ENCRYPTION_KEYS=f'["{OTHER}"]').stdout
    assert text.strip() == f"Checked {len(RULES)} rules: 0 errors, 0 warnings, 0 notes"


async def test_a_bad_one_has_many(tmp_path: Path) -> None:
    (tmp_path / "ill.py").write_text(ILL)
    environment = {"CROSSAUTH_SMPT_HOST": "x", "FORWARDED_ALLOW_IPS": "*", "CROSSAUTH_OAUTH_CLIENT_SECRET": RANDOM}
    code, found = ids(tmp_path, "ill", "--workers", "4", **environment)
    assert code == 1
    assert {
        "password-rules-weak", "limits-off", "proxies-too-wide", "cookie-not-secure", "cookie-not-httponly",
        "session-too-long", "session-no-idle-timeout", "reauthentication-off", "debug", "docs-public",
        "cors-any-origin", "storage-per-worker", "sqlite-with-workers", "api-keys-endless", "variable-misspelled",
        "proxy-headers-twice", "password-flow", "tokens-in-browser", "secret-reused", "audit-off", "schema-behind",
        "factor2-not-offered", "admin-factor2-impossible", "reset-off",
    } == set(found)  # fmt: skip
    assert "login_account" in found["limits-off"]
    assert found["schema-behind"].startswith("Table 'User")
    text = invoke(tmp_path, "doctor", "ill", "--offline", CROSSAUTH_SECRET=RANDOM, **environment).stdout
    assert "ERROR limits-off: Limits of attempts are switched off" in text
    assert "  Fix:   " in text
    assert "schema-behind" not in text
    assert RANDOM not in text


async def test_administrators_are_looked_for(shop: Path) -> None:
    await migrate(shop / "shop.db")
    more = {"CROSSAUTH_ENABLE_ADMIN_ENDPOINTS": "true"}
    assert "admin-missing" in ids(shop, "shop", **more)[1]
    made = invoke(shop, "create-admin", "shop", "--username", "merlin", "--generate-password")
    assert made.exit_code == 0, made.output
    assert "admin-missing" not in ids(shop, "shop", **more)[1]
    query(shop / "shop.db", "update \"User\" set state = 'disabled'")
    assert "admin-missing" in ids(shop, "shop", **more)[1]


def test_on_postgresql_the_clock_and_the_connection_are_asked(shop: Path, postgres: Any) -> None:
    url = postgres.create_database()
    code, found = ids(shop, "shop", DATABASE_URL=url)
    assert (code, "clock-skew" in found, "connection-plain" in found) == (0, False, False)
    away = "postgresql://nobody:hunter2hunter2@127.0.0.1:1/none"
    code, found = ids(shop, "shop", DATABASE_URL=away)
    assert code == 1
    assert "cannot be reached" in found["database-unreachable"]
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CROSSAUTH_SECRET": "short"}, "at least 32 characters"),
        ({"CROSSAUTH_ATTEMPT_LIMITS": '{"logn_account": null}'}, "login_account"),
        ({"CROSSAUTH_ENDPOINTS": '["nonsense"]'}, "nonsense"),
        ({"CROSSAUTH_OAUTH_CLIENT_ID": "shop"}, "nothing here reads it"),
    ],
)
def test_what_start_up_refuses_is_a_finding(shop: Path, variables: dict[str, str], said: str) -> None:
    code, found = ids(shop, "shop", **variables)
    assert code == 1
    assert said in found["start-refused"]


def test_a_module_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('a text with hunter2 in it')")
    code, found = ids(tmp_path, "broken")
    assert code == 1
    assert "RuntimeError" in found["start-refused"]
    assert "hunter2" not in found["start-refused"]
    none = invoke(tmp_path, "doctor", "nowhere")
    assert none.exit_code == 2
    assert "no module 'nowhere'" in unwrapped(none.stderr)


def test_files_with_settings_and_a_new_application(tmp_path: Path) -> None:
    assert invoke(tmp_path, "init").exit_code == 0
    code, found = ids(tmp_path)
    assert (code, found) == (0, {})
    (tmp_path / ".env").chmod(0o644)
    (tmp_path / ".env.example").write_text("")
    code, found = ids(tmp_path)
    assert (code, found) == (1, {"env-file-readable": ".env has the mode 644"})
    assert ids(tmp_path, "--ignore", "env-file-readable") == (0, {})


def test_strictness_and_the_list(shop: Path) -> None:
    arguments = ("doctor", "shop", "--offline")
    assert invoke(shop, *arguments, CROSSAUTH_SECRET=RANDOM).exit_code == 0
    assert invoke(shop, *arguments, "--strict", CROSSAUTH_SECRET=RANDOM).exit_code == 1
    production = ids(shop, "shop", "--offline", "--production")[1]
    assert {"site-url-localhost", "mail-outbox"} <= set(production)
    listed = json.loads(invoke(shop, "doctor", "--list", "--json").stdout)
    assert [one["id"] for one in listed] == [rule.id for rule in RULES]
    wrong = invoke(shop, "doctor", "shop", "--ignore", "nonsense")
    assert wrong.exit_code == 2
    assert "there is no rule nonsense" in unwrapped(wrong.stderr)

"""Tables that must be whole: what one of them lacks is missing without anybody noticing."""

import ast
import inspect
import re
import runpy
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

import crossauth_backend
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.factors.base import Authenticator, PasswordAuthenticator
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.storages.sqlalchemy import schema
from crossauth_backend.storages.sqlalchemy.tables import EXTRA_SECRETS, secrets_table
from crossauth_backend.users.record import UserSecrets, UserSecretsInputFields
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.endpoints import AllEndpoints
from tests.structure.option_reads import Code

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
# Options that no page of a feature speaks of: what docs/options.md says of them is enough.
ONLY_IN_THE_REFERENCE = set(
    """
    access_token_types algorithms audit_table auth_scheme clock_tolerance identity_table
    email_token_storage enable_oauth_client_management
    enable_secret_for_password_hash fetch_timeout fetcher
    friendly_name hash_session_id hashing_threads header_name httpOnly introspection_cache_seconds
    introspection_endpoint introspection_needs_audience jwks_max_age
    jwt_key_type jwt_secret_key_file key_length
    persist_access_token
    sms_authenticator_from smtp_port
    userid_foreign_key_column
    """.split()  # noqa: SIM905
)
_FEATURES = runpy.run_path(str(ROOT / "scripts" / "generate_docs.py"))["FEATURES"]
TABLES = list(dict.fromkeys(section.settings for sections in _FEATURES.values() for section in sections))

_MAIL = (
    "crossauth_backend/email_tokens/manager.py",
    'getattr(s, f"{kind}_{part}") for part in ("subject", "text_body",',
)
_CORE = "crossauth_fastapi/fastapi_users/_core.py"
# Options that are read where no class says so: the file, and what in it reads them.
READ_BY_NAME = {
    "ServerParams.oauth_auth_server": (
        "crossauth_fastapi/_assembly/options.py",
        'params.get("oauth_auth_server") is not None',
    ),
    "ServerSettings.app": ("crossauth_fastapi/fastapiserver.py", "settings.app or FastAPI()"),
    "SessionServerSettings.email_verification_text_body": _MAIL,
    "SessionServerSettings.email_verification_html_body": _MAIL,
    "SessionServerSettings.email_verification_subject": _MAIL,
    "SessionServerSettings.password_reset_text_body": _MAIL,
    "SessionServerSettings.password_reset_html_body": _MAIL,
    "SessionServerSettings.password_reset_subject": _MAIL,
    "SessionServerSettings.factor2_protected_page_endpoints": (
        "crossauth_fastapi/_session/stepup.py",
        "(PAGES_OPTION, False)",
    ),
    "SessionServerSettings.factor2_protected_api_endpoints": (
        "crossauth_fastapi/_session/stepup.py",
        "(APIS_OPTION, True)",
    ),
    "EmailAuthenticatorSettings.friendly_name": ("crossauth_backend/factors/base.py", "self.settings.friendly_name"),
    # Arguments that are used as they are.
    "FastAPIUsersSettings.session_manager": (_CORE, "session_manager.accounts()"),
    "FastAPIUsersSettings.key_storage": (_CORE, "self.keys = key_storage"),
}
# What an omission looks like: where an option is handed on, or read for the only time.
OMISSIONS = [
    ("crossauth_backend/_sessionmanagerbase.py", "self.settings.session_max_per_user", "SessionServerSettings"),
    ("crossauth_backend/_sessionmanagerbase.py", "self.settings.before_delete_user", "SessionServerSettings"),
    ("crossauth_backend/oauth/resource/parts.py", "settings.introspection_cache_seconds", "TokenConsumerSettings"),
    ("crossauth_fastapi/_oauth_resource/context.py", "self.settings.error_body", "FastApiResourceServerSettings"),
    ("crossauth_backend/api_keys/rows.py", "self.settings.max_per_user", "ApiKeySettings"),
    ("crossauth_fastapi/_oauth_client/logout.py", "ctx.options.logout_id_token_hint", "ClientServerSettings"),
    ("crossauth_backend/factors/password/authenticator.py", "s.hashing_queue", "LocalPasswordSettings"),
]


@pytest.mark.parametrize("kind", schema.HEADS)
def test_the_heads_are_those_of_the_migrations(kind: str) -> None:
    folders = {folder.name for folder in schema._MIGRATIONS.iterdir() if (folder / "versions").is_dir()}
    assert folders == set(schema.HEADS)
    assert ScriptDirectory(str(schema._MIGRATIONS / kind)).get_heads() == [schema.HEADS[kind]]


def test_every_action_can_be_switched_on_by_name() -> None:
    names = {a.page_endpoint for a in ACTIONS if a.get_page}
    names |= {a.api_endpoint for a in ACTIONS if a.submit or a.get_json}
    assert names <= set(AllEndpoints)


def test_every_action_that_is_read_and_sent_says_what_reading_it_does() -> None:
    assert {a.name for a in ACTIONS if a.json_summary} == {a.name for a in ACTIONS if a.get_json and a.submit}


@pytest.fixture(scope="module")
def code() -> Code:
    return Code([*TABLES, Accounts])


def unread(code: Code) -> set[str]:
    """The options that nothing outside of the tables reads, and not the doctor alone."""
    rows = [(t, n, f.metadata) for t in TABLES for n, f in t.__dataclass_fields__.items() if "doc" in f.metadata]
    expected = [(t, n) for t, n, told in rows if not (told["planned"] or told["unread"])]
    return {f"{table.__name__}.{name}" for table, name in expected if not code.is_read(table, name)}


def test_every_option_is_read(code: Code) -> None:
    assert unread(code) == set(READ_BY_NAME)
    for file, text in READ_BY_NAME.values():
        assert text in (SOURCE / file).read_text(), text


def test_an_option_that_is_not_handed_on_is_noticed(code: Code) -> None:
    """Although the doctor, its table and its page name it, and other classes have attributes of the same name."""
    changed: dict[str, str] = {}
    for file, text, _ in OMISSIONS:
        source = changed.get(file) or (SOURCE / file).read_text()
        assert text in source, text
        changed[file] = source.replace(text, "None")
    assert unread(Code(TABLES, changed)) - unread(code) == {
        f"{table}.{text.rpartition('.')[2]}" for _, text, table in OMISSIONS
    }


def test_every_option_is_on_the_page_of_its_feature() -> None:
    pages = "\n".join(
        page.read_text()
        for page in (ROOT / "docs").rglob("*.md")
        if page.name != "options.md" and page.parent.name != "reference"
    )
    fields = [f for table in TABLES for f in table.__dataclass_fields__.values() if "doc" in f.metadata]
    names = {f.name for f in fields if not (f.metadata["planned"] or f.name.endswith("_page"))}
    missing = {name for name in names if not re.search(rf"\b{name}\b", pages)}
    assert missing == ONLY_IN_THE_REFERENCE


def test_everything_that_accounts_work_with_is_handed_to_them() -> None:
    """A field with a default that nobody sets is an option that does nothing."""
    tree = ast.parse((SOURCE / "crossauth_backend" / "_sessionmanagerbase.py").read_text())
    calls = [c for c in ast.walk(tree) if isinstance(c, ast.Call) and getattr(c.func, "id", "") == "Accounts"]
    provided = {keyword.arg for call in calls for keyword in call.keywords}
    # As the request found the application: set for each request.
    assert set(Accounts.__dataclass_fields__) - {"root_path"} == provided


def test_everything_that_accounts_work_with_is_used(code: Code) -> None:
    assert [name for name in Accounts.__dataclass_fields__ if not code.is_read(Accounts, name)] == []


def test_every_second_factor_is_in_the_table_of_its_page() -> None:
    page = (ROOT / "docs" / "second_factors.md").read_text()
    factors = [v for v in vars(crossauth_backend).values() if isinstance(v, type) and issubclass(v, Authenticator)]
    second = [f for f in factors if not (inspect.isabstract(f) or f.test_only or issubclass(f, PasswordAuthenticator))]
    assert len(second) > 3
    for factor in second:
        assert re.search(rf"^\|.*`{factor.__name__}\(", page, re.MULTILINE), factor


def test_a_secret_with_a_column_is_in_the_record_and_in_its_shape() -> None:
    columns = {column.name for column in secrets_table("s", "userid", sa.Integer()).columns}
    fields = set(UserSecrets.__dataclass_fields__)
    assert columns == fields
    assert EXTRA_SECRETS in fields
    assert set(get_type_hints(UserSecretsInputFields)) == fields - {"userid", EXTRA_SECRETS}


def test_there_is_one_way_into_the_limits() -> None:
    """`Accounts.limited`, `counted` and `allowed`, or the functions behind them; all of them tell of a limit that is reached."""
    outside = []
    for path in sorted(SOURCE.rglob("*.py")):
        if (
            path.parent.name not in ("limits", "testing")
            and path != SOURCE / "crossauth_backend" / "accounts" / "context.py"
            and path != SOURCE / "crossauth_fastapi" / "fastapi_users" / "_core.py"
            # An OAuth client counts without accounts, too.
            and path != SOURCE / "crossauth_fastapi" / "_oauth_client" / "steps.py"
            # A client may be on its own, without a session server and its `Accounts`.
            and path != SOURCE / "crossauth_fastapi" / "_oauth_client" / "steps.py"
        ):
            outside += [f"{path.name}: {line}" for line in path.read_text().splitlines() if _COUNTS.search(line)]
    assert outside == []
    for method in (AttemptLimits.count, AttemptLimits.allows):
        assert inspect.signature(method).parameters["events"].default is inspect.Parameter.empty


# What counts, or gives back, without `Accounts`.
_COUNTS: Any = re.compile(r"\blimits\.(count|allows|attempt)\(|\.count_up\(|\.count_within\(")

"""Every option of every server has a type, a row in the table that it is read by, and a row in the reference page."""

import importlib
import inspect
import pkgutil
import runpy
from collections import Counter
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

import pytest

import crossauth_backend
import crossauth_fastapi
from crossauth_backend import (
    ApiKeyManagerOptions,
    CrossauthError,
    EmailAuthenticatorOptions,
    ErrorCode,
    LocalPasswordAuthenticatorOptions,
    OAuthClientOptions,
    OAuthResourceServerOptions,
    OAuthTokenConsumerOptions,
    SmsAuthenticatorOptions,
    TokenEmailerOptions,
    UserStorageOptions,
)
from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.core.options import describe, option_names, read_options
from crossauth_backend.core.optiontypes import type_name
from crossauth_backend.delivery.options import MailOptions, MailSettings
from crossauth_backend.email_tokens.options import TokenEmailerSettings
from crossauth_backend.factors.base import AuthenticatorOptions, AuthenticatorSettings
from crossauth_backend.factors.email_otp.authenticator import EmailAuthenticatorSettings
from crossauth_backend.factors.password.options import LocalPasswordSettings
from crossauth_backend.factors.sms_otp.authenticator import SmsAuthenticatorSettings
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.resource.options import ResourceServerSettings, TokenConsumerSettings
from crossauth_backend.sessionmanager import SessionManagerOptions, SessionManagerSettings
from crossauth_backend.sessions.options import (
    CookieOptions,
    CsrfSettings,
    DoubleSubmitCsrfTokenOptions,
    KnownDeviceCookieOptions,
    KnownDeviceSettings,
    SessionCookieOptions,
    SessionCookieSettings,
)
from crossauth_backend.storages.memory.options import InMemoryUserStorageOptions, InMemoryUserStorageSettings
from crossauth_backend.storages.redis.keys import RedisKeySettings, RedisKeyStorageOptions
from crossauth_backend.storages.sqlalchemy.audit import SqlAlchemyAuditStorageOptions, SqlAuditSettings
from crossauth_backend.storages.sqlalchemy.identities import SqlAlchemyIdentityStorageOptions, SqlIdentitySettings
from crossauth_backend.storages.sqlalchemy.keys import SqlAlchemyKeyStorageOptions, SqlKeySettings
from crossauth_backend.storages.sqlalchemy.useroptions import SqlAlchemyUserStorageOptions, SqlUserSettings
from crossauth_backend.users.options import UserStorageSettings
from crossauth_backend.users.reads import UserStorageGetOptions
from crossauth_fastapi import (
    FastApiApiKeyServerOptions,
    FastApiOAuthClientOptions,
    FastApiOAuthResourceServerOptions,
    FastApiServerOptions,
    FastApiServerParams,
    FastApiSessionServerOptions,
)
from crossauth_fastapi._api_keys.options import ApiKeyServerSettings
from crossauth_fastapi._assembly.components import COMPONENTS
from crossauth_fastapi._assembly.options import FastApiOAuthResServerOptions, ServerParams, ServerSettings
from crossauth_fastapi._http.cookies import FastApiCookieOptions
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._oauth_resource.options import FastApiResourceServerSettings
from crossauth_fastapi._pages.options import BrandOptions, BrandSettings
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users._options import FastAPIUsersSettings

ROOT = Path(__file__).parents[2]
DOCS = runpy.run_path(str(ROOT / "scripts" / "generate_docs.py"))
SECTIONS = [section for sections in DOCS["FEATURES"].values() for section in sections]
TABLES = list(dict.fromkeys(section.settings for section in SECTIONS))
# By what tables each documented shape is read.
SHAPES: dict[Any, tuple[type, ...]] = {
    ApiKeyManagerOptions: (ApiKeySettings,),
    AuthenticatorOptions: (AuthenticatorSettings,),
    BrandOptions: (BrandSettings,),
    DoubleSubmitCsrfTokenOptions: (CsrfSettings,),
    EmailAuthenticatorOptions: (EmailAuthenticatorSettings,),
    FastApiApiKeyServerOptions: (ApiKeySettings, ApiKeyServerSettings),
    FastApiOAuthClientOptions: (ClientServerSettings, ClientSettings),
    FastApiOAuthResourceServerOptions: (FastApiResourceServerSettings, ResourceServerSettings),
    FastApiOAuthResServerOptions: (FastApiResourceServerSettings, ResourceServerSettings, TokenConsumerSettings),
    FastApiSessionServerOptions: (SessionServerSettings,),
    InMemoryUserStorageOptions: (UserStorageSettings, InMemoryUserStorageSettings),
    KnownDeviceCookieOptions: (KnownDeviceSettings,),
    LocalPasswordAuthenticatorOptions: (LocalPasswordSettings,),
    MailOptions: (MailSettings,),
    OAuthClientOptions: (ClientSettings,),
    OAuthResourceServerOptions: (ResourceServerSettings,),
    OAuthTokenConsumerOptions: (TokenConsumerSettings,),
    RedisKeyStorageOptions: (RedisKeySettings,),
    SessionCookieOptions: (SessionCookieSettings,),
    SessionManagerOptions: (SessionManagerSettings,),
    SmsAuthenticatorOptions: (SmsAuthenticatorSettings,),
    SqlAlchemyAuditStorageOptions: (SqlAuditSettings,),
    SqlAlchemyIdentityStorageOptions: (SqlIdentitySettings,),
    SqlAlchemyKeyStorageOptions: (SqlKeySettings,),
    SqlAlchemyUserStorageOptions: (UserStorageSettings, SqlUserSettings),
    TokenEmailerOptions: (TokenEmailerSettings,),
    UserStorageOptions: (UserStorageSettings,),
}
# What is no table's: the arguments of a look-up, the attributes that all cookies have, and the union of all servers' options.
NO_TABLE = {UserStorageGetOptions, CookieOptions, FastApiCookieOptions, FastApiServerOptions}
CASES = list(SHAPES.items())
NUMBERS = [
    (table, name)
    for table in TABLES
    for name, field in table.__dataclass_fields__.items()
    if str(field.type).split(" | ")[0] in ("int", "float") and not field.metadata.get("unread")
]
IMPOSSIBLE = [-(10**9), 10**30, float("inf"), float("-inf"), float("nan"), True, "1", 1.5]


def everything() -> list[Any]:
    found = []
    for package in (crossauth_backend, crossauth_fastapi):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in module.name and not module.name.endswith("__main__"):
                found += vars(importlib.import_module(module.name)).items()
    return found


def canonical(table: type) -> dict[str, str]:
    """The name of an option by each of its spellings."""
    rows = describe(table)
    return {spelling: row["name"] for row in rows for spelling in (row["name"], *row["names"].split(", ")) if spelling}


def kind(hint: Any) -> str:
    return "mapping" if is_typeddict(hint) else type_name(hint)


def test_every_documented_shape_is_read_by_a_table() -> None:
    shapes = {v for name, v in everything() if is_typeddict(v) and name == v.__name__ and name.endswith("Options")}
    assert shapes == set(SHAPES) | NO_TABLE


@pytest.mark.parametrize(("shape", "tables"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_shape_and_its_tables_have_the_same_options_of_the_same_types(shape: Any, tables: tuple[type, ...]) -> None:
    names = {spelling: name for table in tables for spelling, name in canonical(table).items()}
    hints = get_type_hints(shape)
    assert {names.get(name, f"{name}, which no table has") for name in hints} == set(names.values())
    for table in tables:
        known = get_type_hints(table)
        for name, hint in hints.items():
            field = table.__dataclass_fields__.get(names[name])
            if field is not None and "doc" in field.metadata and field.metadata["kind"] is None:
                assert kind(hint) == type_name(known[names[name]]), name


def test_a_server_takes_the_options_of_every_server() -> None:
    """And their types are known where they are given."""
    known = get_type_hints(FastApiServerOptions)
    for row in COMPONENTS:
        assert set(row.shared_names()) <= set(known), row.param
    assert set(option_names(ServerSettings)) <= set(known)
    assert {row.param for row in COMPONENTS} <= set(FastApiServerParams.__annotations__)
    assert set(FastApiServerParams.__annotations__) <= set(option_names(ServerParams))


def test_the_arguments_of_the_routes_are_those_of_their_table() -> None:
    by_name = [
        p.name for p in inspect.signature(FastAPIUsers).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert sorted(by_name) == sorted(option_names(FastAPIUsersSettings))


def test_every_table_of_options_is_in_the_reference_page() -> None:
    named = {v for name, v in everything() if isinstance(v, type) and name == v.__name__ and name.endswith("Settings")}
    # What a provider for tests is told is no option of an application.
    found = {table for table in named if ".testing." not in table.__module__}
    # A table from which another one derives is shown with it.
    displayed = {
        table for table in found if not any(other is not table and issubclass(other, table) for other in found)
    }
    assert displayed == set(TABLES) - {ServerParams}


def test_every_number_has_bounds() -> None:
    """A number that cannot be is known at the start, and not when a date overflows."""
    assert len(NUMBERS) > 10
    for table, name in NUMBERS:
        bounds = table.__dataclass_fields__[name].metadata["bounds"]
        assert None not in (bounds.at_least, bounds.at_most), name


def test_every_option_has_one_row_in_the_reference_page() -> None:
    for table in TABLES:
        displayed = Counter(row["name"] for s in SECTIONS if s.settings is table for row in DOCS["rows"](s))
        assert displayed == Counter(row["name"] for row in describe(table)), table.__name__
    titles = [section.title for section in SECTIONS]
    assert len(set(titles)) == len(titles)


def test_every_row_says_a_type_and_what_the_option_does() -> None:
    for table in TABLES:
        for row in describe(table):
            assert row["doc"], row["name"]
            assert row["type"] not in ("", "Any", "any value"), f"{table.__name__}.{row['name']}"
            assert "list of any" not in row["type"], f"{table.__name__}.{row['name']}"


@pytest.mark.parametrize(("table", "name"), NUMBERS, ids=lambda v: getattr(v, "__name__", v))
def test_a_number_that_cannot_be_is_refused(table: type, name: str) -> None:
    for value in IMPOSSIBLE:
        with pytest.raises(CrossauthError) as refused:
            read_options(table, {name: value}, component="It", environ={})
        assert refused.value.code is ErrorCode.Configuration
        assert f"option {name!r} must be" in refused.value.message, (value, refused.value.message)


@pytest.mark.parametrize(("table", "name"), NUMBERS, ids=lambda v: getattr(v, "__name__", v))
def test_a_number_in_the_environment_that_cannot_be_is_refused(table: type, name: str) -> None:
    variable = next((row["env"].split(", ")[0] for row in describe(table) if row["name"] == name), "")
    for text in ("inf", "nan", "-1e9", "9" * 30, "9" * 5000, "1.5", "", "true") if variable else ():
        with pytest.raises(CrossauthError) as refused:
            read_options(table, {}, component="It", environ={variable: text})
        assert f"environment variable {variable} must be" in refused.value.message, text


def test_the_page_says_which_actions_of_every_server_ask_for_the_second_factor() -> None:
    (section,) = (s for s in SECTIONS if s.title == "Second factors")
    defaults = {row["name"]: row["default"] for row in DOCS["rows"](section)}
    assert "/rotateapikey, /admin/apikeys/{id}" in defaults["factor2_protected_page_endpoints"]
    assert "/api/rotateapikey, /admin/api/apikeys/{id}" in defaults["factor2_protected_api_endpoints"]

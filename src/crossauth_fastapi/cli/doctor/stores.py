"""What the storages of an application are, and what their databases say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.storages.memory.audit import InMemoryAuditStorage
from crossauth_backend.storages.memory.identities import InMemoryIdentityStorage
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_backend.storages.memory.users import InMemoryUserStorage
from crossauth_backend.users.states import UserState
from crossauth_fastapi.cli.db import SupportsMigration
from crossauth_fastapi.cli.doctor.snapshot import Administrators, Database, Snapshot, Store
from crossauth_fastapi.cli.target import accounts_of
from crossauth_fastapi.fastapiserver import FastApiServer

_MEMORY: Final = (InMemoryUserStorage, InMemoryKeyStorage, InMemoryAuditStorage, InMemoryIdentityStorage)
_PAGE: Final = 100
_MOST_USERS: Final = 5000


def stores_of(server: FastApiServer) -> tuple[Store, ...]:
    """Every storage of an application, each once."""
    return tuple(_store(role, storage) for role, storage in storages_by_role(server))


def storages_by_role(server: FastApiServer) -> Iterator[tuple[str, Any]]:
    """What is kept where, each storage once."""
    seen: list[Any] = []
    for role, storage in _storages(server):
        if storage is not None and all(storage is not other for other in seen):
            seen.append(storage)
            yield role, storage


def _storages(server: FastApiServer) -> Iterator[tuple[str, Any]]:
    if server.session_server is not None:
        manager = server.session_server.session_manager
        yield "users", manager.user_storage
        yield "sessions", manager.key_storage
        yield "links in email", manager.email_token_storage
        yield "security events", manager.settings.audit_storage
        yield from (("accounts at providers", identities) for identities in manager.identities)
    if server.api_key_server is not None:
        yield "users", server.api_key_server.manager.user_storage
        yield "API keys", server.api_key_server.manager.key_storage
    for client in server.oauth_clients or ():
        yield "accounts at providers", client.context.options.identity_storage
        yield "logins at providers", client.context.keys


def _store(role: str, storage: Any) -> Store:
    if isinstance(storage, _MEMORY):
        return Store(role=role, kind="memory")
    engine = getattr(storage, "engine", None)
    if engine is not None:
        url = engine.url
        if url.get_backend_name() == "sqlite":
            return Store(role=role, kind="memory" if url.database in (None, "", ":memory:") else "sqlite")
        return Store(role=role, kind="postgresql", host=url.host or "")
    pool = getattr(getattr(storage, "client", None), "connection_pool", None)
    if pool is None:
        return Store(role=role, kind="other")
    encrypted = "SSL" in pool.connection_class.__name__
    return Store(role=role, kind="redis", host=str(pool.connection_kwargs.get("host", "")), encrypted=encrypted)


async def ask_databases(snapshot: Snapshot, server: FastApiServer) -> Snapshot:
    """A snapshot with what databases say of themselves; they are only read."""
    asked, stores = [], []
    for role, storage in storages_by_role(server):
        store, database = _store(role, storage), None
        if isinstance(storage, SupportsMigration):
            database = await _ask(role, storage)
            if not database.unreachable and store.kind == "postgresql":
                store, database = await _ask_postgres(store, database, storage)
        stores.append(store)
        asked += [] if database is None else [database]
    asked_all = replace(snapshot, stores=tuple(stores), databases=tuple(asked))
    # Users are read through their storage, which would upgrade its tables first.
    readable = bool(asked) and not any(one.unreachable or one.behind for one in asked)
    if not readable or server.session_server is None or server.session_server.session_manager.user_storage is None:
        return asked_all
    return replace(asked_all, administrators=await _administrators(server, accounts_of(server)))


async def close(server: FastApiServer) -> None:
    """Close the connections that were opened."""
    for _, storage in storages_by_role(server):
        if isinstance(storage, SupportsMigration):
            await storage.close()


async def _ask(role: str, storage: Any) -> Database:
    from crossauth_backend.storages.sqlalchemy.versions import schema_versions

    try:
        versions = await schema_versions(storage)
    except CrossauthError as e:
        return Database(name=role, unreachable=e.message)
    texts: list[str] = []
    for one in versions:
        if one.is_behind:
            texts += one.missing or (
                f"Table {one.table!r} is of version {one.current}, and the library's is {one.head}",
            )
    return Database(name=role, behind=tuple(texts), migrates=all(one.migrates for one in versions))


async def _ask_postgres(store: Store, database: Database, storage: Any) -> tuple[Store, Database]:
    """Whether the connection is encrypted, and by how much the clock differs."""
    from crossauth_backend.storages.sqlalchemy.versions import server_facts

    facts = await server_facts(storage.engine)
    skew = facts.time - utc_now().timestamp()
    return replace(store, encrypted=facts.encrypted), replace(database, skew=skew)


async def _administrators(server: FastApiServer, accounts: Accounts) -> Administrators | None:
    """Who may manage accounts; `None` where there are too many users to look at."""
    active, lacking = 0, []
    for skip in range(0, _MOST_USERS, _PAGE):
        users = await accounts.users.get_users(skip, _PAGE)
        for user in users:
            if user.state == UserState.active and await server.is_administrator(user):
                active += 1
                lacking += [] if user.factor2 else [user.username]
        if len(users) < _PAGE:
            return Administrators(active=active, without_factor2=tuple(lacking))
    return None

"""Measures everything. `--quick` takes a tenth of the time and is for trying things out; so do fewer `--rounds`."""

import argparse
import asyncio
import itertools
import os
import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks import alike, attack, bff, enter, millions, peers
from benchmarks.load import request_bytes
from benchmarks.measure import PLAIN, Server, Waits, interleaved, middle, waits
from benchmarks.report import Growth, Report
from crossauth_backend.testing import FakeIssuer, FakeProvider
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.redis import redis_server

Issuer = TypeVar("Issuer", bound=FakeIssuer)
# pycrossauth makes no tables; these are the documented ones.
PYCROSSAUTH_TABLES = """
CREATE TABLE User (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE, username_normalized TEXT UNIQUE,
  email TEXT UNIQUE, email_normalized TEXT UNIQUE, phone TEXT, state TEXT DEFAULT 'active',
  factor1 TEXT DEFAULT 'localpassword', factor2 TEXT DEFAULT '');
CREATE TABLE UserSecrets (userid INTEGER UNIQUE REFERENCES User(id), password TEXT, totpsecret TEXT DEFAULT '',
  otp TEXT DEFAULT '', expiry INTEGER);
CREATE TABLE Key (id INTEGER PRIMARY KEY AUTOINCREMENT, value TEXT UNIQUE, userid INTEGER, created DATETIME,
  expires DATETIME, lastactive DATETIME, data TEXT);
"""


def key_pair(folder: Path) -> dict[str, str]:
    """A key to sign tokens with, in files."""
    key = rsa.generate_private_key(65537, 2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    texts = {
        "BENCH_PRIVATE_KEY": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
        "BENCH_PUBLIC_KEY": key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo),
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    return {name: str(folder / name) for name in texts}


@contextmanager
def in_a_thread(issuer: Issuer) -> Iterator[Issuer]:
    """Run an issuer of access tokens, or a provider, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(issuer.__aenter__(), loop).result(10)
    try:
        yield issuer
    finally:
        asyncio.run_coroutine_threadsafe(issuer.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def servers(folder: Path, postgres: PostgresServer, redis: str, issuer: FakeIssuer) -> list[Server]:
    """Everything that is measured, bare FastAPI first."""
    pair = key_pair(folder)
    keys = {"BENCH_REDIS": redis, **pair}
    ours, users, crossauth = sys.executable, peers.environment("fastapi-users", "3.11", peers.FASTAPI_USERS), None
    newer = peers.newer_python()
    if newer is not None:
        crossauth = peers.environment("pycrossauth", newer, peers.PYCROSSAUTH)
    no_python = "needs Python 3.12 or newer, which is not here" if newer is None else "could not be installed"
    with sqlite3.connect(folder / "pycrossauth.db") as connection:
        connection.executescript(PYCROSSAUTH_TABLES)

    def database(name: str) -> dict[str, str]:
        return {"BENCH_DATABASE": f"sqlite:///{folder}/{name}.db"}

    def peer(name: str, strategy: str, where: dict[str, str]) -> Server:
        settings = {**where, **keys, "BENCH_STRATEGY": strategy}
        missing = None if users else "could not be installed"
        return Server(name, users or "", "fastapi_users_app:app", settings, enter.fastapi_users, missing)

    def routes(name: str, strategy: str) -> Server:
        settings = {**database(name), **keys, "BENCH_STRATEGY": strategy}
        return Server(f"Crossauth, {name}", ours, "ours_routes:app", settings, enter.fastapi_users)

    def older(name: str, where: dict[str, str]) -> Server:
        return Server(
            name, crossauth or "", "pycrossauth_app:app", where, enter.crossauth, None if crossauth else no_python
        )

    def session(where: str, settings: dict[str, str], path: str = "/me") -> Server:
        settings = {**pair, **settings}
        return Server(f"Crossauth, session {where}", ours, "ours:app", settings, enter.crossauth_sessions, path=path)

    def api_key(where: str, settings: dict[str, str]) -> Server:
        settings = {**pair, **settings}
        return Server(f"Crossauth, API key {where}", ours, "ours:app", settings, enter.crossauth_api_keys)

    def resource(what: str, enter_by: Callable[[Server], dict[str, str]], settings: dict[str, str]) -> Server:
        return Server(f"Crossauth, resource server, {what}", ours, "ours:app", settings, enter_by)

    def on_postgres() -> dict[str, str]:
        return {"BENCH_DATABASE": postgres.create_database()}

    written = {"BENCH_WRITE": "1"}
    return [
        Server("bare FastAPI", ours, "bare:app"),
        Server("bare FastAPI again (self-check)", ours, "bare:app"),
        Server("bare FastAPI, with as much in memory as ours", ours, "bare_full:app"),
        Server("bare FastAPI, by a plain dependency", ours, "bare:app", path="/dependency"),
        Server("Crossauth, no credential", ours, "ours:app", pair, path="/public"),
        session("in memory", {}),
        session("in memory, with an OAuth client, no tokens", {"BENCH_CLIENT": "1"}),
        session("in memory, by `CurrentUser`", {}, "/current"),
        session("in memory, by `require(...)`", {}, "/required"),
        session("on SQLite", database("ours")),
        session("on PostgreSQL", on_postgres()),
        session("in Redis", {"BENCH_REDIS": redis}),
        session("in Redis, user on SQLite", {"BENCH_REDIS": redis, **database("redis")}),
        session("on SQLite, each session written once a second", {**database("written"), **written}),
        session("on PostgreSQL, each session written once a second", {**on_postgres(), **written}),
        session("in Redis, each session written once a second", {"BENCH_REDIS": redis, **written}),
        api_key("on SQLite", database("keys")),
        api_key("on PostgreSQL", on_postgres()),
        api_key("in Redis", {"BENCH_REDIS": redis}),
        resource("JWT (RS256) seen before", enter.one_access_token, pair),
        resource("new JWT (RS256)", enter.many_access_tokens, pair),
        resource("opaque token, introspected, cached", enter.opaque_tokens(issuer), {"BENCH_ISSUER": issuer.url}),
        Server("joserfc in a dependency, JWT (RS256)", ours, "joserfc_app:app", pair, enter.many_access_tokens),
        Server("Crossauth, JWT (RS256), claims of a token seen before", ours, "ours_claims:app", pair, enter.one_claim),
        Server("Crossauth, JWT (RS256), claims of a new token", ours, "ours_claims:app", pair, enter.many_claims),
        routes("JWT (RS256), user on SQLite", "jwt"),
        routes("database strategy on SQLite", "database"),
        routes("Redis strategy, user on SQLite", "redis"),
        peer("FastAPI Users, JWT (RS256), user on SQLite", "jwt", database("jwt")),
        peer("FastAPI Users, Redis strategy, user on SQLite", "redis", database("tokens")),
        peer("FastAPI Users, database strategy on SQLite", "database", database("users")),
        peer("FastAPI Users, database strategy on PostgreSQL", "database", on_postgres()),
        older("pycrossauth, session in memory", {}),
        older("pycrossauth, session on SQLite", database("pycrossauth")),
        replace(
            older("pycrossauth, resource server, JWT (RS256)", pair),
            app="pycrossauth_resource:app", enter=enter.many_access_tokens,
        ),
    ]  # fmt: skip


def start(everything: list[Server]) -> list[Server]:
    """Start them; one that does not start says why in its row."""
    running = []
    for server in everything:
        if server.why_not is None:
            try:
                server.start()
                running.append(server)
            except Exception as e:
                server.stop()
                server.why_not = f"did not run: {type(e).__name__}: {str(e)[:80]}"
    return running


def plain_shares(everything: list[Server], rounds: int, seconds: float) -> dict[str, float]:
    """The shares of our own servers under asyncio and h11, as plain `uvicorn` runs them, by name."""
    ours = [s for s in everything if s.why_not is None and s.name.startswith(("bare", "Crossauth"))]
    plain = start([replace(s, options=PLAIN, requests=[], shares=[], absolute=[]) for s in ours])
    try:
        interleaved(plain, rounds, seconds)
    finally:
        for server in plain:
            server.stop()
    return {server.name: middle(server.shares)[0] for server in plain}


def login_waits(everything: list[Server], seconds: float) -> list[tuple[str, Waits | str]]:
    """The wait of an unrelated request at one server of each kind."""
    expected = {
        "Crossauth, session on SQLite": enter.crossauth_login,
        "Crossauth, session on PostgreSQL": enter.crossauth_login,
        "Crossauth, database strategy on SQLite": enter.fastapi_users_login,
        "FastAPI Users, database strategy on SQLite": enter.fastapi_users_login,
        "FastAPI Users, database strategy on PostgreSQL": enter.fastapi_users_login,
        "pycrossauth, session on SQLite": enter.crossauth_login,
        "pycrossauth, session in memory": enter.crossauth_login,
    }
    found: list[tuple[str, Waits | str]] = []
    for server in everything:
        if server.name in expected:
            if server.why_not is not None:
                found.append((server.name, server.why_not))
                continue
            try:
                found.append((server.name, waits(server, [expected[server.name](server)], seconds, 200)))
            except Exception as e:
                found.append((server.name, f"did not run: {type(e).__name__}: {str(e)[:80]}"))
    return found


def growth(folder: Path, postgres: PostgresServer, rounds: int, seconds: float, many: int) -> list[Growth]:
    """What a request costs with a thousand and with a million stored sessions: two servers, measured in turn."""
    found = []
    for name in ("SQLite", "PostgreSQL"):
        pair = []
        for stored in (1000, many):
            url = f"sqlite:///{folder}/{stored}.db" if name == "SQLite" else postgres.create_database()
            server = Server(f"{stored}", sys.executable, "ours:app", {"BENCH_DATABASE": url}, enter.crossauth)
            server.start()
            millions.fill(url, stored)
            numbers = [random.randrange(stored) for _ in range(1000)]
            server.requests = [request_bytes(server.url, "/me", h) for h in millions.cookies(numbers)]
            pair.append(server)
        try:
            interleaved(pair, rounds, seconds)
        finally:
            for server in pair:
                server.stop()
        few, more = (middle(server.absolute)[0] for server in pair)
        found.append((f"Crossauth, session on {name}", few, more, middle(pair[1].shares)[0]))
    return found


def known_and_unknown(folder: Path, postgres: PostgresServer, count: int) -> list[alike.Alike]:
    """How long answers take about accounts that exist and about others."""
    found = []
    apps: list[tuple[str, Any, dict[str, alike.Kind]]] = [
        ("ours", enter.crossauth, alike.SESSION_SERVER), ("ours_routes", enter.fastapi_users, alike.ROUTES),
    ]  # fmt: skip
    for name, (app, enter_by, kinds) in itertools.product(("SQLite", "PostgreSQL"), apps):
        url = f"sqlite:///{folder}/alike_{app}.db" if name == "SQLite" else postgres.create_database()
        settings = {"BENCH_DATABASE": url, "BENCH_STRATEGY": "database", "BENCH_RECOVERY": "1"}
        server = Server(name, sys.executable, f"{app}:app", settings, enter_by)
        server.start()
        try:
            found += alike.measure(server, count, kinds)
        finally:
            server.stop()
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    quick = arguments.quick
    rounds, seconds, many = (2, 0.7, 100_000) if quick else (arguments.rounds, 1.5, 1_000_000)
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, [1])
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres_server() as postgres,
        redis_server(Path(folder)) as redis,
        in_a_thread(FakeIssuer()) as issuer,
        in_a_thread(FakeProvider()) as provider,
    ):
        report = Report(servers(Path(folder), postgres, redis.url, issuer), rounds)
        running = start(report.servers)
        try:
            interleaved(running, rounds, seconds)
            report.plain = plain_shares(report.servers, min(rounds, 3), seconds)
            report.bff = bff.measure(provider, rounds, seconds, quick)
            report.waits = login_waits(report.servers, 3 if quick else 10)
            report.alike = known_and_unknown(Path(folder), postgres, 30 if quick else 120)
            report.attacks = attack.measure(Path(folder), postgres, quick)
            report.growth = growth(Path(folder), postgres, rounds, seconds, many)
        finally:
            for server in running:
                server.stop()
    report.write()


if __name__ == "__main__":
    main()

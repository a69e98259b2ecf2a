"""Sessions by the million, put into the table directly."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from crossauth_backend.core.secrets import derive_key, hash_token, sign

SECRET = "a secret of the benchmark, long enough"
BATCH = 50_000


def rows(first: int, count: int, text: bool, expired: bool = False) -> list[tuple[Any, ...]]:
    """Sessions whose ids can be told from their numbers: of the user 1, or, expired, of a hundred to each of many."""
    now = datetime.now(UTC)
    times: list[Any] = [now, now + timedelta(days=-4 if expired else 4), now]
    if text:
        times = [t.strftime("%Y-%m-%d %H:%M:%S.%f") for t in times]
    return [
        ("s:" + hash_token(f"bench{n}"), n // 100 + 2 if expired else 1, *times, "")
        for n in range(first, first + count)
    ]


def cookies(numbers: list[int]) -> list[dict[str, str]]:
    """The headers that a browser with session `bench<n>` sends."""
    key = derive_key(SECRET, "session cookie")
    return [{"Cookie": f"SESSIONID={sign(f'bench{n}', key)}"} for n in numbers]


def fill(url: str, count: int, expired: bool = False) -> None:
    """Add the sessions from 0 to `count`; expired ones only on SQLite."""
    if url.startswith("sqlite"):
        _fill_sqlite(url.removeprefix("sqlite:///"), count, expired)
    else:
        asyncio.run(_fill_postgres(url, count))


def _fill_sqlite(path: str, upto: int, expired: bool) -> None:
    connection = sqlite3.connect(path)
    for start in range(0, upto, BATCH):
        connection.executemany(
            'INSERT INTO "Key" (value, userid, created, expires, lastactive, data) VALUES (?, ?, ?, ?, ?, ?)',
            rows(start, min(BATCH, upto - start), True, expired),
        )
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def _fill_postgres(url: str, upto: int) -> None:
    connection = await asyncpg.connect(url)
    for start in range(0, upto, BATCH):
        await connection.copy_records_to_table(
            "Key", records=rows(start, min(BATCH, upto - start), False),
            columns=["value", "userid", "created", "expires", "lastactive", "data"],
        )  # fmt: skip
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()

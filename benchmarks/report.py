"""The table, on the screen and in RESULTS.md."""

import platform
import sqlite3
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.alike import MOST, Alike
from benchmarks.attack import Attack
from benchmarks.bff import Row
from benchmarks.measure import Server, Waits, middle, quartiles
from benchmarks.peers import ENVS, versions

RESULTS = Path(__file__).parent / "RESULTS.md"
# What the design demands of a share of bare FastAPI's requests per CPU second.
TARGETS = {
    "Crossauth, no credential": 0.92,
    "Crossauth, session in memory": 0.68,
    "Crossauth, session in memory, with an OAuth client, no tokens": 0.67,
    "Crossauth, session in memory, by `CurrentUser`": 0.61,
    "Crossauth, session in memory, by `require(...)`": 0.61,
    "Crossauth, session on SQLite": 0.51,
    "Crossauth, session on PostgreSQL": 0.41,
    "Crossauth, session in Redis": 0.38,
    "Crossauth, API key on SQLite": 0.51,
    "Crossauth, API key on PostgreSQL": 0.41,
    "Crossauth, API key in Redis": 0.38,
    "Crossauth, resource server, JWT (RS256) seen before": 0.67,
    "Crossauth, resource server, new JWT (RS256)": 0.43,
    "Crossauth, JWT (RS256), claims of a token seen before": 0.67,
    "Crossauth, JWT (RS256), claims of a new token": 0.43,
}
MAX_DELAY_MS = 25.0
MAX_GROWTH = 1.1
# A server, its requests per CPU second with few sessions and with many, and the median share of the second of the first.
Growth = tuple[str, float, float, float]


@dataclass
class Report:
    """What was measured."""

    servers: list[Server] = field(default_factory=list)
    rounds: int = 0
    waits: list[tuple[str, Waits | str]] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    alike: list[Alike] = field(default_factory=list)
    plain: dict[str, float] = field(default_factory=dict)
    attacks: list[Attack] = field(default_factory=list)
    bff: list[Row] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The page."""
        return [
            "# Results",
            "",
            f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench`: every server under `uvicorn[standard]` (uvloop, httptools) "
            "with one worker on one core, the load generator (8 connections) on the other, each server in turns of a quarter of "
            "a second with bare FastAPI, "
            f"medians and quartiles over {self.rounds} rounds, for each of which those that keep nothing are started anew; "
            "sessions and API keys are 500 of 50 users in rotation. Our servers have every source switched on: sessions, API "
            "keys, access tokens. The column h11 is the same under asyncio and h11, where bare FastAPI costs twice as much and "
            "every share looks higher.",
            "",
            "PostgreSQL runs with fsync, synchronous_commit and full_page_writes off and its other defaults, SQLite in WAL mode "
            "with synchronous=NORMAL, Redis without persistence: reads are as in production, writes are cheaper.",
            "",
            *self._versions(),
            "",
            *self._shares(),
            "",
            *self._bff(),
            "",
            *self._logins(),
            "",
            *self._attacks(),
            "",
            *self._alike(),
            "",
            *self._growth(),
            "",
        ]

    def _shares(self) -> list[str]:
        out = [
            "## A request that knows who is asking",
            "",
            "| `GET /me` | share of bare, per CPU second | quartiles | per second | requests per CPU second | h11 | at least |",
            "|---|---|---|---|---|---|---|",
        ]
        for server in self.servers:
            if server.why_not:
                out.append(f"| {server.name} | {server.why_not} | | | | | |")
                continue
            (share, wall), (rate, _) = middle(server.shares), middle(server.absolute)
            target = TARGETS.get(server.name)
            expected = "" if target is None else f"{target:.2f} {'holds' if share >= target else '**missed**'}"
            low, high = quartiles(server.shares)
            plain = f"{self.plain[server.name]:.2f}" if server.name in self.plain else ""
            out.append(
                f"| {server.name} | {share:.2f} | {low:.2f}–{high:.2f} | {wall:.2f} | {rate:,.0f} | {plain} | {expected} |"
            )
        return out

    def _logins(self) -> list[str]:
        out = [
            "## Eight logins in flight",
            "",
            "| | logins per second | an unrelated request waits, p50 | p99 | p99 without logins | the delay |",
            "|---|---|---|---|---|---|",
        ]
        for name, found in self.waits:
            if isinstance(found, str):
                out.append(f"| {name} | {found} | | | | |")
                continue
            delay = found.busy_p99 - found.calm_p99
            verdict = ""
            if name.startswith("Crossauth"):
                verdict = f" (under {MAX_DELAY_MS:.0f} ms {'holds' if delay < MAX_DELAY_MS else '**missed**'})"
            failed = f", {found.failed:.0%} failed" if found.failed else ""
            out.append(
                f"| {name} | {found.logins_per_second:.1f}{failed} | {found.busy_p50:.1f} ms | {found.busy_p99:.1f} ms "
                f"| {found.calm_p99:.1f} ms | {delay:.1f} ms{verdict} |"
            )
        return out

    def _bff(self) -> list[str]:
        out = [
            "## Backend for frontend",
            "",
            "| | Crossauth | a bare route with aiohttp | wanted |",
            "|---|---|---|---|",
        ]
        for row in self.bff:
            verdict = f"{row.wanted} {'holds' if row.holds else '**missed**'}" if row.wanted else ""
            out.append(f"| {row.what} | {row.ours} | {row.bare} | {verdict} |")
        return out

    def _attacks(self) -> list[str]:
        out = ["## Under attack", "", "| | measured | wanted |", "|---|---|---|"]
        for row in self.attacks:
            verdict = "holds" if row.holds else "**missed**"
            out.append(f"| {row.what} | {row.measured} | {row.wanted} {verdict} |")
        return out

    def _alike(self) -> list[str]:
        out = [
            "## An account that exists and one that does not",
            "",
            "| an answer to | known | unknown | ratio |",
            "|---|---|---|---|",
        ]
        for row in self.alike:
            verdict = f"at most {MOST} {'holds' if row.ratio <= MOST else '**missed**'}"
            out.append(f"| {row.what} | {row.known:.2f} ms | {row.unknown:.2f} ms | {row.ratio:.2f} ({verdict}) |")
        return out

    def _growth(self) -> list[str]:
        out = [
            "## A session request among many stored sessions",
            "",
            "| | CPU at 1,000 stored | at 1,000,000 | growth |",
            "|---|---|---|---|",
        ]
        for name, few, many, share in self.growth:
            growth = 1 / share
            verdict = "holds" if growth <= MAX_GROWTH else "**missed**"
            out.append(
                f"| {name} | {1e6 / few:.0f} µs | {1e6 / many:.0f} µs | {growth:.2f} (at most {MAX_GROWTH} {verdict}) |"
            )
        return out

    def _versions(self) -> list[str]:
        ours = versions(
            sys.executable,
            ["crossauth", "fastapi", "starlette", "uvicorn", "sqlalchemy", "aiosqlite", "asyncpg", "redis", "joserfc"],
        )
        out = [f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; {ours}"]
        peers = {
            "fastapi-users": ["fastapi-users", "fastapi", "uvicorn", "sqlalchemy", "redis", "pyjwt"],
            "pycrossauth": ["pycrossauth", "fastapi", "uvicorn"],
        }
        for name, packages in peers.items():
            if (ENVS / name / ".installed").exists():
                out.append(f"- {name}: {versions(str(ENVS / name / 'bin' / 'python'), packages)}")
        return out

    def write(self) -> None:
        """Print the page and keep it."""
        text = "\n".join(self.lines())
        print(text)
        RESULTS.write_text(text)

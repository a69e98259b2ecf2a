"""What a newer version has written beside it, an older one can read: they share a database while one replaces the other."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from crossauth_backend import Event, EventName, SqlAlchemyAuditStorage, open_engine
from crossauth_backend.core.clock import utc_now
from tests.accounts import Browser, World


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_events_of_a_newer_version_are_listed_by_their_raw_name(request: pytest.FixtureRequest, kind: str) -> None:
    """In a table of events too, whose page would else be gone until the older version is."""
    url = request.getfixturevalue(f"{kind}_url")

    async def write() -> list[Event]:
        audit = SqlAlchemyAuditStorage(open_engine(url))
        await audit.record([Event(name=EventName.login_failed, at=utc_now(), reason="1")])
        row: dict[str, Any] = {"name": "planet_moved", "at": utc_now(), "userid": "7", "address": "", "reason": "2"}
        async with audit.engine.begin() as connection:
            await connection.execute(sa.insert(audit.table), [row])
        found = await audit.latest()
        # And written again as it was read, such as by a copy into another table.
        await audit.record(found[:1])
        assert [event.name for event in await audit.latest(userid=7)] == ["planet_moved", "planet_moved"]
        await audit.close()
        return found

    unknown, known = asyncio.run(write())
    assert (unknown.name, unknown.name.value, unknown.userid, unknown.reason) == (
        "planet_moved",
        "planet_moved",
        7,
        "2",
    )
    assert unknown.name != EventName.login_failed
    assert known.name is EventName.login_failed
    world = World(audit_storage=SqlAlchemyAuditStorage(open_engine(url)))
    with world.open() as site, Browser(site) as admin:
        admin.sign_up()
        asyncio.run(world.users.update_user({"id": 1, "admin": True}))
        displayed = admin.get("/admin/api/audit").json()["events"]
        assert {"planet_moved", "login_failed"} <= {event["name"] for event in displayed}
        assert "planet_moved" in admin.get("/admin/audit").text

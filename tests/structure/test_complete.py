"""Tables that must be whole: what one of them lacks is missing without anybody noticing."""

import pytest
from alembic.script import ScriptDirectory

from crossauth_backend.storages.sqlalchemy import schema
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.endpoints import AllEndpoints


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

"""Tables that must be whole: what one of them lacks is missing without anybody noticing."""

import importlib
import pkgutil
import runpy
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

import crossauth_backend
import crossauth_fastapi
from crossauth_backend.core.options import describe
from crossauth_backend.storages.sqlalchemy import schema
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.endpoints import AllEndpoints

ROOT = Path(__file__).parents[2]
TABLES = [table for _, _, table in runpy.run_path(str(ROOT / "scripts" / "generate_docs.py"))["TABLES"]]


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


def _settings() -> set[type]:
    """Every class of options that no other derives from."""
    found = set()
    for package in (crossauth_backend, crossauth_fastapi):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" in module.name or module.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, type) and name.endswith("Settings") and value.__module__ == module.name:
                    found.add(value)
    return {c for c in found if not any(c is not other and issubclass(other, c) for other in found)}


def test_every_table_of_options_is_in_the_reference_page() -> None:
    assert _settings() == set(TABLES)


def test_every_number_has_bounds() -> None:
    """A number that cannot be is known at the start, and not when a date overflows."""
    fields = [field for table in TABLES for field in table.__dataclass_fields__.values() if "bounds" in field.metadata]
    numbers = [f for f in fields if str(f.type).split(" | ")[0] in ("int", "float") and not f.metadata["unread"]]
    assert len(numbers) > 10
    for field in numbers:
        bounds = field.metadata["bounds"]
        assert None not in (bounds.at_least, bounds.at_most), field.name
    assert all(row["doc"] for table in TABLES for row in describe(table))

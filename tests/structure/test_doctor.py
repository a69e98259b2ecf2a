"""`crossauth doctor` knows every option that is read from the environment."""

import runpy
from pathlib import Path

from crossauth_backend.core.options import describe
from crossauth_fastapi.cli.doctor.variables import TABLES, known_variables

ROOT = Path(__file__).parents[2]


def test_every_variable_of_the_reference_is_known() -> None:
    features = runpy.run_path(str(ROOT / "scripts" / "generate_docs.py"))["FEATURES"]
    tables = {section.settings for sections in features.values() for section in sections}
    rows = [row for table in tables for row in describe(table)]
    named = {name for row in rows for name in row["env"].split(", ") if name}
    assert len(named) > 100
    assert named <= known_variables()
    assert set(TABLES) <= tables

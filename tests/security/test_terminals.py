"""What users and browsers call themselves does nothing to the terminal of the operator who lists them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_fastapi.cli.output import show, table

# The control sequence introducer of 8 bits, which a `User-Agent` may have, one of 7 bits, and a change of direction.
HOSTILE = "Browser\x9b2J\x1b[2J\u202eevil\r\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_no_control_character_of_a_name_reaches_the_terminal(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"agent": HOSTILE, "created": datetime(2026, 1, 1, tzinfo=UTC)}]
    show(rows, as_json, [*table(rows, ("agent", "created")), f"agent: {HOSTILE}"])
    shown = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in shown)
    if as_json:
        assert json.loads(shown)[0]["agent"] == HOSTILE
    else:
        assert len(shown.splitlines()) == 3

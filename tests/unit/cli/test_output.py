"""What commands print."""

import json
from datetime import UTC, datetime

import pytest

from crossauth_fastapi.cli.output import Refused, show, table

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def test_rows_are_aligned_and_nothing_is_a_dash() -> None:
    rows = [{"id": 1, "name": "alice", "admin": True}, {"id": 22, "name": None, "admin": False}]
    assert table(rows, ("id", "name", "admin")) == ["ID  NAME   ADMIN", "1   alice  yes", "22  -      no"]


def test_a_name_cannot_move_the_cursor_or_begin_a_line() -> None:
    lines = table([{"name": "a\x1b[2Jb\nc\u202ed"}], ("name",))
    assert lines == ["NAME", "a?[2Jb?c?d"]


def test_neither_can_what_is_printed_in_other_ways(capsys: pytest.CaptureFixture[str]) -> None:
    """A browser's name of itself, which `sessions list` prints, may have the control characters of Latin-1 in it."""
    hostile = "a\x9b2Jb\u202ec\udcffd\U000e0001"
    show({}, False, [f"username: {hostile}"])
    show({}, False, hostile)
    shown = capsys.readouterr().out
    assert shown == "username: a?2Jb?c?d?\na?2Jb?c?d?\n"
    show({"agent": hostile, "name": "Zoë ☕"}, True, "")
    written = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in written)
    assert "Zoë ☕" in written
    assert json.loads(written)["agent"] == hostile


def test_zero_is_a_number() -> None:
    assert table([{"id": 0}], ("id",)) == ["ID", "0"]


def test_times_are_short_for_people_and_exact_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert table([{"at": NOON}], ("at",)) == ["AT", "2026-11-26 12:00"]
    show([{"at": NOON}], True, "")
    assert json.loads(capsys.readouterr().out) == [{"at": "2026-11-26T12:00:00+00:00"}]


def test_text_or_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show({}, False, "one")
    show({}, False, ["two", "three\tfour"])
    assert capsys.readouterr().out == "one\ntwo\nthree\tfour\n"


def test_a_refusal_is_its_reason() -> None:
    assert Refused("There is no user").format_message() == "There is no user"
    assert Refused("").exit_code == 2

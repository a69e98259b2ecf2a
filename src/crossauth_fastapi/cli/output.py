"""What commands print: text for people, JSON for programs, and errors without a traceback."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Final, TextIO

import typer


class Exit(IntEnum):
    """The exit codes of every command."""

    done = 0
    found = 1
    """A check found something: `doctor` an error, `db check` a schema that is not up to date."""
    refused = 2
    """The command was wrong, or could not be carried out; the reason is on standard error."""


class Refused(typer.BadParameter):
    """A command that cannot be carried out, for a reason other than what was typed."""

    def format_message(self) -> str:
        """The reason, without "Invalid value"."""
        return str(self.message)


TAKES_IDS: Final = {"ignore_unknown_options": True}
"""For commands that take an id as lists print it: one in 64 of them begins with a hyphen, and is no option."""
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def aside() -> redirect_stdout[TextIO]:
    """Let what an application prints go to standard error, so that standard output has nothing but the result."""
    return redirect_stdout(sys.stderr)


def show(data: Any, as_json: bool, text: str | Iterable[str]) -> None:
    """Print `data` as JSON, or `text` for people.

    Parameters:
        data: what a program reads.
        as_json: whether a program reads it.
        text: the same for people, as one text or as lines.
    """
    if as_json:
        written = json.dumps(data, indent=2, default=_json, ensure_ascii=False)
        # What is left of control characters is in strings: browsers say what they are called, and users choose their names.
        print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in written))
        return
    for line in text.split("\n") if isinstance(text, str) else text:
        # Tabs part the values of a line.
        print("\t".join(map(_plain, line.split("\t"))))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Rows as lines of aligned text, with a line of titles; `None` is shown as a dash.

    Parameters:
        rows: what to show.
        columns: which values, in which order; they are the titles, too.
    """
    cells = [[c.upper().replace("_", " ") for c in columns], *([_cell(row.get(c)) for c in columns] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(columns))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _json(value: Any) -> str:
    """Times as RFC 3339 has them, ids and the like as texts."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> str:
    """A value on one line: what a user chose as a name may not move the cursor of a terminal."""
    text = "-" if value in (None, "") else str(value)
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, datetime):
        text = f"{value:%Y-%m-%d %H:%M}"
    return _plain(text)


def _plain(text: str) -> str:
    """Text that cannot do anything to the terminal that shows it."""
    return "".join(c if c.isprintable() else "?" for c in text)

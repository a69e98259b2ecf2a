"""Values in messages: one line each, and bounded."""

import pytest

from crossauth_backend.delivery.lines import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("alice", "alice"),
        ("a\r\nBcc: b@example.com", "a Bcc: b@example.com"),
        ("a\u2028b\u2029c\x00d\x85e", "a b c d e"),
        ("\u202eecila\u200b", "ecila"),
        ("  a \t b  ", "a b"),
        ("Zoë 王小明", "Zoë 王小明"),
        ("a" * 21, "a" * 19 + "…"),
        ("", ""),
    ],
)
def test_a_value_is_one_line_of_bounded_length(text: str, line: str) -> None:
    assert one_line(text, 20) == line


def test_a_long_value_costs_no_more_than_what_is_shown() -> None:
    assert one_line(" " * 10_000_000 + "a", 20) == "…"

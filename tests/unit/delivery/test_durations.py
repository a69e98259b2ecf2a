"""How long something works, in words."""

import pytest

from crossauth_backend.delivery.durations import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (119, "1 minute"), (300, "5 minutes"), (3600, "1 hour"),
     (7199, "1 hour"), (86400, "24 hours"), (2 * 86400 - 1, "47 hours"), (7 * 86400, "7 days")],
)  # fmt: skip
def test_no_more_is_promised_than_there_is(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text

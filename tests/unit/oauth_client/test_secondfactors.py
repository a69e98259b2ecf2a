"""Which second factor the password flow asks for."""

from typing import Any

import pytest

from crossauth_fastapi._oauth_client.secondfactors import Chosen, choose_factor

OTP: Any = {"id": "o1", "authenticator_type": "otp", "active": True}
SMS: Any = {"id": "s1", "authenticator_type": "oob", "oob_channel": "sms", "name": "+1XX7", "active": True}


def test_the_codes_of_a_device_come_before_those_that_are_sent() -> None:
    assert choose_factor([SMS, OTP]) == Chosen("o1", "otp")


def test_a_factor_whose_codes_are_sent_says_where_to() -> None:
    assert choose_factor([SMS]) == Chosen("s1", "oob", "sms", "+1XX7")


@pytest.mark.parametrize(
    "found",
    [
        [],
        [{**OTP, "active": False}],
        [{**OTP, "id": ""}],
        [{"authenticator_type": "otp"}],
        [{"id": "r", "authenticator_type": "recovery-code", "active": True}],
        [{"id": "x"}] * 50 + [OTP],
    ],
)
def test_none_of_what_cannot_be_asked_for(found: Any) -> None:
    assert choose_factor(found) is None

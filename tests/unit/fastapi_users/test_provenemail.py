"""Whether a provider says that an e-mail address is verified: plainly, or not at all."""

from typing import Any

import pytest

from crossauth_fastapi.fastapi_users._provenemail import in_list, in_profile

EMAIL = "a@example.com"


@pytest.mark.parametrize(
    "profile",
    [
        {"email": EMAIL, "email_verified": True},
        {"email": "A@EXAMPLE.com", "email_verified": True},
        {"email": EMAIL, "verified_email": True},
        {"emailAddresses": [{"value": "x@y.example"}, {"value": EMAIL, "metadata": {"verified": True}}]},
        {"email": EMAIL, "email_verified": True, "verified_email": False},
    ],
)
def test_what_says_so(profile: Any) -> None:
    assert in_profile(profile, EMAIL, "google")


@pytest.mark.parametrize(
    "profile",
    [
        None,
        [],
        "x",
        {},
        {"email": EMAIL},
        {"email_verified": True},
        {"email": EMAIL, "email_verified": "true"},
        {"email": EMAIL, "email_verified": 1},
        {"email": EMAIL, "email_verified": False, "verified_email": True},
        {"email": "a@example.org", "email_verified": True},
        {"email": ["a@example.com"], "email_verified": True},
        {"email": EMAIL, "verified": True},
        {"email": EMAIL, "email_verified": True, "emailAddresses": []},
        {"emailAddresses": [{"value": EMAIL, "metadata": {"verified": 1}}, {"value": EMAIL, "metadata": []}, 7, None]},
    ],
)
def test_what_does_not(profile: Any) -> None:
    assert not in_profile(profile, EMAIL, "google")


def test_verified_is_about_the_address_at_discord_alone() -> None:
    response = {"email": EMAIL, "verified": True}
    assert in_profile(response, EMAIL, "discord")
    assert not in_profile(response, EMAIL, "facebook")


@pytest.mark.parametrize(
    ("emails", "verified"),
    [
        ([{"email": EMAIL, "verified": True}], True),
        ([{"email": "b@example.com", "verified": True}, {"email": EMAIL, "verified": False}], False),
        ([{"email": EMAIL, "verified": "true"}], False),
        ([EMAIL], False),
        ({"email": EMAIL, "verified": True}, False),
        (None, False),
        ([], False),
    ],
)
def test_a_list_of_addresses(emails: Any, verified: bool) -> None:
    assert in_list(emails, EMAIL) is verified

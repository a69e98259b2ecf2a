"""Whether a provider has proven an address."""

from typing import Any

import pytest

from crossauth_backend.oauth.client.emails import proven_email

EMAIL = "king@camelot.bt"
GOOGLE = "https://accounts.google.com"
APPLE = "https://appleid.apple.com"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"


@pytest.mark.parametrize(
    ("claims", "proven"),
    [
        ({"iss": GOOGLE, "email_verified": True}, True), ({"iss": GOOGLE, "email_verified": "true"}, False),
        ({"iss": GOOGLE, "email_verified": 1}, False), ({"iss": GOOGLE}, False), ({"iss": GOOGLE, "verified": True}, False),
        ({"iss": GOOGLE, "email_verified": None}, False), ({"email_verified": True}, False),
        ({"iss": ["https://accounts.google.com"], "email_verified": True}, False),
        ({"iss": "http://[", "email_verified": True}, False),
        ({"iss": APPLE, "email_verified": "true"}, True), ({"iss": APPLE, "email_verified": True}, True),
        ({"iss": APPLE, "email_verified": "false"}, False), ({"iss": APPLE, "email_verified": "True"}, False),
        ({"iss": f"{APPLE}.evil.com", "email_verified": "true"}, False),
        ({"iss": GOOGLE, "email": "", "email_verified": True}, False),
        ({"iss": GOOGLE, "email": [EMAIL], "email_verified": True}, False),
    ],
)  # fmt: skip
def test_what_claims_prove(claims: dict[str, Any], proven: bool) -> None:
    assert proven_email({"email": EMAIL, **claims}) == (EMAIL if proven else None)


@pytest.mark.parametrize(
    "issuer",
    [
        f"https://login.microsoftonline.com/{TENANT}/v2.0", f"https://LOGIN.microsoftonline.com/{TENANT}/v2.0",
        f"https://login.microsoftonline.us/{TENANT}/v2.0", f"https://sts.windows.net/{TENANT}/",
        f"https://login.partner.microsoftonline.cn/{TENANT}/v2.0", f"https://contoso.ciamlogin.com/{TENANT}/v2.0",
        f"https://contoso.b2clogin.com/{TENANT}/v2.0/",
    ],
)  # fmt: skip
def test_microsoft_proves_no_address(issuer: str) -> None:
    """Whoever administers a tenant may write any address into an account there."""
    assert proven_email({"iss": issuer, "email": EMAIL, "email_verified": True}) is None


def test_a_host_that_only_ends_like_microsofts_is_another() -> None:
    claims = {"iss": "https://notmicrosoftonline.com", "email": EMAIL, "email_verified": True}
    assert proven_email(claims) == EMAIL
    assert proven_email(None) is None

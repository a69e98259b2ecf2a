"""The table of kinds of keys is whole, and no kind is taken for another."""

from crossauth_backend import KeyPrefix
from crossauth_backend.keys.kinds import ENDING_WITH_PASSWORD, KINDS

PREFIXES = [value for name, value in vars(KeyPrefix).items() if not name.startswith("_")]


def test_every_kind_has_one_row() -> None:
    assert sorted(kind.prefix for kind in KINDS) == sorted(PREFIXES)


def test_no_prefix_begins_another() -> None:
    """Keys are deleted and listed by the beginning of their value."""
    assert not [(a, b) for a in PREFIXES for b in PREFIXES if a != b and a.startswith(b)]


def test_what_was_handed_out_on_the_strength_of_a_password_ends_with_it() -> None:
    """Codes as well; API keys stay, and so do recovery codes, which are a factor of their own."""
    p = KeyPrefix
    assert set(ENDING_WITH_PASSWORD) == {
        p.session, p.password_reset_token, p.access_token, p.refresh_token, p.mfa_token, p.trusted_device,
        p.authorization_code, p.device_code, p.user_code, p.grant, p.oauth_access_token,
    }  # fmt: skip
    assert {kind.prefix for kind in KINDS if kind.listed} == {p.session, p.api_key, p.recovery_code, p.grant}

"""What a token by e-mail is, and when it is good."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crossauth_backend import CrossauthError, ErrorCode, Key, KeyPrefix, User, UserAndSecrets, UserSecrets, UserState
from crossauth_backend.email_tokens.rules import (
    MAX_TOKEN,
    EmailToken,
    can_reset,
    contact_address,
    decode,
    encode,
    has_expired,
    is_email_change,
    is_named_for_address,
    is_named_for_mailbox,
    is_verified,
    is_void,
    name_in_mail,
    stored_value,
)
from crossauth_backend.users.credentials import CREDENTIALS, credential_stamp

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALICE = User(id=1, username="alice", email="a@example.com", security_stamp="s", email_verified_at=NOW)
E = KeyPrefix.email_verification_token


def key(token: EmailToken, value: str = f"{E}x") -> Key:
    return Key(value=value, created=NOW, expires=NOW + timedelta(hours=1), userid=token.userid, data=encode(token))


def test_what_it_was_made_for_comes_back() -> None:
    token = EmailToken(1, "a@example.com", "b@example.com", "stamp")
    assert decode(key(token)) == token
    assert decode(Key(value="e:x", created=NOW, userid=1)) == EmailToken(1, "")


def test_one_of_nobody_is_none() -> None:
    with pytest.raises(CrossauthError) as refused:
        decode(Key(value="e:x", created=NOW, data=encode(EmailToken(1, "a"))))
    assert refused.value.code is ErrorCode.InvalidKey


@pytest.mark.parametrize("token", ["", "x" * (MAX_TOKEN + 1)])
def test_what_can_be_no_token_is_not_looked_for(token: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        stored_value(E, token)
    assert refused.value.code is ErrorCode.InvalidKey


def test_it_is_stored_as_a_hash() -> None:
    stored = stored_value(E, "token")
    assert stored.startswith(E)
    assert "token" not in stored
    assert stored != stored_value(E, "Token")


def test_its_time_is_up_at_its_end() -> None:
    one = key(EmailToken(1, "a"))
    assert one.expires is not None
    assert not has_expired(one, one.expires - timedelta(microseconds=1))
    assert has_expired(one, one.expires)
    assert not has_expired(replace(one, expires=None), datetime.max.replace(tzinfo=UTC))


def test_only_a_verification_moves_an_address() -> None:
    moving = EmailToken(1, "b@example.com", "b@example.com")
    assert is_email_change(key(moving))
    assert not is_email_change(key(moving, f"{KeyPrefix.password_reset_token}x"))
    assert not is_email_change(key(EmailToken(1, "b@example.com")))


def test_it_is_void_once_a_credential_is_another() -> None:
    found = UserAndSecrets(ALICE, UserSecrets(userid=1, password="p"))
    assert not is_void(EmailToken(1, "a", stamp="s"), found, CREDENTIALS)
    assert is_void(EmailToken(1, "a", stamp="t"), found, CREDENTIALS)
    assert is_void(EmailToken(1, "a"), found, CREDENTIALS), "one without a stamp rests on nothing"
    bare = UserAndSecrets(replace(ALICE, security_stamp=None), found.secrets)
    digest = EmailToken(1, "a", stamp=credential_stamp(bare, CREDENTIALS))
    assert not is_void(digest, bare, CREDENTIALS)
    assert is_void(digest, UserAndSecrets(replace(bare.user, phone="1"), bare.secrets), CREDENTIALS)


@pytest.mark.parametrize(
    ("user", "verified"),
    [
        (ALICE, True), (replace(ALICE, email="A@Example.com"), True), (replace(ALICE, email="b@example.com"), False),
        (replace(ALICE, state=UserState.awaiting_email_verification), False), (replace(ALICE, state=UserState.disabled), True),
        (replace(ALICE, email=None), False), (replace(ALICE, email=None, username="a@example.com"), True),
    ],
)  # fmt: skip
def test_an_address_is_verified_for_who_has_it_now(user: User, verified: bool) -> None:
    assert is_verified(EmailToken(1, "a@example.com"), user) is verified


def test_an_account_can_be_named_for_its_address() -> None:
    named = User(id=1, username="A@Example.com", email="a@example.com")
    assert is_named_for_address(named)
    assert is_named_for_address(replace(named, email=None))
    assert not is_named_for_address(replace(named, email="b@example.com"))
    assert not is_named_for_address(ALICE)
    assert not is_named_for_mailbox(named)
    assert is_named_for_mailbox(replace(named, state=UserState.awaiting_email_verification))


@pytest.mark.parametrize(
    ("state", "resets"),
    [
        (UserState.active, True), (UserState.password_reset_needed, True), (UserState.password_and_factor2_reset_needed, True),
        (UserState.disabled, False), (UserState.awaiting_email_verification, False), (UserState.password_change_needed, False),
        (UserState.factor2_reset_needed, False), ("tomorrow", False),
    ],
)  # fmt: skip
def test_who_may_choose_a_password_by_mail(state: str, resets: bool) -> None:
    """Contract 4.1; and whoever owns the mailbox for which an unfinished sign-up is named."""
    assert can_reset(replace(ALICE, state=state)) is resets
    named = User(id=1, username="a@example.com", state=UserState.awaiting_email_verification)
    assert can_reset(named)


def test_mail_calls_a_user_by_name_where_the_address_is_the_users() -> None:
    odd = replace(ALICE, username="call 555 1234567")
    assert name_in_mail(odd, "A@example.com") == odd.username
    assert name_in_mail(odd, "b@example.com") == ""
    assert name_in_mail(replace(odd, email_verified_at=None), "a@example.com") == ""
    assert name_in_mail(ALICE, "b@example.com") == "alice"


@pytest.mark.parametrize(
    ("email", "username", "address"),
    [("a@b.example", "x", "a@b.example"), (None, "x@B.example", "x@b.example"), ("", "x", None)],
)
def test_where_mail_goes(email: str | None, username: str, address: str | None) -> None:
    assert contact_address(User(id=1, username=username, email=email)) == address

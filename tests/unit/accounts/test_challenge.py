"""A challenge as it waits in a session: for one purpose, one browser, one time, and on the credentials of its beginning."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, Key, User
from crossauth_backend.accounts.challenge import (
    PENDING,
    VISIT,
    WAITS,
    Challenge,
    Purpose,
    decrypt,
    encrypt,
    is_setup_pending,
    new_challenge,
    reissued,
)
from crossauth_backend.core.secrets import KeyRing

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RING = KeyRing(["a secret that is long enough for a test"], "test")
ALICE = User(id=7, username="alice", factor2="totp", security_stamp="stamp 1")


def challenge(purpose: Purpose = "login", **changed: Any) -> Challenge:
    until = NOW + WAITS[purpose]
    return new_challenge(purpose, ALICE, "alice", "totp", {"totpsecret": "JBSW"}, True, until, **changed)


def session(waiting: Challenge, name: str = PENDING, **changed: Any) -> Key:
    data = {name: {**encrypt(waiting, RING), **changed}}
    return Key(value="s:x", created=NOW, data=json.dumps(data))


def test_what_is_read_is_what_was_kept() -> None:
    for purpose in WAITS:
        one = challenge(purpose, claim="browser")
        assert decrypt(session(one), RING, PENDING, purpose) == one
        assert one.begun == NOW


def test_nothing_secret_lies_open() -> None:
    stored = json.dumps(encrypt(challenge(claim="browser"), RING))
    for secret in ("JBSW", "stamp 1", "browser"):
        assert secret not in stored
    assert "JBSW" not in repr(challenge())


@pytest.mark.parametrize("purpose", WAITS)
def test_a_code_is_good_for_one_purpose(purpose: Purpose) -> None:
    others: tuple[Purpose, ...] = tuple(other for other in WAITS if other != purpose)
    for purposes in (others, ()):
        with pytest.raises(CrossauthError) as refused:
            decrypt(session(challenge(purpose)), RING, PENDING, *purposes)
        assert refused.value.code is ErrorCode.Unauthorized


@pytest.mark.parametrize(
    "data", ["", "{}", '{"2fa":null}', '{"2fa":[]}', '{"2fa":"x"}', '{"2fa":{}}', '{"pre2fa":{"purpose":"login"}}']
)
def test_a_session_in_which_nothing_waits_refuses(data: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        decrypt(Key(value="s:x", created=NOW, data=data), RING, PENDING, "login")
    assert refused.value.code is ErrorCode.Unauthorized
    with pytest.raises(CrossauthError):
        decrypt(None, RING, PENDING, "login")
    with pytest.raises(CrossauthError):
        decrypt(session(challenge("visit"), name=VISIT), RING, PENDING, "visit")


def test_what_an_older_version_sealed_without_a_stamp_is_void() -> None:
    sealed = RING.encrypt(json.dumps({"secrets": {}, "until": None}))
    with pytest.raises(CrossauthError) as refused:
        decrypt(session(challenge(), sealed=sealed), RING, PENDING, "login")
    assert refused.value.code is ErrorCode.Unauthorized


def test_what_somebody_else_sealed_is_refused() -> None:
    other = KeyRing(["another secret, also long enough for a test"], "test")
    with pytest.raises(CrossauthError):
        decrypt(session(challenge()), other, PENDING, "login")


def test_it_ends_at_its_end_and_not_before() -> None:
    one = challenge()
    assert one.until is not None
    assert not one.is_expired(one.until - timedelta(microseconds=1))
    assert one.is_expired(one.until)
    endless = new_challenge("login", ALICE, "alice", "totp", {}, None)
    assert not endless.is_expired(datetime.max.replace(tzinfo=UTC))
    assert endless.begun == datetime.min.replace(tzinfo=UTC)


def test_it_is_the_browsers_that_began_it() -> None:
    assert challenge().is_claimed_by(None)
    assert challenge().is_claimed_by("anybody")
    own = challenge(claim="mine")
    assert own.is_claimed_by("mine")
    assert not own.is_claimed_by("yours")
    assert not own.is_claimed_by(None)


@pytest.mark.parametrize(
    ("proven", "stamp", "rests"), [("1", "1", True), ("1", "2", False), (None, None, False), ("", "", False)]
)
def test_it_rests_on_the_credentials_with_which_it_began(proven: str | None, stamp: str | None, rests: bool) -> None:
    began = new_challenge("login", User(id=7, username="a", security_stamp=proven), "a", "totp", {}, None)
    assert began.matches(User(id=7, username="a", security_stamp=stamp)) is rests


def test_a_challenge_that_is_made_anew_counts_anew_and_rests_on_the_same() -> None:
    first = challenge(claim="mine")
    second = reissued(first, {"otp": "2"})
    assert second.id != first.id
    assert (second.proven, second.until, second.claim, second.userid) == (
        first.proven, first.until, first.claim, first.userid,
    )  # fmt: skip
    assert second.secrets == {"otp": "2"}


def test_a_set_up_waits_until_it_is_abandoned() -> None:
    for purpose, waits in WAITS.items():
        found = is_setup_pending(session(challenge(purpose)), RING, NOW)
        assert found is (purpose in ("signup", "setup"))
        assert not is_setup_pending(session(challenge(purpose)), RING, NOW + waits)
    assert not is_setup_pending(None, RING, NOW)

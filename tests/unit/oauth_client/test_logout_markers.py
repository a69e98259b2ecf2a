"""What is kept of logins that a provider has ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage
from crossauth_backend.keys.reading import key_with_user_reader
from crossauth_backend.oauth.client.logout import LogoutToken
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client.logout_markers import LASTS, is_logged_out, mark_logged_out

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ISSUER = "https://id.example.com"


def said(sub: str | None = None, sid: str | None = None, iss: str = ISSUER) -> LogoutToken:
    return LogoutToken(iss=iss, sub=sub, sid=sid, jti="j", iat=0, exp=0)


def login(at: datetime = NOW, **claims: Any) -> TokenSet:
    payload = {"iss": ISSUER, "sub": "alice", "sid": "s1", **claims}
    stored = {name: value for name, value in payload.items() if value is not None}
    return TokenSet(access_token="a", issuer=ISSUER, saved_at=int(at.timestamp()), flow="f", id_payload=stored)


async def ended(token: LogoutToken, tokens: TokenSet, at: datetime = NOW, seen: datetime = NOW) -> bool:
    keys = InMemoryKeyStorage()
    await mark_logged_out(keys, token, at)
    return await is_logged_out(key_with_user_reader(keys, None), tokens, lambda: seen)


@pytest.mark.parametrize(
    ("token", "claims", "is_ended"),
    [
        (said(sid="s1"), {}, True), (said(sid="s2"), {}, False), (said(sub="alice"), {}, True), (said(sub="bob"), {}, False),
        (said("alice", "s1"), {}, True), (said("alice", "s2"), {}, False), (said("bob", "s1"), {}, True),
        (said("alice", "s2"), {"sid": None}, True), (said("bob", "s2"), {"sid": None}, False),
        (said("alice"), {"sid": None}, True),
        (said(sid="s1", iss="https://other.example.com"), {}, False), (said("alice", iss="https://other.example.com"), {}, False),
        (said(sid="alice"), {}, False), (said("s1"), {}, False), (said(sid="s1"), {"sid": 7}, False),
        (said("alice"), {"sub": 7}, False),
        (said("alice"), {"iss": None}, False),
    ],
)  # fmt: skip
async def test_whose_login_ends(token: LogoutToken, claims: dict[str, Any], is_ended: bool) -> None:
    assert await ended(token, login(**claims)) is is_ended


async def test_a_login_after_it_goes_on() -> None:
    later = NOW + timedelta(seconds=1)
    assert not await ended(said("alice"), login(later))
    assert await ended(said("alice"), login(NOW), NOW + timedelta(milliseconds=900)), "within one second nobody knows"
    assert await ended(said(sid="s1"), login(later)), "a session at a provider that has ended is no more"


async def test_the_last_one_counts() -> None:
    keys = InMemoryKeyStorage()
    for days in (0, 2):
        await mark_logged_out(keys, said("alice"), NOW + timedelta(days=days))
    assert await is_logged_out(key_with_user_reader(keys, None), login(NOW + timedelta(days=1)), lambda: NOW)
    assert len(await keys.get_all_for_user(None)) == 1


async def test_no_login_is_good_for_longer_than_a_mark_is_kept() -> None:
    keys = InMemoryKeyStorage()
    assert not await is_logged_out(key_with_user_reader(keys, None), login(), lambda: NOW + LASTS)
    assert await is_logged_out(key_with_user_reader(keys, None), login(), lambda: NOW + LASTS + timedelta(seconds=1))


async def test_without_an_id_token_nothing_is_known() -> None:
    keys = InMemoryKeyStorage()
    await mark_logged_out(keys, said("alice"), NOW)
    tokens = TokenSet(access_token="a", issuer=ISSUER, saved_at=0, flow="f")
    assert not await is_logged_out(key_with_user_reader(keys, None), tokens, lambda: NOW)

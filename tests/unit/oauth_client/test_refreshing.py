"""Refreshing, with a client that answers as it is told."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage
from crossauth_backend.core.clock import utc_now
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client.refreshing import Refresher, TokensUnavailable

OLD = TokenSet(access_token="old", refresh_token="r", issuer="https://a", saved_at=1, flow="x", expires_at=1)
OTHER = replace(OLD, access_token="of another login")


class Kept:
    def __init__(self, tokens: TokenSet | None) -> None:
        self.tokens, self.written = tokens, 0
        self.seen: TokenSet | None = None

    async def read(self) -> TokenSet | None:
        self.seen = self.tokens
        return self.tokens

    async def write(self, tokens: TokenSet | None) -> bool:
        if self.tokens != self.seen:
            return False
        self.written += 1
        self.tokens = tokens
        return True


class Provider:
    """A client whose provider answers `answer`, after `meanwhile`."""

    settings = SimpleNamespace(fetch_timeout=1)

    def __init__(self, answer: Any, meanwhile: Any = None) -> None:
        self.answer, self.meanwhile, self.asked = answer, meanwhile, 0
        self.revoked: list[str] = []

    async def revoke(self, token: str, hint: str) -> bool:
        self.revoked.append(token)
        return True

    async def refresh_token_flow(self, token: str, *, id_payload: Any = None) -> Any:
        self.asked += 1
        if self.meanwhile is not None:
            self.meanwhile()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def refresher(provider: Any) -> Refresher:
    return Refresher(provider, InMemoryKeyStorage(), utc_now)


GOOD = {"access_token": "new", "token_type": "Bearer", "expires_in": 60}
GONE = {"error": "invalid_grant", "error_description": ""}


async def test_new_tokens_are_kept_and_what_the_answer_leaves_out_stays() -> None:
    stored = Kept(OLD)
    found = await refresher(Provider(GOOD)).refresh(OLD, stored)
    assert found is not None
    assert (found.access_token, found.refresh_token) == ("new", "r")
    assert stored.tokens == found


async def test_tokens_that_are_gone_are_forgotten() -> None:
    stored = Kept(OLD)
    assert await refresher(Provider(GONE)).refresh(OLD, stored) is None
    assert (stored.tokens, stored.written) == (None, 1)


@pytest.mark.parametrize("answer", [GOOD, GONE])
async def test_a_login_meanwhile_is_not_undone(answer: dict[str, Any]) -> None:
    stored = Kept(OLD)
    provider = Provider(answer, lambda: setattr(stored, "tokens", OTHER))
    assert await refresher(provider).refresh(OLD, stored) == OTHER
    assert (stored.tokens, stored.written) == (OTHER, 0)


async def test_a_session_that_ended_meanwhile_gets_none() -> None:
    stored = Kept(OLD)
    provider = Provider({**GOOD, "refresh_token": "next"}, lambda: setattr(stored, "tokens", None))
    assert await refresher(provider).refresh(OLD, stored) is None
    assert (stored.tokens, provider.revoked) == (None, ["next"])


async def test_whoever_was_slower_takes_what_is_there() -> None:
    provider = Provider(GOOD)
    assert await refresher(provider).refresh(OLD, Kept(OTHER)) == OTHER
    assert await refresher(provider).refresh(OLD, Kept(None)) is None
    assert provider.asked == 0


@pytest.mark.parametrize(
    "answer", [{"error": "temporarily_unavailable"}, {"error": "invalid_client"}, {}, ValueError("x"), OSError()]
)
async def test_whatever_else_goes_wrong_keeps_them_and_may_be_tried_again(answer: Any) -> None:
    stored, provider = Kept(OLD), Provider(answer)
    one = refresher(provider)
    for _ in range(2):
        with pytest.raises(TokensUnavailable):
            await one.refresh(OLD, stored)
    assert (stored.tokens, stored.written, provider.asked) == (OLD, 0, 2)
    provider.answer = GOOD
    assert await one.refresh(OLD, stored) is not None


async def test_tokens_that_are_still_good_do_unless_others_are_wanted() -> None:
    soon = replace(OLD, expires_at=int(utc_now().timestamp()) + 5)
    one = refresher(Provider({"error": "server_error"}))
    assert one.is_due(soon)
    assert await one.refresh(soon, Kept(soon)) == soon
    with pytest.raises(TokensUnavailable):
        await one.refresh(soon, Kept(soon), forced=True)

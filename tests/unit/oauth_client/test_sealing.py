"""Tokens as they are kept: encrypted, and good for one client only."""

from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client import sealing
from crossauth_fastapi._oauth_client.sealing import PURPOSE, Seal

OLD, NEW = "an old secret that is long enough to be one", "a new secret that is long enough to be one"
TOKENS = TokenSet(
    access_token="at-secret", refresh_token="rt-secret", id_payload={"sub": "alice", "aud": ["a"]}, issuer="https://as.test",
    saved_at=1, flow="test",
)  # fmt: skip


def seal(*keys: str, client: str = "one") -> Seal:
    return Seal(KeyRing(keys, PURPOSE), client)


def test_what_is_kept_is_not_readable_and_comes_back() -> None:
    entry = seal(NEW).close(TOKENS)
    assert "secret" not in str(entry)
    assert seal(NEW).open(entry) == TOKENS
    assert seal(NEW, OLD).open(seal(OLD).close(TOKENS)) == TOKENS


def test_what_is_of_another_client_or_key_is_none() -> None:
    entry = seal(NEW).close(TOKENS)
    assert seal(OLD).open(entry) is None
    assert seal(NEW, client="two").open(entry) is None
    for other in (None, {}, [], "text", {"sealed": 7}, {"sealed": ""}, {"sealed": entry["sealed"][:-2] + "AA"}):
        assert seal(NEW).open(other) is None


def test_what_one_request_changes_no_other_sees() -> None:
    stored = seal(NEW)
    entry = stored.close(TOKENS)
    first = stored.open(entry)
    assert first is not None
    assert first.id_payload is not None
    first.id_payload["sub"] = "mallory"
    first.id_payload["aud"].append("b")
    assert stored.open(entry) == TOKENS


def test_a_process_remembers_so_many() -> None:
    stored = seal(NEW)
    for _ in range(sealing._MANY + 10):
        stored.open(stored.close(TOKENS))
    assert len(stored._opened) == sealing._MANY


def test_the_login_stays_without_the_tokens() -> None:
    stored = seal(NEW)
    entry = {**stored.close(TOKENS), **stored.close_login(TOKENS)}
    login = stored.open_login(sealing.login_in(entry))
    assert login is not None
    assert (login.access_token, login.refresh_token, login.id_payload, login.saved_at) == (
        "",
        None,
        {"sub": "alice"},
        1,
    )
    assert seal(NEW, client="two").open_login(entry) is None
    for other in (None, {}, [], "text", stored.close(TOKENS)):
        assert stored.open_login(other) is None
        assert sealing.login_in(other) == {}

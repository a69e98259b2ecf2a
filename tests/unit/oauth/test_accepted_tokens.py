"""What is kept of accepted tokens."""

from typing import Any

from crossauth_backend import OAuthResourceServer, OAuthTokenConsumer
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import generate_signing_key
from crossauth_backend.storages.memory import InMemoryKeyStorage, InMemoryUserStorage
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._oauth_resource.accepted import AcceptedTokens
from crossauth_fastapi._oauth_resource.users import UserLookup

KEY = generate_signing_key("ES256").public_jwk()
NOW = int(utc_now().timestamp())
HEADER = b"Bearer aaaa.bbbb.cccc"


def consumer(**options: Any) -> OAuthTokenConsumer:
    made = OAuthTokenConsumer("api", {"auth_server_base_url": "https://issuer.example.com", **options})
    made.keys = {"keys": [KEY]}
    return made


def kept(*consumers: OAuthTokenConsumer, users: UserLookup | None = None) -> AcceptedTokens:
    return AcceptedTokens(OAuthResourceServer(consumers), users or UserLookup())


def said(**claims: Any) -> Identity:
    fields = {"access_token_payload": {"exp": NOW + 1_000_000, "roles": [], **claims}}
    return Identity("oauth", None, ("read",), "client", fields)


def test_what_was_kept_is_found_as_a_copy() -> None:
    tokens = kept(consumer())
    name = tokens.name(HEADER)
    assert name is not None
    assert tokens.find(name) is None
    provided = said()
    tokens.keep(name, "aaaa.bbbb.cccc", provided)
    provided.fields["access_token_payload"]["roles"].append("admin")
    found = tokens.find(name)
    assert found is not None
    assert found == said()
    found.fields["access_token_payload"]["roles"].append("admin")
    assert tokens.find(name) == said()


def test_another_header_or_another_key_is_another_name() -> None:
    only = consumer()
    tokens = kept(only)
    before = tokens.name(HEADER)
    assert tokens.name(b"bearer aaaa.bbbb.cccc") != before
    only.keys = {"keys": [generate_signing_key("ES256").public_jwk()]}
    assert tokens.name(HEADER) not in (before, None)


def test_one_that_has_expired_is_not_found() -> None:
    tokens = kept(consumer(clock_tolerance=0))
    name = tokens.name(HEADER)
    assert name is not None
    tokens.keep(name, "aaaa.bbbb.cccc", said(exp=NOW - 1))
    assert tokens.find(name) is None


def test_nothing_is_kept_where_more_than_keys_and_time_decides() -> None:
    asks = {"introspection_client_id": "rs", "introspection_client_secret": "a secret", "introspection": "always"}
    other = OAuthTokenConsumer("api", {"auth_server_base_url": "https://other.example.com"})
    assert kept(consumer(**asks)).name(HEADER) is None
    assert kept(consumer(), other).name(HEADER) is None
    assert kept(consumer(), users=UserLookup(InMemoryUserStorage())).name(HEADER) is None
    # Without keys there is nothing that could have judged it.
    assert kept(other).name(HEADER) is None


def test_a_token_that_the_issuer_was_asked_about_is_not_kept() -> None:
    asks = {"introspection_client_id": "rs", "introspection_client_secret": "a secret", "introspection": "opaque"}
    tokens = kept(consumer(**asks))
    name = tokens.name(HEADER)
    assert name is not None
    tokens.keep(name, "opaque", said())
    assert tokens.find(name) is None


def test_what_is_kept_is_bounded() -> None:
    tokens = kept(consumer())
    names = [tokens.name(HEADER + str(number).encode()) for number in range(50)]
    for name in names:
        assert name is not None
        text = "x" * 200_000
        tokens.keep(name, f"aaaa.{text}.cccc", said(text=text))
    assert 0 < sum(tokens.find(name) is not None for name in names if name is not None) < 20


def test_only_tokens_that_all_come_here_are_not_remembered_twice() -> None:
    alone, beside, asking = (
        consumer(),
        consumer(),
        consumer(persist_access_token=True, key_storage=InMemoryKeyStorage()),
    )
    AcceptedTokens(OAuthResourceServer([alone]), UserLookup())
    AcceptedTokens(OAuthResourceServer([beside]), UserLookup(), every_token=False)
    AcceptedTokens(OAuthResourceServer([asking]), UserLookup(InMemoryUserStorage()))
    assert (alone.remembers, beside.remembers, asking.remembers) == (False, True, True)

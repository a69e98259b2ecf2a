"""Who has logged in where there are no ID tokens."""

import json
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.oauth.client.profile import claims_of, read_profile
from crossauth_backend.oauth.client.providers import PROVIDERS, Profile

GITHUB, DISCORD = PROVIDERS["github"].profile, PROVIDERS["discord"].profile
assert GITHUB is not None
assert DISCORD is not None
ISSUER = PROVIDERS["github"].issuer
# After https://docs.github.com/rest/users/users and https://docs.github.com/rest/users/emails
USER = {"login": "octocat", "id": 583231, "name": "The Octocat", "email": "boss@corp.com", "avatar_url": "https://x/y"}
EMAILS = [
    {"email": "old@example.com", "verified": True, "primary": False, "visibility": None},
    {"email": "octocat@example.com", "verified": True, "primary": True, "visibility": "private"},
]


class Api:
    """Answers requests, and remembers them."""

    def __init__(self, *answers: Any, status: int = 200, kind: str = "application/json; charset=utf-8") -> None:
        self.answers, self.status, self.kind = list(answers), status, kind
        self.asked: list[FetchRequest] = []

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        self.asked.append(request)
        answer = self.answers.pop(0)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return FetchResponse(status=self.status, headers={"content-type": self.kind}, body=body)


def test_github() -> None:
    """The address is the primary one of the list, never that of the profile."""
    assert claims_of(GITHUB, ISSUER, USER, EMAILS) == {
        "iss": ISSUER, "sub": "583231", "name": "The Octocat", "preferred_username": "octocat", "picture": "https://x/y",
        "email": "octocat@example.com", "email_verified": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "emails",
    [
        [{**EMAILS[1], "verified": False}], [{**EMAILS[1], "verified": "true"}], [EMAILS[0]], [], None, {}, "x", [None, 7, []],
        [{"verified": True, "primary": True}], [{"email": 7, "verified": True, "primary": True}],
        [{"email": "a\x00@b.co", "verified": True, "primary": True}], [{"email": "x" * 5000, "verified": True, "primary": True}],
    ],
)  # fmt: skip
def test_an_address_that_github_has_not_proven_is_left_out(emails: Any) -> None:
    claims = claims_of(GITHUB, ISSUER, USER, emails)
    assert "email" not in claims
    assert "email_verified" not in claims


def test_discord() -> None:
    user = {"id": "80351110224678912", "username": "nelly", "global_name": "Nelly", "email": "nelly@discord.com"}
    for verified in (True, False, None, "true", 1):
        claims = claims_of(DISCORD, "https://discord.com", {**user, "verified": verified})
        assert (claims["sub"], claims["preferred_username"], claims["email"]) == (user["id"], "nelly", user["email"])
        assert claims.get("email_verified") is (True if verified is True else None)


def test_a_provider_that_says_nothing_of_proof() -> None:
    claims = claims_of(Profile(url="https://x.test/me"), "https://x.test", {"id": 1, "email": "a@b.co", "": True})
    assert claims == {"iss": "https://x.test", "sub": "1", "email": "a@b.co"}


@pytest.mark.parametrize(
    "user",
    [
        None, [], "x", {}, {"id": None}, {"id": True}, {"id": ""}, {"id": -1}, {"id": 2**70}, {"id": 1.5}, {"id": ["1"]},
        {"id": "x" * 256}, {"id": "\x00"}, {"id": "\ud800"}, {"login": "octocat"},
    ],
)  # fmt: skip
def test_a_user_without_an_id_is_nobody(user: Any) -> None:
    with pytest.raises(ValueError, match="the answer"):
        claims_of(GITHUB, ISSUER, user, EMAILS)


async def test_the_token_is_sent_and_both_are_asked() -> None:
    api = Api(USER, EMAILS)
    claims = await read_profile(GITHUB, ISSUER, "gho_1", api)
    assert claims["email"] == "octocat@example.com"
    assert [r.url for r in api.asked] == [
        "https://api.github.com/user",
        "https://api.github.com/user/emails?per_page=100",
    ]
    assert {r.headers["Authorization"] for r in api.asked} == {"Bearer gho_1"}
    api = Api({"id": "1"})
    assert (await read_profile(DISCORD, "https://discord.com", "t", api))["sub"] == "1"
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    "api",
    [
        Api(USER, status=401), Api(USER, status=302), Api(USER, kind="text/html"), Api(b"<html>"), Api(b""), Api(b"[" * 100_000),
        Api(b"\xff"), Api([]), Api({"id": None}, EMAILS), Api(b'{"id": ' + b"9" * 5000 + b"}", EMAILS),
    ],
)  # fmt: skip
async def test_an_answer_that_makes_no_sense_is_the_providers_fault(api: Api) -> None:
    api.answers.append(EMAILS)
    with pytest.raises(CrossauthError) as failed:
        await read_profile(GITHUB, ISSUER, "gho_1", api)
    assert failed.value.code is ErrorCode.Connection
    assert "gho_1" not in str(failed.value.detail)

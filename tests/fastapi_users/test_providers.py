"""Providers that answer oddly, and accounts that are not whose they seem."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossauth_fastapi.fastapi_users._provenemail import in_list, in_profile
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_oauth import LINK, LOGIN, Flow, Plain, bearer, open_oauth

VICTIM = "victim@gmail.com"


class Says(Plain):
    """A provider that says what a test wants it to say."""

    def __init__(self) -> None:
        super().__init__()
        self.account: Any = ("7", VICTIM)
        self.profile: dict[str, Any] = {}
        self.token: Any = {"access_token": "t"}
        self.asked = 0

    async def get_access_token(self, code: str, redirect_uri: str, code_verifier: str | None = None) -> Any:
        return self.token

    async def get_id_email(self, token: str) -> Any:
        return self.account

    async def get_profile(self, token: str) -> dict[str, Any]:
        self.asked += 1
        return self.profile

    def proves(self, email: str, id: str = "7") -> None:
        self.account, self.profile = (id, email), {"email": email, "email_verified": True}


@pytest.fixture
def says() -> Says:
    return Says()


@pytest.fixture
def api(tmp_path: Path, says: Says) -> Iterator[Api]:
    with open_oauth(tmp_path, says) as api:
        yield api


def come_back(api: Api, path: str = LOGIN, headers: dict[str, str] | None = None, **changed: str) -> Any:
    flow = Flow(api, path, headers)
    return flow.come_back(**{"code": "c", "state": flow.asked["state"], **changed})


PROFILES: list[tuple[dict[str, Any], str, bool]] = [
    ({"email": VICTIM, "email_verified": True}, "castle", True),
    ({"email": VICTIM.upper(), "email_verified": True}, "castle", True),
    ({"email": VICTIM, "email_verified": "true"}, "castle", False),
    ({"email": VICTIM, "email_verified": 1}, "castle", False),
    ({"email": VICTIM, "email_verified": False, "verified_email": True}, "castle", False),
    ({"email": VICTIM, "email_verified": False, "verified": True}, "discord", False),
    ({"email": VICTIM, "email_verified": None}, "castle", False),
    ({"email": "other@gmail.com", "email_verified": True}, "castle", False),
    ({"email_verified": True}, "castle", False),
    ({"email": VICTIM, "verified_email": True}, "google", True),
    ({"email": VICTIM, "verified": True}, "castle", False),
    ({"email": VICTIM, "verified": True}, "discord", True),
    ({"emailAddresses": [{"value": VICTIM, "metadata": {"verified": True}}]}, "google", True),
    ({"emailAddresses": [{"value": VICTIM, "metadata": {"verified": False}}]}, "google", False),
    ({"emailAddresses": [{"value": "x@y.z", "metadata": {"verified": True}}, {"value": VICTIM}, 7]}, "google", False),
    ({}, "castle", False),
]


@pytest.mark.parametrize(("profile", "provider", "proven"), PROFILES)
def test_what_a_profile_proves(profile: dict[str, Any], provider: str, proven: bool) -> None:
    assert in_profile(profile, VICTIM, provider) is proven
    assert in_profile([profile], VICTIM, provider) is False


def test_what_a_list_of_addresses_proves() -> None:
    assert in_list([{"email": "a@b.co", "verified": True}, {"email": VICTIM, "verified": True}], VICTIM)
    for emails in ([{"email": VICTIM, "verified": False}], [{"email": VICTIM}], [VICTIM], {}, None):
        assert not in_list(emails, VICTIM)


@pytest.mark.parametrize(
    "other", ["victim@gmaıl.com", "vıctim@gmail.com", "victim@gmail.com.evil.com", "vićtim@gmail.com", "ﬁ@gmail.com"]
)
def test_an_address_that_looks_like_another(api: Api, says: Says, other: str) -> None:
    """They are different mailboxes: none is let in for the other, and none keeps the other's proof."""
    me = api.register(VICTIM).json()
    api.register("fi@gmail.com")
    api.set(VICTIM, is_verified=1)
    api.set("fi@gmail.com", is_verified=1)
    says.proves(other)
    stranger = api.get("/users/me", headers=bearer(come_back(api))).json()
    assert (stranger["email"], stranger["is_verified"]) == (other, False)
    assert stranger["id"] != me["id"]
    api.sql("DELETE FROM oauth_account")
    api.sql('DELETE FROM "user" WHERE email = ?', other)
    changed = api.patch("/users/me", headers=api.bearer(VICTIM), json={"email": other})
    assert changed.json()["is_verified"] is False, changed.text


def test_one_account_is_one_name_to_the_limits(api: Api) -> None:
    api.register(VICTIM)
    names = [VICTIM, VICTIM.upper(), "Victim@Gmail.com", "vıctim@gmail.com", "victim@gmaıl.com"]
    statuses = [api.log_in(names[n % len(names)], "x").status_code for n in range(40)]
    assert 429 in statuses
    assert api.log_in(VICTIM, "x").status_code == 429


ODD: dict[str, dict[str, Any]] = {
    "no token": {"token": {}}, "a list": {"token": []}, "nothing": {"token": None}, "no text": {"token": {"access_token": 7}},
    "NUL": {"token": {"access_token": "a\x00b"}}, "a surrogate": {"token": {"access_token": "\ud800"}},
    "an id of nothing": {"account": (None, VICTIM)}, "an empty id": {"account": ("", VICTIM)},
    "an id of truth": {"account": (True, VICTIM)}, "a list of an id": {"account": (["7"], VICTIM)},
    "a long id": {"account": ("7" * 321, VICTIM)}, "an id with NUL": {"account": ("7\x00", VICTIM)},
    "no pair": {"account": ("7",)}, "no account": {"account": None},
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_the_providers_fault(api: Api, says: Says, name: str) -> None:
    vars(says).update(ODD[name])
    answer = come_back(api)
    assert (answer.status_code, detail(answer)) == (400, "OAUTH_PROVIDER_ERROR")
    assert api.sql('SELECT * FROM "user"') == []


@pytest.mark.parametrize(
    "email", [None, "", "root@localhost", "no address", "a@b.co\x00", "\ud800@b.co", ["a@b.co"], "x" * 5000]
)
def test_an_address_that_nobody_could_register(api: Api, says: Says, email: Any) -> None:
    says.account = ("7", email)
    answer = come_back(api)
    assert (answer.status_code, detail(answer)) == (400, "OAUTH_NOT_AVAILABLE_EMAIL")
    assert api.sql('SELECT * FROM "user"') == []


@pytest.mark.parametrize("expires", ["tomorrow", True, -1, 10**12, float("inf"), float("nan"), 4e9, [1]])
def test_an_end_that_is_no_time(api: Api, says: Says, expires: Any) -> None:
    says.token = {"access_token": "t", "expires_at": expires, "refresh_token": ["r"]}
    me = api.get("/users/me", headers=bearer(come_back(api))).json()
    assert (me["oauth_accounts"][0]["expires_at"], me["oauth_accounts"][0]["refresh_token"]) == (None, None)


def test_an_id_that_is_a_number(api: Api, says: Says) -> None:
    says.account = (7, VICTIM)
    says.token = {"access_token": "t", "expires_at": 1_800_000_000, "refresh_token": "r"}
    account = api.get("/users/me", headers=bearer(come_back(api))).json()["oauth_accounts"][0]
    assert (account["account_id"], account["expires_at"], account["refresh_token"]) == ("7", 1_800_000_000, "r")


def test_an_error_beside_a_code(api: Api) -> None:
    answer = come_back(api, error="access_denied")
    assert (answer.status_code, detail(answer)) == (400, "access_denied")


def test_a_provider_is_asked_for_proof_only_where_it_matters(api: Api, says: Says) -> None:
    assert come_back(api).status_code == 200
    assert come_back(api).status_code == 200
    assert says.asked == 1, "of a new link, once"
    says.asked = 0
    says.proves("b@gmail.com", "8")
    api.register("b@gmail.com")
    assert detail(come_back(api)) == "OAUTH_USER_ALREADY_EXISTS"
    assert says.asked == 0, "who has not proven the address is not linked anyway"
    api.set("b@gmail.com", is_verified=1)
    assert come_back(api).status_code == 200
    assert says.asked == 1


def test_an_account_of_somebody_who_registered_the_address_before(tmp_path: Path, says: Says) -> None:
    """By linking: where it is switched on by name. The earlier account, and what it opened, are gone."""
    with open_oauth(tmp_path, says, associate_by_email=True) as api:
        says.account = ("mallory", VICTIM)
        mallory = bearer(come_back(api))
        says.account = ("victim", VICTIM)
        owner = bearer(come_back(api))
        assert [a["account_id"] for a in api.get("/users/me", headers=owner).json()["oauth_accounts"]] == ["victim"]
        assert api.get("/hello", headers=mallory).status_code == 401


def test_an_account_of_somebody_else_ends_with_a_reset(api: Api, says: Says) -> None:
    """As long as nobody has proven the address: whoever reads its mailbox is its owner."""
    says.account = ("mallory", VICTIM)
    mallory = bearer(come_back(api))
    api.post("/auth/forgot-password", json={"email": VICTIM})
    body = {"token": api.token("forgot"), "password": "guinevere"}
    assert api.post("/auth/reset-password", json=body).status_code == 200
    assert api.get("/hello", headers=mallory).status_code == 401
    assert detail(come_back(api)) == "OAUTH_USER_ALREADY_EXISTS"
    assert api.log_in(VICTIM).status_code == 200


@pytest.mark.parametrize("proven", [True, False])
def test_an_account_whose_address_the_provider_has_proven_survives_a_reset(api: Api, says: Says, proven: bool) -> None:
    """Another does not: that the address is proven here says nothing of who typed it there."""
    says.proves(VICTIM, "victim")
    says.profile["email_verified"] = proven
    come_back(api)
    api.set(VICTIM, is_verified=1)
    api.post("/auth/forgot-password", json={"email": VICTIM})
    api.post("/auth/reset-password", json={"token": api.token("forgot"), "password": "guinevere"})
    assert come_back(api).status_code == (200 if proven else 400)


def test_ids_with_slashes_can_be_unlinked(api: Api, says: Says) -> None:
    """Google's have one."""
    says.account = ("people/123", "king@camelot.bt")
    api.register()
    header = api.bearer()
    assert come_back(api, LINK, header).status_code == 200
    assert api.delete(f"{LINK}/linked/people/123", headers=header).status_code == 204
    assert api.get("/users/me", headers=header).json()["oauth_accounts"] == []


def test_a_user_with_accounts_can_be_deleted(api: Api, says: Says) -> None:
    me = api.get("/users/me", headers=bearer(come_back(api))).json()
    assert api.delete(f"/users/{me['id']}", headers=api.superuser()).status_code == 204
    assert api.sql("SELECT * FROM oauth_account") == []
    assert come_back(api).status_code == 200, "and may come again"


@pytest.mark.parametrize(
    "host", ["evil", "[2001:db8::66]:80", "3232235777", "0xC0A80101", "127.0.0.1.evil.com", "localhost.evil"]
)
def test_a_host_without_a_dot_is_no_localhost(tmp_path: Path, host: str) -> None:
    with open_site(tmp_path) as api:
        api.site.app.include_router(api.site.users.get_oauth_router(Says(), api.site.jwt, SECRET), prefix="/bare")
        answer = api.get("/bare/authorize", headers={"Host": host})
        assert (answer.status_code, detail(answer)) == (400, "OAUTH_REDIRECT_URL_NEEDED")
        for local in ("localhost", "127.0.0.1:8000", "[::1]:8000"):
            assert api.get("/bare/authorize", headers={"Host": local}).status_code == 200

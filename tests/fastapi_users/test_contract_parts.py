"""What applications bring: ways to find users, password helpers, tables of tokens. And what a token is for."""

import time
import uuid
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bcrypt
import pytest

from crossauth_backend.core.clock import utc_now
from crossauth_fastapi.fastapi_users import BaseUserManager, InvalidPasswordException, UUIDIDMixin
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport
from crossauth_fastapi.fastapi_users.authentication.strategy import DatabaseStrategy
from crossauth_fastapi.fastapi_users.jwt import decode_jwt, generate_jwt
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_oauth import Flow, Plain, open_oauth

EMAIL, OTHER = "arthur@camelot.bt", "lancelot@camelot.bt"
OLD_HASH = bcrypt.hashpw(b"guinevere", bcrypt.gensalt(4)).decode()


def come_back(flow: Flow) -> Any:
    return flow.come_back(code="c", state=flow.asked["state"])


def test_a_user_manager_that_finds_users_its_own_way(api: Api) -> None:
    class Finding(api.site.manager):  # type: ignore[misc, name-defined]
        async def get_by_email(self, user_email: str) -> Any:
            return await super().get_by_email(user_email if "@" in user_email else f"{user_email}@camelot.bt")

        def parse_id(self, value: Any) -> uuid.UUID:
            return UUIDIDMixin.parse_id(self, str(value).removeprefix("knight-"))

        async def validate_password(self, password: str, user: Any) -> None:
            if password == user.email:
                raise InvalidPasswordException(reason={"why": ["it is the address"]})

    api.site.manager = Finding
    me = api.register(password="x").json()
    refused = detail(api.register(OTHER, OTHER))
    assert refused == {"code": "REGISTER_INVALID_PASSWORD", "reason": {"why": ["it is the address"]}}
    assert detail(api.patch("/users/me", headers=api.bearer("arthur", "x"), json={"password": EMAIL}))["code"] == (
        "UPDATE_USER_INVALID_PASSWORD"
    )
    assert api.get(f"/users/knight-{me['id']}", headers=api.superuser()).json() == me
    assert api.get("/users/knight-x", headers=api.bearer("merlin", "sword")).status_code == 404


class Foreign:
    """Another library's password helper; what it does not know it raises on."""

    def hash(self, password: str) -> str:
        return f"md5${password[::-1]}"

    def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
        if not hashed_password.startswith("md5$"):
            raise LookupError("unknown hash")
        return hashed_password == self.hash(plain_password), None

    def generate(self) -> str:
        return "generated"


def test_a_password_helper_of_another_library(tmp_path: Path) -> None:
    with open_oauth(tmp_path, Plain()) as api:
        api.site.manager.__init__ = lambda self, db, _: BaseUserManager.__init__(self, db, Foreign())  # type: ignore
        api.register()
        assert [api.log_in(password=p).status_code for p in ("guinevere", "x")] == [200, 400]
        assert come_back(Flow(api)).status_code == 200
        hashes = api.sql('SELECT hashed_password FROM "user" ORDER BY email')
        assert hashes == [("md5$ereveniug",), ("md5$detareneg",)]
        for stored in (OLD_HASH, "", "x"):
            api.set(hashed_password=stored)
            assert detail(api.log_in()) == "LOGIN_BAD_CREDENTIALS"


class Rows:
    """A database of tokens with nothing but what is documented."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    async def get_by_token(self, token: str, max_age: Any = None) -> Any:
        row = self.rows.get(token)
        return row if row is not None and (max_age is None or row.created_at >= max_age) else None

    async def create(self, create_dict: dict[str, Any]) -> Any:
        return self.rows.setdefault(create_dict["token"], SimpleNamespace(created_at=utc_now(), **create_dict))

    async def update(self, access_token: Any, update_dict: dict[str, Any]) -> Any:
        vars(access_token).update(update_dict)
        return access_token

    async def delete(self, access_token: Any) -> None:
        del self.rows[access_token.token]


def test_a_database_of_tokens_of_the_application(tmp_path: Path) -> None:
    rows: Any = Rows()
    own: Any = AuthenticationBackend("own", BearerTransport("x"), lambda: DatabaseStrategy(rows, 3600))
    with open_site(tmp_path, more_backends=[own]) as api:
        me = api.register().json()
        header = api.bearer(by="own")
        assert api.get("/users/me", headers=header).json() == me
        assert api.patch("/users/me", headers=header, json={"password": "merlin"}).status_code == 200
        assert api.get("/users/me", headers=header).status_code == 401, "a database that lists no tokens can keep none"
        header, other = (api.bearer(password="merlin", by="own") for _ in range(2))
        assert api.post("/auth/own/logout", headers=header).status_code == 200
        assert [api.get("/hello", headers=h).status_code for h in (header, other)] == [401, 200]
        for row in rows.rows.values():
            row.created_at -= timedelta(seconds=3601)
        assert api.get("/hello", headers=other).status_code == 401


def mailed(api: Api) -> dict[str, str]:
    """The tokens that a user is sent."""
    for path in ("forgot-password", "request-verify-token"):
        assert api.post(f"/auth/{path}", json={"email": EMAIL}).status_code == 202
    return {"reset": api.token("forgot"), "verify": api.token("request_verify")}


def consume_once(api: Api, purpose: str, token: str) -> Any:
    path, more = {"reset": ("reset-password", {"password": "merlin"}), "verify": ("verify", {})}[purpose]
    return api.post(f"/auth/{path}", json={"token": token, **more})


BAD = {"reset": "RESET_PASSWORD_BAD_TOKEN", "verify": "VERIFY_USER_BAD_TOKEN"}


def test_a_token_is_for_one_purpose(api: Api) -> None:
    """All three are signed with the same secret here."""
    api.register()
    access, sent = api.bearer(), mailed(api)
    tokens = {**sent, "access": access["Authorization"].removeprefix("Bearer ")}
    for purpose, response in BAD.items():
        for other in tokens.keys() - {purpose}:
            assert detail(consume_once(api, purpose, tokens[other])) == response, (purpose, other)
        assert api.get("/hello", headers={"Authorization": f"Bearer {sent[purpose]}"}).status_code == 401
    assert api.get("/hello", headers=access).status_code == 200
    assert [consume_once(api, purpose, sent[purpose]).status_code for purpose in ("verify", "reset")] == [200, 200]


@pytest.mark.parametrize("purpose", ["reset", "verify"])
def test_how_long_a_token_is_good(api: Api, purpose: str) -> None:
    api.site.manager.reset_password_token_lifetime_seconds = 1234  # type: ignore[attr-defined]
    api.site.manager.verification_token_lifetime_seconds = 4321  # type: ignore[attr-defined]
    api.register()
    begun = int(time.time())
    claims = decode_jwt(mailed(api)[purpose], SECRET, [f"fastapi-users:{purpose}"])
    lifetime = {"reset": 1234, "verify": 4321}[purpose]
    assert begun + lifetime <= claims["exp"] <= int(time.time()) + lifetime
    endless = {name: value for name, value in claims.items() if name != "exp"}
    for wrong in (generate_jwt(claims | {"exp": begun - 1}, SECRET), generate_jwt(endless, SECRET)):
        assert detail(consume_once(api, purpose, wrong)) == BAD[purpose]
    assert consume_once(api, purpose, generate_jwt(endless, SECRET, 60)).status_code == 200

"""What was wrong with the routes as they are known, and is not here. Each test is named after the defect."""

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bcrypt
import httpx2
import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.core.jose import sign_jwt
from crossauth_backend.core.secrets import hash_token
from crossauth_fastapi.fastapi_users import IntegerIDMixin, InvalidID, UUIDIDMixin
from crossauth_fastapi.fastapi_users._rules import fingerprint
from crossauth_fastapi.fastapi_users.authentication import JWTStrategy, KeyStorageStrategy
from crossauth_fastapi.fastapi_users.authentication.strategy import DatabaseStrategy
from crossauth_fastapi.fastapi_users.password import PasswordHelper
from tests.fastapi_users.app import CHEAP, SECRET
from tests.fastapi_users.conftest import Api, detail, open_site

EMAIL = "arthur@camelot.bt"


def at_once(api: Api, times: int, ask: Any) -> list[int]:
    """The statuses of the same request, made by several clients at once."""
    clients = [api.another() for _ in range(times)]
    for client in clients:
        client.get("/maybe")
    with ThreadPoolExecutor(times) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(ask, clients))
    for client in clients:
        client.close()
    return statuses


def reset_token(api: Api) -> str:
    assert api.post("/auth/forgot-password", json={"email": EMAIL}).status_code == 202
    return api.token("forgot")


def reset(api: Api, token: str, password: str = "merlin") -> httpx2.Response:
    return api.post("/auth/reset-password", json={"token": token, "password": password})


def test_concurrent_register(api: Api) -> None:
    assert at_once(api, 6, lambda c: c.register()) == [201] + [400] * 5
    assert len(api.sql('SELECT * FROM "user"')) == 1


def test_concurrent_change_to_one_address(api: Api) -> None:
    names = [f"knight{n}@camelot.bt" for n in range(4)]
    for name in names:
        api.register(name)
    headers = iter([api.bearer(name) for name in names])
    taken = {"email": "round@camelot.bt"}
    assert at_once(api, 4, lambda c: c.patch("/users/me", headers=next(headers), json=taken)) == [200] + [400] * 3


def test_null_fields(api: Api) -> None:
    nulls = dict.fromkeys(("email", "password", "is_active", "is_superuser", "is_verified"))
    before = api.register().json()
    answer = api.patch("/users/me", headers=api.bearer(), json=nulls)
    assert (answer.status_code, answer.json()) == (200, before)
    answer = api.patch(f"/users/{before['id']}", headers=api.superuser(), json=nulls)
    assert (answer.status_code, answer.json()) == (200, before)
    assert api.register("b@camelot.bt", is_active=None, is_superuser=None, is_verified=None).status_code == 201


def test_own_case_e_mail_change(api: Api) -> None:
    api.register()
    api.set(is_verified=1)
    answer = api.patch("/users/me", headers=api.bearer(), json={"email": "Arthur@camelot.bt"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["email"], answer.json()["is_verified"]) == ("Arthur@camelot.bt", True)


def test_letters_beyond_ascii_in_two_cases(api: Api) -> None:
    assert api.register("Éric@camelot.bt").status_code == 201
    assert detail(api.register("éric@camelot.bt")) == "REGISTER_USER_ALREADY_EXISTS"
    assert api.log_in("éRIC@camelot.bt").status_code == 200
    long = "é" * 20
    assert api.register(f"{long}@camelot.bt").status_code == 201
    assert detail(api.register(f"{long.upper()}@camelot.bt")) == "REGISTER_USER_ALREADY_EXISTS"


def test_cross_backend_logout(api: Api) -> None:
    api.register()
    cookie = api.cookie_login()
    assert api.post("/auth/jwt/logout", headers=cookie).status_code == 200
    assert api.get("/hello", headers=cookie).status_code == 401
    assert api.sql("SELECT * FROM accesstoken") == []


@pytest.mark.parametrize("how", ["change", "reset", "superuser", "deactivated"])
def test_sessions_surviving_a_password_change(api: Api, how: str) -> None:
    me = api.register().json()
    own, others = api.cookie_login(), [api.cookie_login(), api.bearer()]
    if how == "change":
        assert api.patch("/users/me", headers=own, json={"password": "merlin"}).status_code == 200
        assert api.get("/hello", headers=own).status_code == 200, "the session that asked goes on"
    elif how == "reset":
        assert reset(api, reset_token(api)).status_code == 200
        assert api.get("/hello", headers=own).status_code == 401
    else:
        change = {"password": "merlin"} if how == "superuser" else {"is_active": False}
        assert api.patch(f"/users/{me['id']}", headers=api.superuser(), json=change).status_code == 200
        assert api.get("/hello", headers=own).status_code == 401
        api.set(is_active=1)
        assert api.get("/hello", headers=own).status_code == 401
    if how == "deactivated":
        others.pop()  # a JWT says no more than whose it is: it is refused while the user is inactive
    for header in others:
        assert api.get("/hello", headers=header).status_code == 401


def test_tokens_of_a_deleted_user(api: Api) -> None:
    me = api.register().json()
    api.cookie_login()
    assert api.delete(f"/users/{me['id']}", headers=api.superuser()).status_code == 204
    assert api.sql("SELECT * FROM accesstoken") == []


def test_several_redemptions_of_one_token(api: Api) -> None:
    api.register()
    token = reset_token(api)
    assert at_once(api, 5, lambda c: reset(c, token)) == [200] + [400] * 4
    api.post("/auth/request-verify-token", json={"email": EMAIL})
    token = api.token("request_verify")
    assert at_once(api, 5, lambda c: c.post("/auth/verify", json={"token": token})) == [200] + [400] * 4


def test_several_outstanding_tokens(api: Api) -> None:
    api.register()
    first = reset_token(api)
    time.sleep(1.1)  # two tokens of one second are one
    second = reset_token(api)
    assert first != second
    assert reset(api, second).status_code == 200
    assert detail(reset(api, first, "lancelot")) == "RESET_PASSWORD_BAD_TOKEN"


def test_stale_reset_token_after_an_e_mail_change(api: Api) -> None:
    api.register()
    token = reset_token(api)
    api.patch("/users/me", headers=api.bearer(), json={"email": "arthur@tintagel.bt"})
    assert detail(reset(api, token)) == "RESET_PASSWORD_BAD_TOKEN"


def test_timing_of_forgot_password(tmp_path: Any) -> None:
    """The answer is there before anything is done that only a known user causes; measured in the benchmarks."""
    with open_site(tmp_path) as api:
        hold, done = threading.Event(), threading.Event()

        async def slow(self: Any, user: Any, token: str, request: Any = None) -> None:
            await asyncio.to_thread(hold.wait, 10)
            done.set()

        api.site.manager.on_after_forgot_password = slow  # type: ignore[attr-defined]
        api.site.manager.on_after_request_verify = slow  # type: ignore[attr-defined]
        api.register()
        for path in ("forgot-password", "request-verify-token"):
            hold.clear()
            done.clear()
            assert api.post(f"/auth/{path}", json={"email": EMAIL}).status_code == 202
            assert not done.is_set()
            hold.set()
            assert done.wait(10)


@pytest.mark.parametrize("path", ["forgot-password", "request-verify-token"])
def test_a_hook_that_fails_does_not_show(tmp_path: Any, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with open_site(tmp_path) as api:

        async def broken(self: Any, user: Any, token: str, request: Any = None) -> None:
            raise RuntimeError("no mail today")

        api.site.manager.on_after_forgot_password = broken  # type: ignore[attr-defined]
        api.site.manager.on_after_request_verify = broken  # type: ignore[attr-defined]
        api.register()
        assert api.post(f"/auth/{path}", json={"email": EMAIL}).status_code == 202
        deadline = time.monotonic() + 10
        while "no mail today" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize("stored", ["", "!", "md5$abc", "$argon2id$broken", "$2b$12$short"])
def test_an_unusable_password_hash(api: Api, stored: str) -> None:
    api.register()
    api.set(hashed_password=stored)
    for password in ("guinevere", "", "x" * 100):
        answer = api.log_in(password=password) if password else api.log_in(password="y")
        assert (answer.status_code, detail(answer)) == (400, "LOGIN_BAD_CREDENTIALS")


def test_a_bcrypt_hash_and_a_long_password(api: Api) -> None:
    long = "x" * 80
    api.register()
    api.set(hashed_password=bcrypt.hashpw(long[:72].encode(), bcrypt.gensalt(4)).decode())
    assert detail(api.log_in(password="y" * 80)) == "LOGIN_BAD_CREDENTIALS"
    assert api.log_in(password=long).status_code == 200
    assert api.sql('SELECT hashed_password FROM "user"')[0][0].startswith("$argon2id$")
    assert api.log_in(password=long).status_code == 200


def test_a_password_as_large_as_a_book(api: Api) -> None:
    api.register()
    answer = api.log_in(password="x" * 60_000)
    assert (answer.status_code, detail(answer)) == (400, "LOGIN_BAD_CREDENTIALS")
    for answer in (
        api.register("b@camelot.bt", "x" * 60_000),
        api.patch("/users/me", headers=api.bearer(), json={"password": "x" * 60_000}),
    ):
        assert answer.status_code == 400
        assert detail(answer)["reason"] == "Password must be at most 4096 bytes"


@pytest.mark.parametrize("password", ["", "\ud800"])
def test_a_password_that_is_none(api: Api, password: str) -> None:
    body = f'{{"email": "a@camelot.bt", "password": "{"" if not password else chr(92) + "ud800"}"}}'
    answer = api.post("/auth/register", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text


def test_hashing_on_the_event_loop(tmp_path: Any) -> None:
    with open_site(tmp_path) as api:
        names = set()

        class Noting(PasswordHelper):
            def hash(self, password: str) -> str:
                names.add(threading.current_thread().name)
                return CHEAP.hash(password)

            def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
                names.add(threading.current_thread().name)
                return CHEAP.verify_and_update(plain_password, hashed_password)

        real = api.site.manager.__init__
        api.site.manager.__init__ = lambda self, db, helper: real(self, db, Noting())  # type: ignore[assignment, misc]
        api.register()
        api.bearer()
        api.log_in("nobody@camelot.bt")
        reset(api, reset_token(api))
    assert names
    assert all(name.startswith("crossauth-hash") for name in names), names


def test_raw_tokens_in_the_database(api: Api) -> None:
    api.register()
    cookie = api.cookie_login()
    token = cookie["Cookie"].partition("=")[2]
    stored = api.sql("SELECT token FROM accesstoken")[0][0]
    assert len(stored) == 43
    assert token.rpartition(".")[2] not in stored
    assert api.get("/hello", headers={"Cookie": f"fastapiusersauth={stored}"}).status_code == 401


def test_plain_tokens_only_by_name(tmp_path: Any) -> None:
    """Rows from before: they are good where the application says so, and a stored hash is no plain token."""
    rows = {"accept": True, "refuse": False}
    for name, accept in rows.items():
        folder = tmp_path / name
        folder.mkdir()
        with open_site(folder) as api:
            make = DatabaseStrategy.__init__
            DatabaseStrategy.__init__ = (  # type: ignore[method-assign]
                lambda self, db, lifetime_seconds=None, make=make, accept=accept: make(
                    self, db, lifetime_seconds, accept_plain_tokens=accept
                )
            )
            try:
                me = api.register().json()
                plain = "p" * 43
                api.sql(
                    "INSERT INTO accesstoken (token, created_at, user_id) VALUES (?, datetime('now'), ?)",
                    plain,
                    me["id"],
                )
                header = {"Cookie": f"fastapiusersauth={plain}"}
                assert api.get("/hello", headers=header).status_code == (200 if accept else 401)
                api.cookie_login()
                stored = api.sql("SELECT token FROM accesstoken WHERE token LIKE 'm:%'")[0][0]
                assert api.get("/hello", headers={"Cookie": f"fastapiusersauth={stored}"}).status_code == 401
                assert api.post("/auth/cookie/logout", headers=header).status_code == (200 if accept else 401)
                assert api.get("/hello", headers=header).status_code == 401
            finally:
                DatabaseStrategy.__init__ = make  # type: ignore[method-assign]


def test_a_lifetime_of_0_is_no_eternity() -> None:
    for make in (
        lambda: JWTStrategy(SECRET, 0), lambda: JWTStrategy(SECRET, -1), lambda: DatabaseStrategy(None, 0),  # type: ignore[arg-type, type-var]
        lambda: KeyStorageStrategy(None, 0),  # type: ignore[arg-type]
    ):  # fmt: skip
        with pytest.raises(CrossauthError, match="above 0"):
            make()


@pytest.mark.parametrize(
    "what", ["no exp", "exp 0", "audience", "none", "crit", "other key", "text exp", "list sub", "huge"]
)
def test_a_jwt_that_is_not_ours(api: Api, what: str) -> None:
    me = api.register().json()
    soon = int(time.time()) + 100
    mark = fingerprint(SECRET, hash_token(f"{me['id']}\n{api.sql('SELECT hashed_password FROM user')[0][0]}\n"))
    claims: dict[str, Any] = {"sub": me["id"], "aud": ["fastapi-users:auth"], "exp": soon, "pwd": mark}
    assert api.get("/hello", headers={"Authorization": f"Bearer {sign_jwt(claims, SECRET)}"}).status_code == 200
    key = SECRET
    match what:
        case "no exp":
            del claims["exp"]
        case "exp 0":
            claims["exp"] = 0
        case "audience":
            claims["aud"] = ["other", {"a": 1}]
        case "other key":
            key = SECRET + "x"
        case "text exp":
            claims["exp"] = "tomorrow"
        case "list sub":
            claims["sub"] = [me["id"]]
    token = sign_jwt(claims, key)
    if what == "none":
        token = "eyJhbGciOiJub25lIn0." + token.split(".")[1] + "."
    elif what == "huge":
        token = token + "A" * 40_000
    elif what == "crit":
        token = _with_header({"alg": "HS256", "crit": ["exp"], "exp": 1}, claims)
    assert api.get("/hello", headers={"Authorization": f"Bearer {token}"}).status_code in (401, 431, 400)


def _with_header(header: dict[str, Any], claims: dict[str, Any]) -> str:
    import base64
    import hmac
    import json

    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in (header, claims)]
    signed = b".".join(parts)
    mac = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).rstrip(b"=")
    return (signed + b"." + mac).decode()


@pytest.mark.parametrize("value", [None, 5, b"x", "x", "", [], "\ud800", "0" * 40, True, 1.5])
def test_ids_that_are_none(value: Any) -> None:
    with pytest.raises(InvalidID):
        UUIDIDMixin().parse_id(value)


@pytest.mark.parametrize(
    "value", [True, " 12 ", "1_000", "-1", -1, "٣", 1.0, "123.42", None, "", "9" * 19, 2**63, "9" * 5000]
)
def test_numbers_that_are_no_ids(value: Any) -> None:
    with pytest.raises(InvalidID):
        IntegerIDMixin().parse_id(value)


def test_ids_that_are_some() -> None:
    some = uuid.uuid4()
    assert UUIDIDMixin().parse_id(some) == UUIDIDMixin().parse_id(str(some)) == some
    assert [IntegerIDMixin().parse_id(v) for v in (12, "12", "0", str(2**63 - 1))] == [12, 12, 0, 2**63 - 1]


GARBAGE = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b'{"email": NaN}', b'{"email": "\\ud800@x.y", "password": "x"}',
    b'{"email": "a@b.co", "password": "\\ud800"}', b'{"email": {"password": "hidden"}}', b"[" * 100_000,
    b'{"email": "a\\u0000@b.co", "password": "a"}', b'{"email": "a@b.co", "password": ["hidden"]}',
    b'{"email": 1e999, "password": "hidden", "token": 5}', b'{"email":"a@b.co","email":"a@b.co"}', b'{"\\ud800": 1}',
    b'{"email": "a@b.co", "password": "hidden", "is_active": "\\ud800shown"}',
]  # fmt: skip


@pytest.mark.parametrize("body", GARBAGE)
def test_malformed_bodies(api: Api, body: bytes) -> None:
    api.register()
    header = {**api.bearer(), "Content-Type": "application/json"}
    boss = {**api.superuser(), "Content-Type": "application/json"}
    for method, path, headers in (
        ("POST", "/auth/register", header), ("POST", "/auth/forgot-password", header),
        ("POST", "/auth/reset-password", header), ("POST", "/auth/request-verify-token", header),
        ("POST", "/auth/verify", header), ("PATCH", "/users/me", header), ("POST", "/auth/jwt/login", header),
        ("PATCH", f"/users/{uuid.uuid4()}", boss),
    ):  # fmt: skip
        answer = api.request(method, path, content=body, headers=headers)
        assert answer.status_code < 500, (path, answer.text)
        assert "hidden" not in answer.text, (path, answer.text)


@pytest.mark.parametrize("form", [
    b"username=%00&password=a", b"username=%ff&password=%ff", b"username=a&username=b&password=c", b"=&=&username",
    b"username=" + b"a" * 60_000 + b"&password=x", b"username=a%40b.co&password=a&grant_type=%00",
])  # fmt: skip
def test_malformed_forms(api: Api, form: bytes) -> None:
    for path in ("jwt", "cookie"):
        answer = api.post(
            f"/auth/{path}/login", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in (400, 422), answer.text
    answer = api.post("/auth/jwt/login", files={"username": ("a", b"x"), "password": ("b", b"y")})
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("header", [
    {"Authorization": "Bearer"}, {"Authorization": "Bearer a b"}, {"Authorization": "Basic eA=="},
    {"Authorization": "Bearer é".encode("latin-1").decode("latin-1")}, {"Cookie": "fastapiusersauth="},
    {"Cookie": "fastapiusersauth=%00"}, {"Cookie": "fastapiusersauth=" + "x" * 5000}, {"Cookie": "=;;=fastapiusersauth"},
])  # fmt: skip
def test_malformed_credentials(api: Api, header: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in header.items()}
    assert api.get("/hello", headers=encoded).status_code == 401
    assert api.get("/maybe", headers=encoded).json() == {"email": None}


def test_malformed_ids(api: Api) -> None:
    header = api.superuser()
    for text in ("%00", "%ff", "%ed%a0%80", "a" * 5000, "1e3", "..%2fme", "%20"):
        for method in ("GET", "DELETE", "PATCH"):
            assert api.request(method, f"/users/{text}", headers=header).status_code in (404, 422), text


def test_a_bad_bearer_and_a_good_cookie(api: Api) -> None:
    api.register()
    assert api.get("/hello", headers={**api.cookie_login(), "Authorization": "Bearer x"}).status_code == 200


def test_brute_force(api: Api) -> None:
    api.register()
    statuses = [api.log_in(password="x").status_code for _ in range(21)]
    assert statuses == [400] * 20 + [429]
    answer = api.log_in("ARTHUR@camelot.bt")
    assert (answer.status_code, detail(answer)) == (429, "TOO_MANY_ATTEMPTS")
    assert 0 < int(answer.headers["retry-after"]) <= 900
    api.register("b@camelot.bt")
    assert api.log_in("b@camelot.bt").status_code == 200


def test_limits_of_mail(api: Api) -> None:
    for path, allowed in (("forgot-password", 5), ("request-verify-token", 10)):
        statuses = [api.post(f"/auth/{path}", json={"email": "a@camelot.bt"}).status_code for _ in range(allowed + 1)]
        assert statuses == [202] * allowed + [429], path


def test_a_password_change_without_the_old_one(tmp_path: Any) -> None:
    with open_site(tmp_path, require_old_password=True) as api:
        api.register()
        header = api.cookie_login()
        for change in ({"password": "merlin"}, {"email": "b@camelot.bt"}):
            for old in ({}, {"old_password": "x"}, {"old_password": None}):
                answer = api.patch("/users/me", headers=header, json={**change, **old})
                assert (answer.status_code, detail(answer)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID")
            assert api.patch("/users/me", headers=header, json={**change, "old_password": ["x"]}).status_code == 422
        assert api.patch("/users/me", headers=header, json={"email": EMAIL}).status_code == 200, "nothing changes"
        for change in ({"password": "merlin", "old_password": "guinevere"},
                       {"email": "b@camelot.bt", "old_password": "merlin"}):  # fmt: skip
            assert api.patch("/users/me", headers=header, json=change).status_code == 200
        assert api.log_in("b@camelot.bt", "merlin").status_code == 200
        fields = api.get("/openapi.json").json()["components"]["schemas"]["UserUpdateWithProof"]["properties"]
        assert "old_password" in fields
        assert not {"mfa_token", "otp"} & set(fields)

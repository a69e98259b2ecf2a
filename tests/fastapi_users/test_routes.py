"""Every row of the documented routes: path, status, code, body. A row's name is the name of its test."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from crossauth_fastapi.fastapi_users.jwt import generate_jwt
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, detail, open_site

EMAIL = "arthur@camelot.bt"
OTHER = "lancelot@camelot.bt"
Requirement = Callable[[Api], httpx2.Response]


def user_id(api: Api, email: str = EMAIL) -> str:
    return str(api.sql('SELECT id FROM "user" WHERE email = ?', email)[0][0])


def arthur(ask: Callable[[Api, dict[str, str]], httpx2.Response]) -> Requirement:
    """Ask as a user who has registered and logged in."""

    def asked(api: Api) -> httpx2.Response:
        api.register()
        return ask(api, api.bearer())

    return asked


def merlin(ask: Callable[[Api, dict[str, str], str], httpx2.Response]) -> Requirement:
    """Ask as a superuser about a user."""

    def asked(api: Api) -> httpx2.Response:
        api.register()
        return ask(api, api.superuser(), f"/users/{user_id(api)}")

    return asked


def with_token(hook: str, ask: Callable[[Api, str], httpx2.Response]) -> Requirement:
    """Ask with the token that was mailed to a user."""
    path = {"forgot": "/auth/forgot-password", "request_verify": "/auth/request-verify-token"}[hook]

    def asked(api: Api) -> httpx2.Response:
        api.register()
        assert api.post(path, json={"email": EMAIL}).status_code == 202
        return ask(api, api.token(hook))

    return asked


def first(before: Callable[[Api], object], ask: Requirement) -> Requirement:
    """Do something before."""

    def asked(api: Api) -> httpx2.Response:
        before(api)
        return ask(api)

    return asked


def inactive(api: Api) -> None:
    api.register()
    api.set(is_active=0)


REASON = "Password should be at least 3 characters"
ARTHUR = {"email": EMAIL, "is_active": True, "is_superuser": False, "is_verified": False, "oauth_accounts": []}
TOKEN_OF_NOBODY = generate_jwt({"sub": str(uuid.uuid4()), "aud": ["fastapi-users:auth"]}, SECRET, 60)
ROWS: dict[str, tuple[Requirement, int, Any]] = {
    # 1.1 auth router
    "login, bearer": (first(Api.register, lambda a: a.log_in()), 200, None),
    "login, cookie": (first(Api.register, lambda a: a.log_in(by="cookie")), 204, ""),
    "login, multipart": (
        first(Api.register, lambda a: a.post("/auth/jwt/login", data={"username": EMAIL, "password": "guinevere"},
                                             files={"x": ("x", b"")})), 200, None),
    "login, unknown user": (Api.log_in, 400, "LOGIN_BAD_CREDENTIALS"),
    "login, wrong password": (first(Api.register, lambda a: a.log_in(password="no")), 400, "LOGIN_BAD_CREDENTIALS"),
    "login, inactive user": (first(inactive, Api.log_in), 400, "LOGIN_BAD_CREDENTIALS"),
    "login, missing field": (lambda a: a.post("/auth/jwt/login", data={"username": EMAIL}), 422, None),
    "login, JSON": (lambda a: a.post("/auth/jwt/login", json={"username": EMAIL, "password": "x"}), 422, None),
    "login, grant type": (
        lambda a: a.post("/auth/jwt/login", data={"username": "a", "password": "b", "grant_type": "x"}), 422, None),
    "logout, bearer": (arthur(lambda a, h: a.post("/auth/jwt/logout", headers=h)), 200, "null"),
    "logout, cookie": (
        first(Api.register, lambda a: a.post("/auth/cookie/logout", headers=a.cookie_login())), 200, "null"),
    "logout, missing token": (lambda a: a.post("/auth/jwt/logout"), 401, "Unauthorized"),
    "logout, inactive user": (
        arthur(lambda a, h: (a.set(is_active=0), a.post("/auth/jwt/logout", headers=h))[1]), 401, "Unauthorized"),
    # 1.2 register router
    "register": (Api.register, 201, ARTHUR),
    "register, flags are ignored": (
        lambda a: a.register(is_superuser=True, is_verified=True, is_active=False, unknown=1), 201, ARTHUR),
    "register, existing user": (first(Api.register, Api.register), 400, "REGISTER_USER_ALREADY_EXISTS"),
    "register, existing user in another case": (
        first(Api.register, lambda a: a.register("ARTHUR@camelot.bt")), 400, "REGISTER_USER_ALREADY_EXISTS"),
    "register, password": (
        lambda a: a.register(password="x"), 400, {"code": "REGISTER_INVALID_PASSWORD", "reason": REASON}),
    "register, password before existence": (
        first(Api.register, lambda a: a.register(password="x")), 400,
        {"code": "REGISTER_INVALID_PASSWORD", "reason": REASON}),
    "register, no e-mail": (lambda a: a.register("a@localhost"), 422, None),
    "register, missing field": (lambda a: a.post("/auth/register", json={"email": EMAIL}), 422, None),
    # 1.3 reset-password router
    "forgot-password": (first(Api.register, lambda a: a.post("/auth/forgot-password", json={"email": EMAIL})), 202, "null"),
    "forgot-password, unknown user": (lambda a: a.post("/auth/forgot-password", json={"email": EMAIL}), 202, "null"),
    "forgot-password, inactive user": (
        first(inactive, lambda a: a.post("/auth/forgot-password", json={"email": EMAIL})), 202, "null"),
    "forgot-password, no e-mail": (lambda a: a.post("/auth/forgot-password", json={"email": "x"}), 422, None),
    "reset-password": (
        with_token("forgot", lambda a, t: a.post("/auth/reset-password", json={"token": t, "password": "merlin"})), 200,
        "null"),
    "reset-password, bad token": (
        lambda a: a.post("/auth/reset-password", json={"token": "x", "password": "merlin"}), 400,
        "RESET_PASSWORD_BAD_TOKEN"),
    "reset-password, unknown user": (
        with_token("forgot", lambda a, t: (a.sql('DELETE FROM "user"'), a.post(
            "/auth/reset-password", json={"token": t, "password": "merlin"}))[1]), 400, "RESET_PASSWORD_BAD_TOKEN"),
    "reset-password, inactive user": (
        with_token("forgot", lambda a, t: (a.set(is_active=0), a.post(
            "/auth/reset-password", json={"token": t, "password": "merlin"}))[1]), 400, "RESET_PASSWORD_BAD_TOKEN"),
    "reset-password, used token": (
        with_token("forgot", lambda a, t: [a.post(
            "/auth/reset-password", json={"token": t, "password": "merlin"}) for _ in "12"][1]), 400,
        "RESET_PASSWORD_BAD_TOKEN"),
    "reset-password, password": (
        with_token("forgot", lambda a, t: a.post("/auth/reset-password", json={"token": t, "password": "x"})), 400,
        {"code": "RESET_PASSWORD_INVALID_PASSWORD", "reason": REASON}),
    "reset-password, a refused password does not burn the token": (
        with_token("forgot", lambda a, t: [a.post(
            "/auth/reset-password", json={"token": t, "password": p}) for p in ("x", "merlin")][1]), 200, "null"),
    "reset-password, missing field": (lambda a: a.post("/auth/reset-password", json={"token": "x"}), 422, None),
    # 1.4 verify router
    "request-verify-token": (
        first(Api.register, lambda a: a.post("/auth/request-verify-token", json={"email": EMAIL})), 202, "null"),
    "request-verify-token, unknown user": (
        lambda a: a.post("/auth/request-verify-token", json={"email": EMAIL}), 202, "null"),
    "request-verify-token, inactive user": (
        first(inactive, lambda a: a.post("/auth/request-verify-token", json={"email": EMAIL})), 202, "null"),
    "request-verify-token, no e-mail": (lambda a: a.post("/auth/request-verify-token", json={"email": 1}), 422, None),
    "verify": (
        with_token("request_verify", lambda a, t: a.post("/auth/verify", json={"token": t})), 200,
        ARTHUR | {"is_verified": True}),
    "verify, bad token": (lambda a: a.post("/auth/verify", json={"token": "x"}), 400, "VERIFY_USER_BAD_TOKEN"),
    "verify, unknown user": (
        with_token("request_verify", lambda a, t: (a.sql('DELETE FROM "user"'), a.post(
            "/auth/verify", json={"token": t}))[1]), 400, "VERIFY_USER_BAD_TOKEN"),
    "verify, another user has the address now": (
        with_token("request_verify", lambda a, t: (a.set(id=str(uuid.uuid4())), a.post(
            "/auth/verify", json={"token": t}))[1]), 400, "VERIFY_USER_BAD_TOKEN"),
    "verify, not the current address": (
        with_token("request_verify", lambda a, t: (a.sql('UPDATE "user" SET email = ?', OTHER), a.post(
            "/auth/verify", json={"token": t}))[1]), 400, "VERIFY_USER_BAD_TOKEN"),
    "verify, already verified": (
        with_token("request_verify", lambda a, t: [a.post("/auth/verify", json={"token": t}) for _ in "12"][1]), 400,
        "VERIFY_USER_ALREADY_VERIFIED"),
    "verify, inactive user": (
        with_token("request_verify", lambda a, t: (a.set(is_active=0), a.post(
            "/auth/verify", json={"token": t}))[1]), 200, ARTHUR | {"is_verified": True, "is_active": False}),
    "verify, missing field": (lambda a: a.post("/auth/verify", json={}), 422, None),
    # 1.5 users router
    "GET me": (arthur(lambda a, h: a.get("/users/me", headers=h)), 200, ARTHUR),
    "GET me, missing token": (lambda a: a.get("/users/me"), 401, "Unauthorized"),
    "GET me, inactive user": (
        arthur(lambda a, h: (a.set(is_active=0), a.get("/users/me", headers=h))[1]), 401, "Unauthorized"),
    "GET me, token of nobody": (
        lambda a: a.get("/users/me", headers={"Authorization": f"Bearer {TOKEN_OF_NOBODY}"}), 401, "Unauthorized"),
    "PATCH me": (
        arthur(lambda a, h: a.patch("/users/me", headers=h, json={"email": "arthur@tintagel.bt", "password": "merlin"})),
        200, ARTHUR | {"email": "arthur@tintagel.bt"}),
    "PATCH me, flags are dropped": (
        arthur(lambda a, h: a.patch("/users/me", headers=h, json={
            "is_superuser": True, "is_verified": True, "is_active": False, "id": str(uuid.uuid4())})), 200, ARTHUR),
    "PATCH me, missing token before body": (lambda a: a.patch("/users/me"), 401, "Unauthorized"),
    "PATCH me, password": (
        arthur(lambda a, h: a.patch("/users/me", headers=h, json={"password": "x"})), 400,
        {"code": "UPDATE_USER_INVALID_PASSWORD", "reason": REASON}),
    "PATCH me, existing e-mail": (
        first(lambda a: a.register(OTHER), arthur(lambda a, h: a.patch("/users/me", headers=h, json={"email": OTHER}))),
        400, "UPDATE_USER_EMAIL_ALREADY_EXISTS"),
    "PATCH me, no e-mail": (arthur(lambda a, h: a.patch("/users/me", headers=h, json={"email": "x"})), 422, None),
    "GET id": (merlin(lambda a, h, url: a.get(url, headers=h)), 200, ARTHUR),
    "GET id, missing token": (lambda a: a.get(f"/users/{uuid.uuid4()}"), 401, "Unauthorized"),
    "GET id, not a superuser, unknown id": (
        arthur(lambda a, h: a.get(f"/users/{uuid.uuid4()}", headers=h)), 403, "Forbidden"),
    "GET id, unknown": (merlin(lambda a, h, url: a.get(f"/users/{uuid.uuid4()}", headers=h)), 404, "Not Found"),
    "GET id, no id": (merlin(lambda a, h, url: a.get("/users/x", headers=h)), 404, "Not Found"),
    "PATCH id": (
        merlin(lambda a, h, url: a.patch(url, headers=h, json={
            "email": "arthur@tintagel.bt", "password": "merlin", "is_active": False, "is_superuser": True})), 200,
        ARTHUR | {"email": "arthur@tintagel.bt", "is_active": False, "is_superuser": True}),
    "PATCH id, verified with a new e-mail": (
        merlin(lambda a, h, url: a.patch(url, headers=h, json={"is_verified": True, "email": OTHER})), 200,
        ARTHUR | {"email": OTHER, "is_verified": True}),
    "PATCH id, missing token": (lambda a: a.patch(f"/users/{uuid.uuid4()}", json={}), 401, "Unauthorized"),
    "PATCH id, not a superuser": (arthur(lambda a, h: a.patch(f"/users/{user_id(a)}", headers=h)), 403, "Forbidden"),
    "PATCH id, unknown id before body": (
        merlin(lambda a, h, url: a.patch(f"/users/{uuid.uuid4()}", headers=h)), 404, "Not Found"),
    "PATCH id, password": (
        merlin(lambda a, h, url: a.patch(url, headers=h, json={"password": "x"})), 400,
        {"code": "UPDATE_USER_INVALID_PASSWORD", "reason": REASON}),
    "PATCH id, existing e-mail": (
        first(lambda a: a.register(OTHER), merlin(lambda a, h, url: a.patch(url, headers=h, json={"email": OTHER}))), 400,
        "UPDATE_USER_EMAIL_ALREADY_EXISTS"),
    "PATCH id, no body": (merlin(lambda a, h, url: a.patch(url, headers=h)), 422, None),
    "DELETE id": (merlin(lambda a, h, url: a.delete(url, headers=h)), 204, ""),
    "DELETE id, missing token": (lambda a: a.delete(f"/users/{uuid.uuid4()}"), 401, "Unauthorized"),
    "DELETE id, not a superuser": (arthur(lambda a, h: a.delete(f"/users/{user_id(a)}", headers=h)), 403, "Forbidden"),
    "DELETE id, unknown": (merlin(lambda a, h, url: a.delete(f"/users/{uuid.uuid4()}", headers=h)), 404, "Not Found"),
    "DELETE me, superuser": (merlin(lambda a, h, url: a.delete("/users/me", headers=h)), 404, "Not Found"),
    "DELETE me, others": (arthur(lambda a, h: a.delete("/users/me", headers=h)), 403, "Forbidden"),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_row(api: Api, name: str) -> None:
    ask, status, body = ROWS[name]
    answer = ask(api)
    assert answer.status_code == status, answer.text
    if isinstance(body, dict) and status < 300:
        displayed = answer.json()
        assert uuid.UUID(displayed.pop("id"))
        assert displayed == body
    elif status == 422:
        assert {"type", "loc", "msg"} <= set(detail(answer)[0])
    elif status < 300 and body is not None:
        assert answer.text == body
    elif body is not None:
        assert detail(answer) == body
    if status == 401:
        token = answer.request.headers.get("authorization")
        assert answer.headers["www-authenticate"] == 'Bearer realm="users"' + (
            ', error="invalid_token"' if token else ""
        )


def test_the_bytes_of_a_bearer_login(api: Api) -> None:
    api.register()
    answer = api.log_in()
    token = answer.json()["access_token"]
    assert answer.text == f'{{"access_token":"{token}","token_type":"bearer"}}'


def test_the_attributes_of_the_cookie(api: Api) -> None:
    api.register()
    login = api.log_in(by="cookie")
    cookie, browser = login.headers.get_list("set-cookie")
    assert cookie.partition("; ")[2] == "HttpOnly; Max-Age=3600; Path=/; SameSite=lax; Secure"
    assert cookie.startswith("fastapiusersauth=")
    assert browser.startswith("fastapiusersbrowser=")
    assert browser.partition("; ")[2] == "HttpOnly; Max-Age=2592000; Path=/; SameSite=lax; Secure"
    assert "content-type" not in login.headers
    logout = api.post("/auth/cookie/logout", headers=api.cookie_login())
    gone = 'fastapiusersauth=""; HttpOnly; Max-Age=0; Path=/; SameSite=lax; Secure'
    assert logout.headers["set-cookie"] == gone


def test_the_order_of_a_user(api: Api) -> None:
    displayed = [name for name in api.register().json() if name != "oauth_accounts"]
    assert displayed == ["id", "email", "is_active", "is_superuser", "is_verified"]


def test_the_hooks_in_their_order(api: Api) -> None:
    api.register()
    api.post("/auth/request-verify-token", json={"email": EMAIL})
    api.post("/auth/verify", json={"token": api.token("request_verify")})
    header = api.bearer()
    api.patch("/users/me", headers=header, json={"password": "merlin"})
    api.post("/auth/forgot-password", json={"email": EMAIL})
    api.post("/auth/reset-password", json={"token": api.token("forgot"), "password": "guinevere"})
    api.delete(f"/users/{user_id(api)}", headers=api.superuser())
    names = [call[0] for call in api.site.calls]
    assert names == [
        "register", "request_verify", "verify", "login", "update", "forgot", "reset", "login", "before_delete", "delete",
    ]  # fmt: skip
    assert ("update", EMAIL, ["password"]) in api.site.calls


def test_a_new_address_is_unproven_and_the_same_one_is_not_new(api: Api) -> None:
    api.register()
    api.set(is_verified=1)
    header = api.bearer()
    assert api.patch("/users/me", headers=header, json={"email": EMAIL}).json()["is_verified"] is True
    assert api.patch("/users/me", headers=header, json={"email": OTHER}).json()["is_verified"] is False


@pytest.mark.parametrize("path", ["jwt/login", "jwt/logout", "users"])
def test_where_verification_is_required(tmp_path: Any, path: str) -> None:
    with open_site(tmp_path) as api:
        users, app = api.site.users, api.site.app
        from tests.fastapi_users.app import UserRead, UserUpdate

        app.include_router(users.get_auth_router(api.site.jwt, requires_verification=True), prefix="/v/jwt")
        app.include_router(users.get_users_router(UserRead, UserUpdate, requires_verification=True), prefix="/v/users")
        api.register()
        header = api.bearer()
        form = {"username": EMAIL, "password": "guinevere"}
        if path == "jwt/login":
            answer = api.post("/v/jwt/login", data=form)
            assert (answer.status_code, detail(answer)) == (400, "LOGIN_USER_NOT_VERIFIED")
            wrong = api.post("/v/jwt/login", data={**form, "password": "x"})
            assert detail(wrong) == "LOGIN_BAD_CREDENTIALS"
        elif path == "jwt/logout":
            answer = api.post("/v/jwt/logout", headers=header)
            assert (answer.status_code, detail(answer)) == (403, "Forbidden")
        else:
            for answer in (
                api.get("/v/users/me", headers=header), api.patch("/v/users/me", headers=header, json={}),
            ):  # fmt: skip
                assert (answer.status_code, detail(answer)) == (403, "Forbidden")
        api.set(is_verified=1)
        assert api.post("/v/jwt/login", data=form).status_code == 200
        assert api.get("/v/users/me", headers=header).status_code == 200


def test_later_versions_answer_a_logout_with_204(tmp_path: Any) -> None:
    with open_site(tmp_path) as api:
        for name in ("jwt", "cookie"):
            backend = getattr(api.site, name)
            api.site.app.include_router(
                api.site.users.get_auth_router(backend, logout_status_code=204), prefix=f"/v/{name}"
            )
        api.register()
        for name, header in (("jwt", api.bearer()), ("cookie", api.cookie_login())):
            answer = api.post(f"/v/{name}/logout", headers=header)
            assert (answer.status_code, answer.content) == (204, b"")
            assert "content-type" not in answer.headers
            assert ("set-cookie" in answer.headers) == (name == "cookie")


def test_an_application_may_put_a_route_of_its_own_before() -> None:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from tests.fastapi_users.app import Site, UserRead, UserUpdate

    site, app = Site("sqlite://"), FastAPI()

    @app.delete("/users/me")
    async def delete_me() -> str:
        return "mine"

    app.include_router(site.users.get_users_router(UserRead, UserUpdate), prefix="/users")
    assert TestClient(app).delete("/users/me").json() == "mine"

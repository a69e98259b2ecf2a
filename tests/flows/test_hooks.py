"""The functions an application hands in, and the states that send a login elsewhere."""

import asyncio
from typing import Any

import pytest
from fastapi import Request, Response
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, InMemoryUserStorage, UserState
from crossauth_fastapi import FastApiServer
from crossauth_fastapi.fastapisession import default_create_user, default_update_user
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD, Client, make_server


def at(server: FastApiServer) -> TestClient:
    return TestClient(server.app, base_url="https://testserver")


def post(client: TestClient, path: str, **fields: Any) -> Any:
    token = client.get("/api/getcsrftoken").json()["csrfToken"]
    return client.post(path, json=fields, headers={CSRF: token})


def sign_up(client: TestClient, **fields: Any) -> Any:
    return post(client, "/api/signup", username="alice", password=PASSWORD, **fields)


def test_create_user_fn_makes_the_user() -> None:
    def create(request: Request, body: dict[str, Any], editable: list[str], factors: list[str]) -> Any:
        assert factors == ["localpassword"]
        return {**default_create_user(request, body, editable, factors), "nickname": body["invite"].upper()}

    assert sign_up(at(make_server(create_user_fn=create)), invite="abc").json()["user"]["nickname"] == "ABC"


async def create_slowly(request: Request, body: dict[str, Any], editable: list[str], factors: list[str]) -> Any:
    await asyncio.sleep(0)
    return default_create_user(request, body, editable, factors)


def test_a_hook_may_be_asynchronous() -> None:
    assert sign_up(at(make_server(create_user_fn=create_slowly))).json()["ok"] is True


def test_a_hook_that_refuses_leaves_nothing_behind() -> None:
    def refuse(*args: Any) -> Any:
        raise CrossauthError(ErrorCode.Forbidden, "By invitation only")

    users = InMemoryUserStorage()
    answer = sign_up(at(make_server(users, create_user_fn=refuse)))
    assert (answer.status_code, answer.json()["errorMessage"]) == (403, "By invitation only")
    assert asyncio.run(users.get_users()) == []


def test_update_user_fn_changes_the_user() -> None:
    def update(user: Any, request: Request, body: dict[str, Any], editable: list[str]) -> Any:
        return {**default_update_user(user, request, body, editable), "nickname": "changed"}

    client = at(make_server(update_user_fn=update))
    sign_up(client)
    assert post(client, "/api/updateuser").json()["ok"] is True
    assert client.get("/api/userforsessionkey").json()["user"]["nickname"] == "changed"


def test_validate_user_fn_judges_users() -> None:
    server = make_server(
        validate_user_fn=lambda user: ["Only staff", "No robots"] if user["username"] == "alice" else []
    )
    answer = sign_up(at(server))
    assert (answer.status_code, answer.json()["errorMessages"]) == (400, ["Only staff", "No robots"])
    assert answer.json()["errorCodeName"] == "FormEntry"


def test_add_to_session_adds_columns_to_every_new_session() -> None:
    keys = InMemoryKeyStorage()
    client = at(make_server(keys=keys, add_to_session=lambda request: {"agent": request.headers["user-agent"]}))
    sign_up(client)
    (key,) = asyncio.run(keys.get_all_for_user(1))
    assert key["agent"] == "testclient"


def test_is_admin_fn_says_who_may() -> None:
    client = at(make_server(is_admin_fn=lambda user: user.username == "alice"))
    assert client.get("/admin-only").status_code == 401
    sign_up(client)
    assert client.get("/admin-only").json() == {"username": "alice"}


def test_two_servers_keep_their_hooks_apart() -> None:
    first = at(make_server(is_admin_fn=lambda user: True))
    second = at(make_server())
    sign_up(first)
    sign_up(second)
    assert (first.get("/admin-only").status_code, second.get("/admin-only").status_code) == (200, 403)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (UserState.disabled, "UserNotActive"),
        (UserState.awaiting_email_verification, "EmailNotVerified"),
        (UserState.awaiting_two_factor_setup, "TwoFactorIncomplete"),
        (UserState.awaiting_two_factor_setup_and_email_verification, "TwoFactorIncomplete"),
        (UserState.password_reset_needed, "PasswordResetNeeded"),
        (UserState.password_and_factor2_reset_needed, "PasswordResetNeeded"),
        (UserState.factor2_reset_needed, "Factor2ResetNeeded"),
        (UserState.password_change_needed, "PasswordChangeNeeded"),
        ("invented", "UserNotActive"),
    ],
)
def test_an_account_that_is_not_active_is_not_signed_in(state: str, expected: str) -> None:
    users = InMemoryUserStorage()
    client = at(make_server(users))
    sign_up(client)
    asyncio.run(users.update_user({"id": 1, "state": state}))
    assert client.get("/me").status_code == 401
    answer = post(client, "/api/login", username="alice", password=PASSWORD)
    assert (answer.status_code, answer.json()["errorCodeName"]) == (403, expected)
    wrong = post(client, "/api/login", username="alice", password="Wrong1password")
    assert wrong.json()["errorCodeName"] == "UsernameOrPasswordInvalid", "the state is for whoever knows the password"
    assert client.get("/me").status_code == 401


def test_a_user_with_a_second_factor_is_never_signed_in_without_it() -> None:
    users = InMemoryUserStorage()
    client = at(make_server(users))
    sign_up(client)
    asyncio.run(users.update_user({"id": 1, "factor2": "totp"}))
    post(client, "/api/logout")
    answer = post(client, "/api/login", username="alice", password=PASSWORD)
    assert answer.json()["errorCodeName"] == "Factor2ResetNeeded", "nobody gets in for a factor that the server lost"
    assert client.get("/me").status_code == 401


def test_a_forced_password_change(sqlite_url: str) -> None:
    users = InMemoryUserStorage()
    with serve(make_server(users).app) as url, Client(url) as client:
        client.sign_up()
        asyncio.run(users.update_user({"id": 1, "state": UserState.password_change_needed}))
        answer = client.submit("/login", username="alice", password=PASSWORD, next="/maybe")
        assert answer.status_code == 303
        change = answer.headers["location"]
        assert change.startswith("/changepassword?required=true&next=%2Flogin")
        assert client.who() is None, "the question is not an answer"
        page = client.get(change)
        assert "You need to choose a new password" in page.text
        new = {"old_password": PASSWORD, "new_password": "Another1one", "repeat_password": "Another1one"}
        done = client.submit("/changepassword", **new, next="/login?next=/maybe", required="true")
        assert (done.status_code, done.headers["location"]) == (303, "/login?next=/maybe")
        assert client.who() == "alice"
        assert client.get("/login?next=/maybe").headers["location"] == "/maybe"


def test_login_with_user_enters_the_same_stages() -> None:
    users = InMemoryUserStorage()
    server = make_server(users)
    session = server.session_server
    assert session is not None

    @server.app.post("/enter")
    async def enter(request: Request) -> Response:
        user = (await users.get_user_by_id(1, {"skip_active_check": True})).user
        return await session.login_with_user(
            user, False, request, Response(), lambda response, user: Response(f"hello {user.username}")
        )

    client = at(server)
    sign_up(client)
    post(client, "/api/logout")
    assert client.post("/enter").text == "hello alice"
    assert client.get("/me").json() == {"username": "alice"}
    asyncio.run(users.update_user({"id": 1, "state": "disabled"}))
    assert client.post("/enter").json()["errorCodeName"] == "UserNotActive"


def test_error_if_csrf_invalid() -> None:
    server = make_server()

    @server.app.post("/guarded")
    async def guarded(request: Request, response: Response) -> Any:
        refused = await server.error_if_csrf_invalid(request, response, None)
        return refused.response if refused.error else {"done": True}

    client = at(server)
    assert client.post("/guarded").json()["errorCodeName"] == "InvalidCsrf"
    assert post(client, "/guarded").json() == {"done": True}


@pytest.mark.parametrize("name", ["2fa", "pre2fa", "passwordchange", "factor2change", "2fa.username"])
def test_an_application_cannot_write_the_names_the_library_keeps_for_itself(name: str) -> None:
    server = make_server()

    @server.app.post("/write")
    async def write(request: Request, response: Response) -> dict[str, Any]:
        if request.query_params.get("how") == "create":
            await server.create_anonymous_session(request, response, {name: {"username": "alice"}})
        else:
            await server.create_anonymous_session(request, response, {"a": 1})
            await server.update_session_data(request, name, {"username": "alice"})
        return {"ok": True}

    client = at(server)
    for how in ("create", "update"):
        answer = client.post(f"/write?how={how}")
        assert (answer.status_code, answer.json()["errorCodeName"]) == (400, "BadRequest")


def test_session_data() -> None:
    server = make_server()
    session = server.session_server
    assert session is not None

    @server.app.post("/data")
    async def data(request: Request, response: Response) -> dict[str, Any]:
        await server.create_anonymous_session(request, response, {"a": {"b": 1}, "c": [1]})
        await server.update_session_data(request, "a.d", "é")
        await session.update_many_session_data(request, [{"data_name": "x", "value": 1}, {"data_name": "c"}])
        await server.delete_session_data(request, "a.b")
        return {name: await server.get_session_data(request, name) for name in ("a", "c", "x", "a.d", "none")}

    client = at(server)
    assert client.post("/data").json() == {"a": {"d": "é"}, "c": None, "x": 1, "a.d": "é", "none": None}
    assert client.get("/api/userforsessionkey").json()["user"] is None

"""Functions of the application: each may be plain or `async` and is awaited; what goes wrong in one that decides refuses."""

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from crossauth_backend import (
    CrossauthError,
    DummyFactor2Authenticator,
    ErrorCode,
    Event,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    Mail,
    SmsAuthenticator,
)
from crossauth_backend.core.hooks import call_hook, decide, decide_now
from crossauth_fastapi import FastApiServer, FastApiSessionAdapter
from crossauth_fastapi.fastapisession import default_create_user, default_update_user
from tests.accounts import Browser, World, name_of
from tests.support import CHEAP, CSRF, PASSWORD, make_server

SRC = Path(__file__).parents[2] / "src"
Variant = Callable[[Callable[..., Any]], Callable[..., Any]]


def plain(hook: Callable[..., Any]) -> Callable[..., Any]:
    return hook


def asynchronous(hook: Callable[..., Any]) -> Callable[..., Any]:
    async def waits(*args: Any) -> Any:
        await asyncio.sleep(0)
        return hook(*args)

    return waits


both = pytest.mark.parametrize("variant", [plain, asynchronous])


def at(server: FastApiServer) -> TestClient:
    return TestClient(server.app, base_url="https://testserver")


def post(client: TestClient, path: str, **fields: Any) -> Any:
    token = client.get("/api/getcsrftoken").json()["csrfToken"]
    return client.post(path, json=fields, headers={CSRF: token})


def sign_up(client: TestClient, username: str = "alice", **fields: Any) -> Any:
    return post(client, "/api/signup", username=username, password=PASSWORD, **fields)


def raises(error: Exception) -> Callable[..., Any]:
    def hook(*args: Any) -> Any:
        raise error

    return hook


def refuse(*args: Any) -> Any:
    raise CrossauthError(ErrorCode.Forbidden, "By invitation only")


# Who is an administrator


@both
@pytest.mark.parametrize(("answer", "status"), [(False, 403), (True, 200)])
def test_is_admin_fn_decides_at_every_place_that_asks(variant: Variant, answer: bool, status: int) -> None:
    server = make_server(is_admin_fn=variant(lambda user: answer), enable_admin_endpoints=True)
    client = at(server)
    sign_up(client)
    assert client.get("/admin-only").status_code == status
    assert client.get("/admin/api/selectuser").status_code == status
    assert client.get("/admin/selectuser").status_code == status
    assert post(client, "/admin/api/deleteuser/1").status_code == (400 if answer else 403)
    assert ("/admin/selectuser" in client.get("/updateuser").text) is answer
    user = asyncio.run(server.session_server.user_storage.get_user_by_username("alice")).user  # type: ignore[union-attr]
    assert asyncio.run(server.is_administrator(user)) is answer


@both
@pytest.mark.parametrize("answer", [None, 0, "", "yes", 1, object()])
def test_an_answer_that_is_no_bool_makes_nobody_an_administrator(variant: Variant, answer: Any) -> None:
    client = at(make_server(is_admin_fn=variant(lambda user: answer), enable_admin_endpoints=True))
    sign_up(client)
    assert client.get("/admin-only").status_code == 500
    assert client.get("/admin/api/selectuser").status_code == 500
    page = client.get("/updateuser")
    assert page.status_code == 200, "what is only shown does not fail"
    assert "/admin/selectuser" not in page.text


def test_is_admin_of_a_server_refuses_to_guess_what_an_async_hook_says() -> None:
    server = make_server(is_admin_fn=asynchronous(lambda user: False))
    with pytest.raises(CrossauthError, match="is_administrator"):
        server.is_admin(None)  # type: ignore[arg-type]


def test_what_only_decides_what_is_shown_fails_closed() -> None:
    assert decide_now("x", lambda: True) is True
    for hook in (lambda: 1, asynchronous(lambda: True), raises(RuntimeError())):
        assert decide_now("x", hook) is False


# Which sessions are accepted


@both
@pytest.mark.parametrize("error", [CrossauthError(ErrorCode.Unauthorized), RuntimeError("x"), KeyError("x")])
def test_whatever_validate_session_raises_refuses_the_session_and_deletes_its_cookie(
    variant: Variant, error: Exception
) -> None:
    client = at(make_server(validate_session=variant(raises(error))))
    assert sign_up(client).json()["ok"] is True
    answer = client.get("/api/userforsessionkey")
    assert (answer.status_code, answer.json()["user"]) == (200, None)
    assert "__Host-SESSIONID" not in client.cookies
    assert client.get("/me").status_code == 401


@both
def test_validate_session_that_returns_accepts(variant: Variant) -> None:
    asked: list[Any] = []
    client = at(make_server(validate_session=variant(lambda key, user, request: asked.append(user.username))))
    sign_up(client)
    assert client.get("/me").json() == {"username": "alice"}
    assert asked == ["alice"]


@both
@pytest.mark.parametrize(("answer", "status"), [(True, 200), (False, 401), (None, 401), ("yes", 401)])
def test_filter_function_decides_which_sessions_count(variant: Variant, answer: Any, status: int) -> None:
    client = at(make_server(session_cookie_options={"filter_function": variant(lambda key: answer)}))
    sign_up(client)
    assert client.get("/me").status_code == status


@both
def test_filter_function_that_raises_refuses(variant: Variant) -> None:
    client = at(make_server(session_cookie_options={"filter_function": variant(raises(ValueError()))}))
    sign_up(client)
    assert client.get("/me").status_code == 401


# What may be stored


@both
def test_validate_user_fn_says_what_is_wrong_wherever_users_are_stored(variant: Variant) -> None:
    def judge(user: Any) -> list[str] | None:
        # Returning nothing is no complaint.
        return ["No robots"] if user["username"] == "robot" or user.get("nickname") == "robot" else None

    server = make_server(
        validate_user_fn=variant(judge), enable_admin_endpoints=True, is_admin_fn=lambda user: user.username == "alice"
    )
    client = at(server)
    assert sign_up(client, "robot").json()["errorMessages"] == ["No robots"]
    assert sign_up(client).json()["ok"] is True
    assert post(client, "/api/updateuser", user_nickname="robot").json()["errorMessages"] == ["No robots"]
    assert post(client, "/api/updateuser", user_nickname="ally").json()["ok"] is True
    assert post(client, "/admin/api/createuser", username="robot", password=PASSWORD).status_code == 400
    assert post(client, "/admin/api/createuser", username="bob", password=PASSWORD).json()["ok"] is True
    assert post(client, "/admin/api/updateuser/2", user_nickname="robot").status_code == 400


@both
def test_validate_user_fn_may_only_raise(variant: Variant) -> None:
    def judge(user: Any) -> None:
        if user["username"] == "robot":
            raise CrossauthError(ErrorCode.FormEntry, ["No robots", "No spiders"])

    client = at(make_server(validate_user_fn=variant(judge)))
    answer = sign_up(client, "robot")
    assert (answer.status_code, answer.json()["errorMessages"]) == (400, ["No robots", "No spiders"])
    assert sign_up(client).json()["ok"] is True


@both
def test_validate_password_fn_judges_every_new_password(variant: Variant) -> None:
    def judge(params: Any) -> list[str]:
        return ["Say the magic word"] if "magic" not in params["password"] else []

    users = InMemoryUserStorage()
    passwords = LocalPasswordAuthenticator(users, {**CHEAP, "validate_password_fn": variant(judge)})
    client = at(
        make_server(
            users, authenticators={"localpassword": passwords}, enable_admin_endpoints=True,
            is_admin_fn=lambda user: user.username == "alice",
        )
    )  # fmt: skip
    refused = sign_up(client)
    assert (name_of(refused), refused.json()["errorMessages"]) == ("PasswordFormat", ["Say the magic word"])
    made = post(client, "/api/signup", username="alice", password="magic horse")
    assert made.json()["ok"] is True
    change = {"old_password": "magic horse", "repeat_password": PASSWORD}
    assert name_of(post(client, "/api/changepassword", new_password=PASSWORD, **change)) == "PasswordFormat"
    assert name_of(post(client, "/admin/api/changepassword/1", new_password=PASSWORD)) == "PasswordFormat"
    assert name_of(post(client, "/admin/api/createuser", username="bob", password=PASSWORD)) == "PasswordFormat"


@both
def test_the_second_factor_that_create_user_fn_chooses_counts(variant: Variant) -> None:
    def create(*args: Any) -> Any:
        return {**default_create_user(*args), "factor2": "dummy"}

    users = InMemoryUserStorage()
    server = make_server(
        users,
        create_user_fn=variant(create),
        allowed_factor2=["none", "dummy"],
        site_url="http://localhost:8000",
        authenticators={
            "localpassword": LocalPasswordAuthenticator(users, CHEAP), "dummy": DummyFactor2Authenticator("123456"),
        },
    )  # fmt: skip
    client = TestClient(server.app, base_url="http://localhost:8000")
    made = sign_up(client)
    assert (made.json()["user"], made.json()["factor2"]) == (None, "dummy")
    assert client.get("/me").status_code == 401
    stored = asyncio.run(users.get_user_by_username("alice", {"skip_active_check": True})).user
    assert stored.state == "awaitingtwofactorsetup"


@both
def test_administrators_create_and_change_users_through_the_same_hooks(variant: Variant) -> None:
    def create(*args: Any) -> Any:
        return {**default_create_user(*args), "nickname": "made"}

    def update(user: Any, request: Any, body: Any, editable: Any) -> Any:
        return {**default_update_user(user, request, body, editable), "nickname": f"{user['nickname']} and changed"}

    users = InMemoryUserStorage({"user_editable_fields": ["nickname"]})
    server = make_server(
        users,
        create_user_fn=variant(create),
        update_user_fn=variant(update),
        enable_admin_endpoints=True,
        is_admin_fn=lambda user: user.username == "alice",
    )
    client = at(server)
    sign_up(client)
    assert post(client, "/admin/api/createuser", username="bob", password=PASSWORD).json()["user"]["nickname"] == "made"
    assert post(client, "/admin/api/updateuser/2", username="bobby").json()["ok"] is True
    found = asyncio.run(users.get_user_by_username("bobby")).user
    assert found["nickname"] == "made and changed"


# Refusing a session refuses what it was to be opened for


@both
@pytest.mark.parametrize("error", [CrossauthError(ErrorCode.Forbidden, "By invitation only"), RuntimeError("x")])
def test_add_to_session_that_refuses_leaves_nothing_changed(variant: Variant, error: Exception) -> None:
    refusing: list[bool] = []

    def add(request: Request) -> dict[str, Any]:
        if refusing:
            raise error
        return {}

    users = InMemoryUserStorage()
    client = at(make_server(users, add_to_session=variant(add)))
    refusing.append(True)
    assert sign_up(client).status_code in (403, 500)
    assert asyncio.run(users.get_users()) == [], "no account is left of a sign-up that was refused"
    refusing.clear()
    sign_up(client)
    refusing.append(True)
    before = asyncio.run(users.get_user_by_username("alice"))
    change = {"old_password": PASSWORD, "new_password": "Another1one", "repeat_password": "Another1one"}
    assert post(client, "/api/changepassword", **change).status_code in (403, 500)
    assert asyncio.run(users.get_user_by_username("alice")) == before
    assert client.get("/me").json() == {"username": "alice"}, "the session goes on"


@both
def test_add_to_session_that_refuses_changes_no_second_factor(variant: Variant) -> None:
    refusing: list[bool] = []
    world = World(add_to_session=variant(lambda request: refuse() if refusing else {}))
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        displayed = browser.call("/api/changefactor2", factor2="totp").json()
        refusing.append(True)
        code = world.code(displayed["totpsecret"])
        assert name_of(browser.call("/api/configurefactor2", otp=code)) == "Forbidden"
        assert asyncio.run(world.users.get_user_by_id(1)).user.factor2 is None
        assert browser.who() == "alice"
        refusing.clear()
        assert browser.call("/api/configurefactor2", otp=code).json()["ok"] is True, "the code was not used up"


# The others


@both
def test_user_search_fn_finds_users(variant: Variant) -> None:
    async def by_id(users: Any) -> list[Any]:
        return [(await users.get_user_by_id(1)).user]

    def search(text: str, users: Any) -> Any:
        return asyncio.run(by_id(users)) if variant is plain else None

    async def search_later(text: str, users: Any) -> Any:
        return await by_id(users)

    def nobody(text: str, users: Any) -> list[Any]:
        return []

    hook = nobody if variant is plain else search_later
    client = at(make_server(user_search_fn=hook, enable_admin_endpoints=True, is_admin_fn=lambda user: True))
    sign_up(client)
    found = client.get("/admin/api/selectuser?search=x").json()["users"]
    assert [user["username"] for user in found] == ([] if variant is plain else ["alice"])


@both
def test_error_fn_answers_a_request_without_a_csrf_token(variant: Variant) -> None:
    server = make_server()
    answer = variant(lambda server, request, response, error: Response(error.code_name, 418))

    @server.app.post("/guarded")
    async def guarded(request: Request, response: Response) -> Any:
        return (await server.error_if_csrf_invalid(request, response, answer)).response

    assert (at(server).post("/guarded").status_code, at(server).post("/guarded").text) == (418, "InvalidCsrf")


@both
def test_render_makes_the_text_of_messages(variant: Variant) -> None:
    sent: list[Mail] = []

    class Sender:
        send = staticmethod(variant(sent.append))

    world = World(render=variant(lambda template, data: f"{template}: {sorted(data)}"), mailer=Sender())
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email="alice@example.com")
        browser.call("/api/requestpasswordreset", email="alice@example.com")
        _wait(lambda: bool(sent))
    assert {mail.to for mail in sent} == {"alice@example.com"}
    assert any("'token'" in mail.text for mail in sent)


@both
def test_a_sender_of_text_messages_is_awaited_and_asked_once(variant: Variant) -> None:
    sent: list[tuple[str, str]] = []

    class Sender:
        send = staticmethod(variant(lambda to, body: sent.append((to, body))))

    users = InMemoryUserStorage({"user_editable_fields": ["email", "phone"]})
    factors = {
        "localpassword": LocalPasswordAuthenticator(users, CHEAP),
        "sms": SmsAuthenticator({"sms_sender": Sender()}),
    }
    world = World(users, authenticators=factors, allowed_factor2=["none", "sms"])
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_phone="+441632960961")
        assert browser.call("/api/changefactor2", factor2="sms").json()["ok"] is True
        _wait(lambda: bool(sent))
    assert [to for to, _ in sent] == ["+441632960961"]


@both
def test_listeners_hear_of_events_and_may_fail(variant: Variant) -> None:
    heard: list[Event] = []

    class Broken:
        on_event = staticmethod(variant(raises(RuntimeError("x"))))

    class Listener:
        on_event = staticmethod(variant(heard.append))

    with TestClient(make_server(event_listeners=[Broken(), Listener()]).app, base_url="https://testserver") as client:
        assert sign_up(client).json()["ok"] is True
        client.get("/me")
    assert "signed_up" in [event.name.value for event in heard]


@pytest.mark.parametrize("method", ["get_user", "get_csrf_token", "csrf_protection_enabled"])
def test_an_adapter_whose_answers_would_always_be_true_does_not_start(method: str) -> None:
    class Adapter(FastApiSessionAdapter):
        def csrf_protection_enabled(self) -> bool:
            return False

        def get_csrf_token(self, request: Request) -> None:
            return None

        def get_user(self, request: Request) -> None:
            return None

        async def update_session_data(self, request: Request, name: str, value: Any) -> None: ...
        async def update_many_session_data(self, request: Request, data_array: Any) -> None: ...
        async def delete_session_data(self, request: Request, name: str) -> None: ...
        async def get_session_data(self, request: Request, name: str) -> None: ...

    setattr(Adapter, method, asynchronous(lambda self, *args: None))
    with pytest.raises(CrossauthError, match=method):
        FastApiServer({"session_adapter": Adapter()}, {"app": FastAPI()})


@both
@pytest.mark.parametrize("answer", [True, False, 0, 1, {"username": "taken"}, [True], object()])
def test_a_validator_that_answers_anything_but_texts_refuses(
    variant: Variant, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = at(make_server(validate_user_fn=variant(lambda user: answer)))
    refusal = sign_up(client)
    assert (refusal.status_code, refusal.json()["errorCodeName"]) == (500, "Configuration")
    assert "must return a list of texts" in caplog.text


@pytest.mark.parametrize(
    ("answer", "status"), [(None, 200), ([], 200), ((), 200), ("", 200), ("No", 400), (["No"], 400)]
)
def test_a_validator_answers_by_texts(answer: Any, status: int) -> None:
    assert sign_up(at(make_server(validate_user_fn=lambda user: answer))).status_code == status


def test_an_update_function_that_changes_the_record_itself_is_told_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    def update(user: Any, request: Request, body: dict[str, Any], editable: list[str]) -> Any:
        user["nickname"] = "Al"
        return user

    users = InMemoryUserStorage({"user_editable_fields": ["nickname"]})
    client = at(make_server(users, update_user_fn=update))
    sign_up(client)
    refusal = post(client, "/api/updateuser", user_nickname="Al")
    assert (refusal.status_code, refusal.json()["errorCodeName"]) == (500, "Configuration")
    assert "return {**record, 'nickname': value}" in caplog.text
    client = at(make_server(users, update_user_fn=lambda user, *rest: {**user, "nickname": "Al"}))
    sign_up(client, "bob")
    assert post(client, "/api/updateuser").json()["ok"] is True
    assert asyncio.run(users.get_user_by_username("bob")).user["nickname"] == "Al"


@both
def test_handle_error_awaits_by_its_caller_what_error_fn_returns(variant: Variant) -> None:
    server = make_server()
    assert server.session_server is not None

    @server.app.get("/wrong")
    async def wrong(request: Request) -> Response:
        answer: Any = server.session_server.handle_error(  # type: ignore[union-attr]
            RuntimeError("x"), request, None, variant(lambda fields, error: Response(error.code_name, 418))
        )
        return await answer if asyncio.iscoroutine(answer) else answer  # type: ignore[no-any-return]

    assert at(server).get("/wrong").status_code == 418


async def test_a_decision_is_a_bool() -> None:
    assert await decide("x", lambda: True) is True
    assert await decide("x", asynchronous(lambda: False)) is False
    with pytest.raises(CrossauthError, match="configured"):
        await decide("x", asynchronous(lambda: None))
    assert await call_hook(asynchronous(lambda: 5)) == 5


# Completeness


def _option_hooks() -> set[str]:
    """Every option that holds a function, by reading the tables of options."""
    found = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.value, ast.Call)
                and isinstance(node.target, ast.Name)
            ):
                made_by = node.value.func
                if isinstance(made_by, ast.Name) and made_by.id == "option" and "Callable" in ast.dump(node.annotation):
                    found.add(node.target.id)
    return found


# Under these names a part keeps a hook that it was handed.
KEPT_AS = {"_validate", "_render", "validate_user", "on_event", "error_fn", "success_fn"}


def _direct_calls(path: Path, hooks: set[str]) -> list[str]:
    tree = ast.parse(path.read_text())
    local = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr in hooks
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            by_attribute = isinstance(node.func, ast.Attribute) and node.func.attr in hooks
            by_name = isinstance(node.func, ast.Name) and node.func.id in local | hooks
            if by_attribute or by_name:
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node.func)}")
    return found


def test_hooks_are_called_in_one_place_only() -> None:
    """Each option that holds a function is called through `core.hooks`, which awaits it."""
    options = _option_hooks()
    assert options >= {
        "is_admin_fn", "validate_session", "filter_function", "validate_user_fn", "validate_password_fn",
        "create_user_fn", "update_user_fn", "add_to_session", "user_search_fn", "render",
    }  # fmt: skip
    # Methods of ours share the names of two of them.
    hooks = (options | KEPT_AS) - {"render"}
    direct = [call for path in sorted(SRC.rglob("*.py")) for call in _direct_calls(path, hooks)]
    assert direct == []


def test_the_check_of_completeness_finds_direct_calls(tmp_path: Path) -> None:
    source = (
        "def f(settings, user):\n    own = settings.is_admin_fn\n    return own(user) or settings.is_admin_fn(user)\n"
    )
    broken = tmp_path / "broken.py"
    broken.write_text(source)
    assert len(_direct_calls(broken, {"is_admin_fn"})) == 2


def _wait(done: Callable[[], bool]) -> None:
    async def until() -> None:
        while not done():
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(until(), 10))

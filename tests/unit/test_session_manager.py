"""Every public member of the documented `SessionManager`, each called by its name, as an application calls it.

A session id is what the cookie holds, never what is stored. `tests/structure/test_unit_tests.py` finds a member that is missing.
"""

import re
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, KeyStorage, SessionManager, User
from crossauth_backend.sessionmanager import SessionTokens
from tests.accounts import NEW, World
from tests.support import PASSWORD

FIELDS = {"username": "alice", "email": "alice@example.com", "factor1": "localpassword", "state": "active"}
PROVEN = {"password": PASSWORD}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def manager(world: World) -> SessionManager:
    return world.manager


def id_of(manager: SessionManager, tokens: SessionTokens) -> str:
    assert tokens.session_cookie is not None
    return manager.get_session_id(tokens.session_cookie.value)


async def sign_up(manager: SessionManager, **fields: Any) -> User:
    return await manager.create_user({**FIELDS, **fields}, PROVEN, PROVEN, skip_email_verification=True)


async def refusal(work: Any) -> ErrorCode | None:
    try:
        await work
    except CrossauthError as e:
        return e.code
    return None


async def token_of(world: World) -> str:
    """The token in the link of the newest mail."""
    await world.manager.queue.idle()
    found = re.search(r"http://localhost:8000/\w+(?:/|\?token=)([\w-]+)", world.outbox.sent[0][0].text)
    assert found is not None
    return found.group(1)


async def test_accounts_and_parts(manager: SessionManager) -> None:
    assert manager.accounts().users is not None
    assert manager.queue in manager.parts()
    assert isinstance(manager.key_storage, KeyStorage)


async def test_create_user(manager: SessionManager) -> None:
    alice = await sign_up(manager)
    assert (alice.username, alice.state, alice.email) == ("alice", "active", "alice@example.com")
    assert await refusal(sign_up(manager)) is ErrorCode.UserExists
    assert (
        await refusal(manager.create_user({**FIELDS, "username": "bob"}, PROVEN, {"password": NEW}))
        is ErrorCode.PasswordMatch
    )
    assert await refusal(manager.create_user({**FIELDS, "username": "b"}, PROVEN)) is ErrorCode.FormEntry
    await manager.create_user({**FIELDS, "username": "carol", "email": "c@example.com"}, {}, empty_password=True)
    for password in ("", PASSWORD):
        assert await refusal(manager.login("carol", {"password": password})) is ErrorCode.UsernameOrPasswordInvalid


async def test_login(manager: SessionManager) -> None:
    alice = await sign_up(manager)
    tokens = await manager.login("alice", PROVEN)
    assert tokens.user is not None
    assert tokens.user.id == alice.id
    assert (await manager.user_for_session_id(id_of(manager, tokens))).user == tokens.user
    proven = await manager.login("", {}, user=alice)
    assert id_of(manager, proven) != id_of(manager, tokens)
    for name, params in (
        ("alice", {"password": NEW}),
        ("nobody", PROVEN),
        ("alice", {}),
        ("\ud800", PROVEN),
        ("", PROVEN),
    ):
        assert await refusal(manager.login(name, params)) is ErrorCode.UsernameOrPasswordInvalid


async def test_logout(manager: SessionManager) -> None:
    await sign_up(manager)
    session = id_of(manager, await manager.login("alice", PROVEN))
    await manager.logout(session)
    assert await refusal(manager.user_for_session_id(session)) is ErrorCode.InvalidSession


async def test_delete_session(manager: SessionManager) -> None:
    session = id_of(manager, await manager.create_anonymous_session())
    await manager.delete_session(session)
    await manager.delete_session(session)
    assert await refusal(manager.user_for_session_id(session)) is ErrorCode.InvalidSession


async def test_logout_from_all(manager: SessionManager) -> None:
    alice = await sign_up(manager)
    sessions = [id_of(manager, await manager.login("alice", PROVEN)) for _ in range(3)]
    await manager.logout_from_all(alice.id, sessions[1])
    alive = [await refusal(manager.user_for_session_id(session)) is None for session in sessions]
    assert alive == [False, True, False]
    await manager.logout_from_all(alice.id)
    assert await refusal(manager.user_for_session_id(sessions[1])) is ErrorCode.InvalidSession


async def test_create_anonymous_session_and_user_for_session_id(manager: SessionManager) -> None:
    tokens = await manager.create_anonymous_session({"data": '{"a":1}'})
    session = id_of(manager, tokens)
    found = await manager.user_for_session_id(session)
    assert found.user is None
    assert found.key.value not in session
    assert await manager.data_for_session_id(session) == {"a": 1}
    for wrong in ("", "x", "\x00", found.key.value):
        assert await refusal(manager.user_for_session_id(wrong)) is not None


async def test_get_session_id(manager: SessionManager) -> None:
    tokens = await manager.create_anonymous_session()
    assert tokens.session_cookie is not None
    for forged in ("", "x", "x.y", tokens.session_cookie.value + "x"):
        with pytest.raises(CrossauthError) as refused:
            manager.get_session_id(forged)
        assert refused.value.code is ErrorCode.InvalidSession


async def test_update_session_data_and_delete_session_data(manager: SessionManager) -> None:
    session = id_of(manager, await manager.create_anonymous_session())
    assert await manager.data_for_session_id(session) is None
    assert await manager.data_string_for_session_id(session) is None
    await manager.update_session_data(session, "cart.items", [1])
    await manager.update_many_session_data(session, [{"data_name": "a", "value": 1}, {"data_name": "b", "value": 2}])
    await manager.delete_session_data(session, "a")
    assert await manager.data_for_session_id(session) == {"cart": {"items": [1]}, "b": 2}
    assert await manager.data_string_for_session_id(session) == '{"cart":{"items":[1]},"b":2}'
    for work in (
        manager.update_session_data("x", "a", 1),
        manager.delete_session_data("x", "a"),
        manager.data_for_session_id("x"),
    ):
        assert await refusal(work) in (ErrorCode.InvalidKey, ErrorCode.InvalidSession)


async def test_update_session_activity(world: World, manager: SessionManager) -> None:
    await sign_up(manager)
    session = id_of(manager, await manager.login("alice", PROVEN))
    before = (await manager.user_for_session_id(session)).key.lastactive
    world.later(minutes=5)
    await manager.update_session_activity(session)
    after = (await manager.user_for_session_id(session)).key.lastactive
    assert after is not None
    assert before is None or (after - before).total_seconds() >= 300


def test_create_csrf_token_and_validate_double_submit_csrf_token(manager: SessionManager) -> None:
    cookie, form = manager.create_csrf_token("session")
    manager.validate_double_submit_csrf_token(cookie.value, form, "session")
    manager.validate_csrf_cookie(cookie.value, "session")
    again = manager.create_csrf_form_or_header_value(cookie.value, "session")
    assert again != form
    manager.validate_double_submit_csrf_token(cookie.value, again, "session")
    for check in (
        lambda: manager.validate_double_submit_csrf_token(cookie.value, form, "another"),
        lambda: manager.validate_double_submit_csrf_token(cookie.value, "x.y", "session"),
        lambda: manager.validate_csrf_cookie(cookie.value),
        lambda: manager.create_csrf_form_or_header_value("x", "session"),
    ):
        with pytest.raises(CrossauthError) as refused:
            check()
        assert refused.value.code is ErrorCode.InvalidCsrf


def test_names_and_paths_of_cookies(manager: SessionManager) -> None:
    assert (manager.session_cookie_name, manager.session_cookie_path) == ("__Host-SESSIONID", "/")
    assert (manager.csrf_cookie_name, manager.csrf_cookie_path) == ("__Host-CSRFTOKEN", "/")
    assert manager.csrf_header_name == "X-CROSSAUTH-CSRF"


async def test_update_user(manager: SessionManager) -> None:
    alice = await sign_up(manager)
    sent = await manager.update_user(alice, {**alice.to_dict(), "phone": "+15551234"}, skip_email_verification=True)
    assert not any(sent)
    found = await manager.accounts().users.get_user_by_username("alice")
    assert found.user.phone == "+15551234"


async def test_delete_user_by_username(manager: SessionManager) -> None:
    await sign_up(manager)
    session = id_of(manager, await manager.login("alice", PROVEN))
    await manager.delete_user_by_username("alice")
    assert await refusal(manager.user_for_session_id(session)) is ErrorCode.InvalidSession
    assert await refusal(manager.delete_user_by_username("alice")) is ErrorCode.UserNotExist


async def test_change_secrets(manager: SessionManager) -> None:
    await sign_up(manager)
    session = id_of(manager, await manager.login("alice", PROVEN))
    new = {"password": NEW}
    assert await refusal(manager.change_secrets("alice", 1, new, new, new)) is ErrorCode.UsernameOrPasswordInvalid
    assert await refusal(manager.change_secrets("alice", 1, new, PROVEN, PROVEN)) is ErrorCode.PasswordMatch
    assert await refusal(manager.change_secrets("alice", 2, new, new, PROVEN)) is ErrorCode.BadRequest
    assert (await manager.change_secrets("alice", 1, new, new, PROVEN)).username == "alice"
    assert await refusal(manager.user_for_session_id(session)) is ErrorCode.InvalidSession
    assert (await manager.login("alice", new)).user is not None


async def test_request_password_reset_and_reset_secret(world: World, manager: SessionManager) -> None:
    await sign_up(manager)
    await manager.request_password_reset("nobody@example.com")
    await manager.request_password_reset("alice@example.com")
    token, new = await token_of(world), {"password": NEW}
    assert (await manager.user_for_password_reset_token(token)).username == "alice"
    assert await refusal(manager.reset_secret(token, 2, new)) is ErrorCode.BadRequest
    assert await refusal(manager.reset_secret(token + "x", 1, new)) is ErrorCode.InvalidKey
    assert (await manager.reset_secret(token, 1, new, new)).username == "alice"
    for work in (manager.user_for_password_reset_token(token), manager.reset_secret(token, 1, PROVEN)):
        assert await refusal(work) is ErrorCode.InvalidKey
    assert (await manager.login("alice", new)).user is not None


async def test_apply_email_verification_token(world: World) -> None:
    world = World(enable_email_verification=True)
    manager = world.manager
    await manager.create_user(FIELDS, PROVEN, PROVEN)
    assert await refusal(manager.login("alice", PROVEN)) is ErrorCode.EmailNotVerified
    token = await token_of(world)
    assert await refusal(manager.apply_email_verification_token("x")) is ErrorCode.InvalidKey
    verified = await manager.apply_email_verification_token(token)
    assert verified.email_verified_at is not None
    assert (await manager.login("alice", PROVEN)).user is not None


async def with_totp(world: World) -> tuple[User, str]:
    """A user who has an authenticator application, and its secret."""
    manager = world.manager
    alice = await sign_up(manager)
    session = id_of(manager, await manager.login("alice", PROVEN))
    displayed = await manager.initiate_two_factor_setup(alice, "totp", session)
    secret: str = displayed["totpsecret"]
    assert await refusal(manager.complete_two_factor_setup({"otp": "000000"}, session)) is ErrorCode.InvalidToken
    done = await manager.complete_two_factor_setup({"otp": world.code(secret)}, session)
    assert done.factor2 == "totp"
    return done, secret


async def test_initiate_two_factor_setup_and_complete_two_factor_setup(world: World, manager: SessionManager) -> None:
    alice, _ = await with_totp(world)
    nobody = id_of(manager, await manager.create_anonymous_session())
    assert await refusal(manager.complete_two_factor_setup({"otp": "1"}, nobody)) is ErrorCode.Unauthorized
    assert await manager.initiate_two_factor_setup(alice, None, "") == {}
    assert (await manager.accounts().users.get_user_by_username("alice")).user.factor2 in (None, "")


async def test_initiate_two_factor_login_and_complete_two_factor_login(world: World, manager: SessionManager) -> None:
    alice, secret = await with_totp(world)
    for asked in (await manager.login("alice", PROVEN), await manager.initiate_two_factor_login(alice)):
        assert asked.user is None
        session = id_of(manager, asked)
        assert (await manager.user_for_session_id(session)).user is None
        assert await refusal(manager.complete_two_factor_login({"otp": "000000"}, session)) is ErrorCode.InvalidToken
        code = world.code(secret)
        tokens = await manager.complete_two_factor_login({"otp": code}, session)
        assert tokens.user is not None
        assert (await manager.user_for_session_id(id_of(manager, tokens))).user is not None
        assert await refusal(manager.complete_two_factor_login({"otp": code}, session)) is not None, "it counts once"


async def test_initiate_two_factor_signup_and_repeat_two_factor_signup(world: World, manager: SessionManager) -> None:
    session = id_of(manager, await manager.create_anonymous_session())
    begun = await manager.initiate_two_factor_signup({**FIELDS, "factor2": "totp"}, PROVEN, session, PROVEN)
    again = await manager.repeat_two_factor_signup(session)
    assert again.userid == begun.userid
    assert again.user_data["totpsecret"] == begun.user_data["totpsecret"]
    assert await refusal(manager.login("alice", PROVEN)) is ErrorCode.TwoFactorIncomplete
    code = world.code(begun.user_data["totpsecret"])
    assert (await manager.complete_two_factor_setup({"otp": code}, session)).state == "active"


async def test_initiate_two_factor_page_visit_and_complete_two_factor_page_visit(
    world: World, manager: SessionManager
) -> None:
    alice, secret = await with_totp(world)
    asked = await manager.login("alice", PROVEN)
    tokens = await manager.complete_two_factor_login({"otp": world.code(secret)}, id_of(manager, asked))
    session = id_of(manager, tokens)
    await manager.initiate_two_factor_page_visit(alice, session, b'{"amount":1}', "/pay?x=1", "application/json")
    assert "amount" not in str(await manager.data_string_for_session_id(session))
    assert await refusal(manager.complete_two_factor_page_visit({"otp": "000000"}, session)) is ErrorCode.InvalidToken
    code = world.code(secret)
    await manager.complete_two_factor_page_visit({"otp": code}, session)
    assert await refusal(manager.complete_two_factor_page_visit({"otp": code}, session)) is ErrorCode.Unauthorized
    nobody = id_of(manager, await manager.create_anonymous_session())
    assert await refusal(manager.complete_two_factor_page_visit({"otp": code}, nobody)) is ErrorCode.Unauthorized


async def test_cancel_two_factor_page_visit(world: World, manager: SessionManager) -> None:
    alice, secret = await with_totp(world)
    asked = await manager.login("alice", PROVEN)
    session = id_of(
        manager, await manager.complete_two_factor_login({"otp": world.code(secret)}, id_of(manager, asked))
    )
    assert await refusal(manager.cancel_two_factor_page_visit(session)) is ErrorCode.Unauthorized
    await manager.initiate_two_factor_page_visit(alice, session, b"secret body", "/pay")
    stored = await manager.cancel_two_factor_page_visit(session)
    assert "secret body" not in str(stored)
    assert await refusal(manager.complete_two_factor_page_visit({"otp": "1"}, session)) is ErrorCode.Unauthorized

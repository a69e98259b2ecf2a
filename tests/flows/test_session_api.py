"""The JSON endpoints of accounts, over a real socket."""

import pytest

from tests.support import CSRF, PASSWORD, Client


def error_of(response: object) -> tuple[int, str]:
    body = response.json()  # type: ignore[attr-defined]
    assert body["ok"] is False
    assert set(body) == {"ok", "errorMessage", "errorMessages", "errorCode", "errorCodeName"}
    assert isinstance(body["errorCode"], int)
    assert body["errorMessages"]
    return response.status_code, body["errorCodeName"]  # type: ignore[attr-defined]


def test_sign_up_logs_in_and_returns_the_user(client: Client) -> None:
    answer = client.sign_up("Alice", user_email="Alice@Example.com", user_nickname="Al")
    assert answer.status_code == 200
    body = answer.json()
    assert body["ok"] is True
    assert body["emailVerificationNeeded"] is False
    assert body["user"] == {
        "id": body["user"]["id"],
        "username": "Alice",
        "email": "Alice@example.com",
        "state": "active",
        "factor1": "localpassword",
        "factor2": "",
        "admin": False,
        "nickname": "Al",
    }
    assert client.who() == "Alice"
    assert client.get("/me").json() == {"username": "Alice"}


def test_nothing_secret_is_in_the_user(client: Client) -> None:
    text = client.sign_up().text + client.get("/api/userforsessionkey").text
    assert "argon2" not in text
    assert PASSWORD not in text
    assert "normalized" not in text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"username": "a"}, (400, "FormEntry")),
        ({"username": ""}, (400, "FormEntry")),
        ({"username": "x" * 300}, (400, "FormEntry")),
        ({"username": " padded"}, (400, "FormEntry")),
        ({"username": "line\nbreak"}, (400, "FormEntry")),
        ({"username": "right\u202eleft"}, (400, "FormEntry")),
        ({"password": "short1A"}, (400, "PasswordFormat")),
        ({"password": "12345678"}, (400, "PasswordFormat")),
        ({"password": "Sunshine1"}, (400, "PasswordFormat")),
        ({"password": "X1" + "y" * 2000}, (400, "PasswordFormat")),
        ({"repeat_password": "Other1password"}, (400, "PasswordMatch")),
        ({"user_email": "not an address"}, (400, "InvalidEmail")),
        ({"user_email": "a@localhost"}, (400, "InvalidEmail")),
        ({"user_email": 7}, (400, "BadRequest")),
        ({"user_nickname": {"a": 1}}, (400, "BadRequest")),
        ({"factor1": "oidc"}, (403, "Forbidden")),
        ({"factor2": "totp"}, (403, "Forbidden")),
    ],
)
def test_sign_up_refuses(client: Client, fields: dict[str, object], expected: tuple[int, str]) -> None:
    provided = {"username": "alice", "password": PASSWORD, "repeat_password": fields.get("password", PASSWORD)} | fields
    assert error_of(client.call("/api/signup", **provided)) == expected
    assert client.who() is None


@pytest.mark.parametrize("name", ["alice", "ALICE", "Ａlice", "alíce"])
def test_a_name_is_taken_in_every_spelling(client: Client, name: str) -> None:
    client.sign_up("alice")
    client.cookies.clear()
    assert error_of(client.sign_up(name)) == (400, "UserExists")


def test_fields_that_are_not_editable_are_not_taken_from_a_form(client: Client) -> None:
    user = client.sign_up(user_admin=True, user_state="disabled", user_id=77, admin=True).json()["user"]
    assert user["admin"] is False
    assert user["state"] == "active"
    assert user["id"] != 77


def test_log_in_out_and_in(client: Client) -> None:
    client.sign_up()
    answer = client.call("/api/logout").json()
    assert (answer["ok"], set(answer)) == (True, {"ok", "csrfToken"})
    assert client.who() is None
    answer = client.log_in("ALICE")
    assert (answer.status_code, answer.json()["user"]["username"]) == (200, "alice")
    assert client.who() == "alice"
    assert client.log_in().json()["ok"] is True, "whoever is logged in may log in again"


@pytest.mark.parametrize(
    ("username", "password"), [("alice", "Wrong1password"), ("nobody", PASSWORD), ("alice", ""), ("nobody", "")]
)
def test_a_wrong_password_and_an_unknown_user_are_one_answer(client: Client, username: str, password: str) -> None:
    client.sign_up()
    client.call("/api/logout")
    answer = client.log_in(username, password)
    assert error_of(answer) == (401, "UsernameOrPasswordInvalid")
    assert answer.json()["errorMessage"] == "Invalid username or password"
    assert answer.text == client.log_in("somebody-else").text


def test_change_password(client: Client, other: Client) -> None:
    client.sign_up()
    other.log_in()
    assert other.who() == "alice"
    before = client.cookies.get("SESSIONID")
    answer = client.call(
        "/api/changepassword", old_password=PASSWORD, new_password="Another1one", repeat_password="Another1one"
    )
    assert answer.json()["ok"] is True
    assert client.who() == "alice"
    assert client.cookies.get("SESSIONID") != before, "a copied session id must be worth nothing now"
    assert other.who() is None, "other sessions must end"
    assert error_of(other.log_in()) == (401, "UsernameOrPasswordInvalid")
    assert other.log_in(password="Another1one").json()["ok"] is True


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"old_password": "Wrong1password"}, (401, "UsernameOrPasswordInvalid")),
        ({"new_password": "weak"}, (400, "PasswordFormat")),
        ({"new_password": PASSWORD}, (400, "PasswordFormat")),
        ({"repeat_password": "Different1one"}, (400, "PasswordMatch")),
    ],
)
def test_change_password_refuses(client: Client, fields: dict[str, str], expected: tuple[int, str]) -> None:
    client.sign_up()
    provided = {"old_password": PASSWORD, "new_password": "Another1one"} | fields
    assert error_of(client.call("/api/changepassword", **provided)) == expected
    client.call("/api/logout")
    assert client.log_in().json()["ok"] is True, "the old password must still be good"


def test_session_data_survives_a_password_change(client: Client) -> None:
    client.sign_up()
    client.post("/basket", json={"value": "apple"}, headers={CSRF: client.token()})
    client.call("/api/changepassword", old_password=PASSWORD, new_password="Another1one")
    assert client.get("/basket").json() == {"value": "apple"}


def test_update_user(client: Client) -> None:
    client.sign_up(user_email="a@example.com")
    answer = client.call("/api/updateuser", user_email="b@example.com", user_nickname="Al", user_admin=True)
    assert {**answer.json(), "csrfToken": ""} == {"ok": True, "emailVerificationRequired": False, "csrfToken": ""}
    user = client.get("/api/userforsessionkey").json()["user"]
    assert (user["email"], user["nickname"], user["admin"]) == ("b@example.com", "Al", False)
    client.call("/api/updateuser", user_email="")
    assert client.get("/api/userforsessionkey").json()["user"]["email"] is None


def test_an_address_in_use_cannot_be_taken(client: Client, other: Client) -> None:
    client.sign_up("alice", user_email="a@example.com")
    other.sign_up("bob")
    assert error_of(other.call("/api/updateuser", user_email="A@example.com")) == (400, "UserExists")


def test_delete_user(client: Client, other: Client) -> None:
    client.sign_up()
    other.log_in()
    assert client.call("/api/deleteuser").json()["ok"] is True
    assert (client.who(), other.who()) == (None, None)
    assert error_of(client.log_in()) == (401, "UsernameOrPasswordInvalid")


@pytest.mark.parametrize("path", ["/api/changepassword", "/api/updateuser", "/api/deleteuser"])
def test_account_endpoints_need_a_login(client: Client, path: str) -> None:
    assert error_of(client.call(path, old_password=PASSWORD, new_password="Another1one")) == (401, "Unauthorized")


def test_user_for_session_key_answers_both_verbs(client: Client) -> None:
    client.sign_up()
    answers = [client.get("/api/userforsessionkey").json(), client.post("/api/userforsessionkey").json()]
    tokens = [answer.pop("csrfToken") for answer in answers]
    assert answers[0] == answers[1]
    assert all(client.post("/change", headers={CSRF: token}).status_code == 200 for token in tokens)


def test_protected_routes_of_the_application(client: Client) -> None:
    assert error_of(client.get("/me")) == (401, "Unauthorized")
    assert client.get("/maybe").json() == {"username": None}
    client.sign_up()
    assert client.get("/maybe").json() == {"username": "alice"}
    assert error_of(client.get("/admin-only")) == (403, "InsufficientPriviledges")
    assert error_of(client.post("/change", content=b"{}")) == (403, "InvalidCsrf")
    answer = client.post("/change", content=b'{"a": 1}', headers={CSRF: client.token()})
    assert answer.json()["body"] == '{"a": 1}'


def test_the_body_that_was_read_for_its_token_reaches_the_application(client: Client) -> None:
    client.sign_up()
    token = client.token()
    answer = client.post("/change", data={"csrfToken": token, "a": "b"})
    assert answer.status_code == 200
    assert answer.json()["body"].startswith("csrfToken=")
    assert answer.json()["body"].endswith("&a=b")


def test_a_browser_that_is_not_logged_in_is_sent_to_the_login_page_and_back(client: Client) -> None:
    answer = client.get("/me?a=1&b=2", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/login?next=%2Fme%3Fa%3D1%26b%3D2")

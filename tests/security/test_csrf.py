"""Cross-site request forgery: signed double submit cookie, required for every change made in the name of a cookie."""

import pytest

from crossauth_backend import CrossauthError, DoubleSubmitCsrfToken, ErrorCode
from tests.support import CSRF, PASSWORD, Client

FORMS = {
    "login": {"username": "alice", "password": PASSWORD},
    "signup": {"username": "mallory", "password": PASSWORD},
    "logout": {},
    "changepassword": {"old_password": PASSWORD, "new_password": "Another1one"},
    "updateuser": {"user_email": "evil@example.com"},
    "deleteuser": {},
}


@pytest.mark.parametrize("face", ["", "api/"])
@pytest.mark.parametrize("name", list(FORMS))
@pytest.mark.parametrize("token", ["none", "garbage", "another browser's"])
def test_every_change_needs_a_token(client: Client, other: Client, face: str, name: str, token: str) -> None:
    client.sign_up()
    if name in ("login", "signup"):
        client.call("/api/logout")
        client.token()
    sent = {"none": {}, "garbage": {CSRF: "AAAA.AAAA"}, "another browser's": {CSRF: other.token()}}[token]
    answer = client.post(f"/{face}{name}", data=FORMS[name], headers=sent)
    assert answer.status_code == 403
    assert "Reload the page and try again" in answer.text
    client.call("/api/logout")
    assert client.log_in().status_code == 200, "nothing may have changed"


@pytest.mark.parametrize("field", ["csrfToken", "csrf_token"])
@pytest.mark.parametrize("kind", ["json", "data"])
def test_the_token_may_be_a_field(client: Client, field: str, kind: str) -> None:
    client.sign_up()
    answer = client.post("/api/updateuser", **{kind: {field: client.token(), "user_email": "b@example.com"}})
    assert answer.status_code == 200


def test_the_token_may_be_a_field_of_a_multipart_form(client: Client) -> None:
    client.sign_up()
    fields = {"csrfToken": (None, client.token()), "user_email": (None, "b@example.com")}
    assert client.post("/api/updateuser", files=fields).status_code == 200


def test_a_token_is_never_the_same_twice_on_the_wire_and_all_of_them_count(client: Client) -> None:
    client.sign_up()
    tokens = {client.token() for _ in range(5)}
    assert len(tokens) == 5, "a compressed page must not give the token away (BREACH)"
    for token in tokens:
        assert client.post("/change", headers={CSRF: token}).status_code == 200


def test_a_login_replaces_the_token(client: Client) -> None:
    client.sign_up()
    client.call("/api/logout")
    before = client.token()
    client.log_in()
    assert client.post("/change", headers={CSRF: before}).status_code == 403


def test_a_get_changes_nothing(client: Client) -> None:
    client.sign_up()
    for name in FORMS:
        client.get(f"/{name}", params=FORMS[name])
        assert client.get(f"/api/{name}").status_code == 405
    assert client.who() == "alice"


def test_a_header_says_the_token_of_a_page(client: Client) -> None:
    client.sign_up()
    token = client.get("/updateuser").headers[CSRF]
    assert client.post("/change", headers={CSRF: token}).status_code == 200


SECRET = "s" * 32


@pytest.mark.parametrize(
    "form", ["", ".", "AAAA", "AAAA.AAA", "é.é", "A" * 10000, "AAAAAAAAAAAAAAAAAAAAAA.", "\x00.\x00"]
)
def test_garbage_never_passes_for_a_token(form: str) -> None:
    tokens = DoubleSubmitCsrfToken({"secret": SECRET})
    cookie = tokens.make_csrf_cookie(tokens.create_csrf_token()).value
    with pytest.raises(CrossauthError) as refused:
        tokens.validate_double_submit_csrf_token(cookie, form)
    assert refused.value.code is ErrorCode.InvalidCsrf


def test_a_token_signed_with_another_secret_does_not_count() -> None:
    ours, theirs = DoubleSubmitCsrfToken({"secret": SECRET}), DoubleSubmitCsrfToken({"secret": "t" * 32})
    token = theirs.create_csrf_token()
    with pytest.raises(CrossauthError) as refused:
        ours.validate_double_submit_csrf_token(theirs.make_csrf_cookie(token).value, ours.mask_csrf_token(token))
    assert refused.value.code is ErrorCode.InvalidCsrf
    ours.validate_double_submit_csrf_token(ours.make_csrf_cookie(token).value, ours.mask_csrf_token(token))

"""Which fields of a form a refusal is about."""

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi._actions.fielderrors import field_errors, field_variables
from crossauth_fastapi._http.errors import PasswordRequired

SIGNUP = ("csrfToken", "username", "user_email", "user_phone", "password", "repeat_password")
CHANGE = ("csrfToken", "old_password", "new_password", "repeat_password")
E = ErrorCode


def test_one_text_of_a_field_need_not_be_in_a_list() -> None:
    e = CrossauthError(E.FormEntry, "Wrong", fields={"email": "Taken"})
    assert field_errors(e, SIGNUP) == {"user_email": ["Taken"]}


@pytest.mark.parametrize(
    ("code", "shown", "field"),
    [
        (E.InvalidEmail, SIGNUP, "user_email"), (E.InvalidEmail, ("email",), "email"),
        (E.InvalidPhoneNumber, SIGNUP, "user_phone"),
        (E.PasswordFormat, SIGNUP, "password"), (E.PasswordFormat, CHANGE, "new_password"),
        (E.PasswordFormat, ("new_password", "repeat_password", "password"), "new_password"),
        (E.PasswordMatch, CHANGE, "repeat_password"), (E.InvalidToken, ("otp",), "otp"),
        (E.InvalidToken, ("recovery_code", "otp"), "recovery_code"), (E.InvalidToken, ("otp", "recovery_code"), "otp"),
    ],
)  # fmt: skip
def test_a_code_that_is_about_one_field(code: ErrorCode, shown: tuple[str, ...], field: str) -> None:
    assert field_errors(CrossauthError(code, "Wrong"), shown) == {field: ["Wrong"]}


@pytest.mark.parametrize(
    "code", [E.TooManyAttempts, E.EmailNotVerified, E.InvalidCsrf, E.UserNotActive, E.FormEntry, E.BadRequest]
)
def test_what_is_about_no_field_marks_none(code: ErrorCode) -> None:
    assert field_errors(CrossauthError(code), (*SIGNUP, *CHANGE), "password", True) == {}


def test_fields_that_a_refusal_names_come_in_the_order_of_the_form() -> None:
    e = CrossauthError(
        E.PasswordFormat, ["A", "B"], fields={"repeat_password": ["B"], "password": ["A"], "company": ["C"]}
    )
    assert list(field_errors(e, SIGNUP).items()) == [("password", ["A"]), ("repeat_password", ["B"])]


def test_a_login_marks_both_fields_and_tells_beside_the_password() -> None:
    e = CrossauthError(E.UsernameOrPasswordInvalid)
    errors = field_errors(e, ("username", "password"), "password", login=True)
    assert errors == {"username": [], "password": e.messages}
    assert field_variables(errors)["focusField"] == "password"


def test_elsewhere_a_wrong_password_is_that_of_the_user() -> None:
    e = CrossauthError(E.UsernameOrPasswordInvalid)
    assert field_errors(e, ("username", "password"), "password") == {"password": e.messages}
    assert field_errors(PasswordRequired("current_password"), ()) == {
        "current_password": PasswordRequired("current_password").messages
    }


def test_a_page_without_wrong_fields_begins_nowhere() -> None:
    assert field_variables({}) == {"fieldErrors": {}, "focusField": None}

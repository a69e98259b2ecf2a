"""What the storages cannot hold is found when an application starts."""

from typing import Any

import pytest

from crossauth_backend import (
    CrossauthError,
    DummySmsAuthenticator,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    SmsAuthenticator,
    TotpAuthenticator,
)
from crossauth_backend.accounts.fit import check_fields, check_storages, check_way_in, fields_given_with_choice


class Switches:
    def __init__(self, factor2: tuple[str, ...] = (), verify: bool = False, reset: bool = False) -> None:
        self.allowed_factor2, self.enable_email_verification, self.enable_password_reset = list(factor2), verify, reset


class Users(InMemoryUserStorage):
    """Knows these fields alone."""

    def __init__(self, *names: str, **options: Any) -> None:
        super().__init__(options)
        self.names = {"state", "factor1", *names}

    def unfit_fields(self, wanted: Any) -> list[str]:
        return [f"no column {name!r}" for name in wanted if name not in self.names]


@pytest.mark.parametrize(
    ("switches", "lacks"),
    [
        (Switches(), ""), (Switches(("none", "")), ""), (Switches(("totp",)), "factor2"), (Switches(verify=True), "email"),
        (Switches(reset=True), "email"),
    ],
)  # fmt: skip
def test_what_is_switched_on_needs_its_fields(switches: Switches, lacks: str) -> None:
    if not lacks:
        check_storages(Users(), [], switches)
        return
    check_storages(Users(lacks), [], switches)
    with pytest.raises(CrossauthError, match=f"no column '{lacks}'.*docs/databases.md"):
        check_storages(Users(), [], switches)


def test_factors_and_editable_fields_need_theirs() -> None:
    with pytest.raises(CrossauthError, match="phone"):
        check_storages(Users(), [], Switches(), [DummySmsAuthenticator()])
    with pytest.raises(CrossauthError, match=r"nickname.*rank|rank.*nickname"):
        check_storages(Users(user_editable_fields=["nickname"], admin_editable_fields=["rank"]), [], Switches())
    with pytest.raises(CrossauthError, match="signup_expires"):
        check_storages(Users(), [], Switches(), also={"signup_expires": str})
    check_fields(Users("phone"), "phone", "state")
    with pytest.raises(CrossauthError, match="pager"):
        check_fields(Users("phone"), "phone", "pager")


def test_a_storage_of_keys_is_asked_once() -> None:
    class Keys(InMemoryKeyStorage):
        asked = 0

        def unfit_users(self, users: Any) -> list[str]:
            self.asked += 1
            return ["the ids do not fit"]

    keys = Keys()
    with pytest.raises(CrossauthError, match="the ids do not fit"):
        check_storages(Users(), [keys, keys], Switches())
    assert keys.asked == 1


def test_a_user_can_give_the_field_that_a_factor_needs_unless_it_is_the_administrators() -> None:
    sms = DummySmsAuthenticator()
    assert isinstance(sms, SmsAuthenticator)
    assert fields_given_with_choice(Users(), sms) == ["phone"]
    assert fields_given_with_choice(Users(admin_editable_fields=["phone"]), sms) == []
    both = Users(admin_editable_fields=["phone"], user_editable_fields=["phone"])
    assert fields_given_with_choice(both, sms) == ["phone"]


def test_everybody_must_be_able_to_set_one_factor_up() -> None:
    sms, totp = DummySmsAuthenticator(), TotpAuthenticator("Test")
    sms.factor_name, totp.factor_name = "sms", "totp"
    stored = Users(admin_editable_fields=["phone"])
    with pytest.raises(CrossauthError, match="'sms' needs 'phone'"):
        check_way_in(stored, [sms])
    check_way_in(stored, [sms, totp])
    check_way_in(Users(), [sms])
    check_way_in(stored, [])

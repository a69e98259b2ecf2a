"""Records that are read as mappings, too."""

import pytest

from crossauth_backend import CrossauthError, ErrorCode, Key, User
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.records import ItemReads

USER = User(id=1, username="alice", email=None, extra={"nickname": "Al", "empty": None})


def test_fields_and_further_columns_are_read_by_name() -> None:
    assert (USER["id"], USER["nickname"], USER.get("nickname")) == (1, "Al", "Al")
    assert "username" in USER
    assert "nickname" in USER
    assert dict(**USER)["username"] == "alice"
    assert set(USER) == set(USER.keys())


@pytest.mark.parametrize("name", ["email", "empty", "nothing", "extra", "__class__", "to_dict", ""])
def test_what_is_empty_or_no_field_is_absent(name: str) -> None:
    assert name not in USER
    assert USER.get(name, "default") == "default"
    with pytest.raises(KeyError):
        USER[name]


def test_what_is_no_text_is_no_name() -> None:
    assert 1 not in USER
    assert None not in USER


def test_a_record_is_not_changed_and_says_what_to_do_instead() -> None:
    with pytest.raises(CrossauthError) as refused:
        USER["email"] = "a@example.com"
    assert refused.value.code is ErrorCode.Configuration
    assert "replaced" in str(refused.value.detail)
    assert USER.email is None
    assert isinstance(USER, ItemReads)


def test_a_dictionary_has_every_field_and_no_extra() -> None:
    known = USER.to_dict()
    assert known["email"] is None
    assert known["nickname"] == "Al"
    assert "extra" not in known
    assert Key(value="s:x", created=utc_now(), extra={"value": "planted"})["value"] == "s:x"

"""Names that a database can keep apart."""

from crossauth_backend.storages.sqlalchemy.names import MAX_NAME, bounded_name


def test_a_short_name_stays_as_it_is() -> None:
    assert bounded_name("ix_", "users", "_email") == "ix_users_email"


def test_long_names_are_cut_and_stay_two() -> None:
    first, second = (bounded_name("ix_", "t" * 70 + end, "_email") for end in "ab")
    assert first != second
    for name in (first, second):
        assert len(name) <= MAX_NAME
        assert name.startswith("ix_ttt")
        assert name.endswith("_email")
        assert name.replace("_", "").isalnum()

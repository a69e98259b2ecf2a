"""By which field of users somebody who is known elsewhere may be found here. Pure, but for what a storage says of its fields."""

from __future__ import annotations

from typing import Final

from crossauth_backend.users.storage import UserStorage

# Fields that do not tell users apart: whoever comes first would be everybody.
_SHARED: Final = frozenset(
    {
        "state", "factor1", "factor2", "admin", "security_stamp", "email_verified_at", "signup_expires", "extra",
    }
)  # fmt: skip


def match_field_problems(storage: UserStorage, field: str) -> list[str]:
    """Why nobody can be found by a field, or why it does not say who is meant, as texts; asked at the start.

    Parameters:
        storage: where users are.
        field: a field of users.
    """
    if field in _SHARED:
        return [f"{field!r} does not say which user is meant"]
    expected: dict[str, type] = {field: object if field == "id" else str}
    if field == "email":
        # An address that is not verified here may be anybody's.
        expected["email_verified_at"] = object
    problems = storage.unfit_fields(expected)
    return [f"no user can be found by {field!r}: {'; '.join(problems)}"] if problems else []

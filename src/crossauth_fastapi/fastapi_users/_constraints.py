"""What a database refuses because of a constraint, said by one exception whatever the database is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi.fastapi_users.db.base import SupportsConstraints
from crossauth_fastapi.fastapi_users.exceptions import ConstraintViolated, FastAPIUsersException

logger = logging.getLogger("crossauth.fastapi_users")


@contextmanager
def storing(user_db: Any) -> Iterator[None]:
    """Within the block, something is written by `user_db`.

    Raises:
        ConstraintViolated: a constraint of the application's tables is violated.
    """
    try:
        yield
    except Exception as e:
        constraint = _constraint(user_db, e)
        if constraint is None or type(e) is ConstraintViolated:
            raise
        logger.warning("the database refuses what was to be done with a user: %s", constraint)
        raise ConstraintViolated(constraint) from e


def may_be_taken(user_db: Any, e: Exception) -> bool:
    """Whether a write may have failed because somebody else has a value; not where the database is just away."""
    if isinstance(e, ConstraintViolated) or isinstance(user_db, SupportsConstraints):
        return _constraint(user_db, e) is not None
    # An adapter that does not tell its exceptions apart.
    return not isinstance(e, (CrossauthError, FastAPIUsersException))


def _constraint(user_db: Any, e: Exception) -> str | None:
    if isinstance(e, ConstraintViolated):
        return e.constraint
    return user_db.violated(e) if isinstance(user_db, SupportsConstraints) else None

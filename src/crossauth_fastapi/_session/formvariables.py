"""What the forms say that does not change while a server runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.accounts.login_names import BY_EMAIL
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.password.authenticator import LocalPasswordAuthenticator
from crossauth_backend.factors.password.rules import MIN_LENGTH, default_password_validator
from crossauth_fastapi._session.options import SessionServerSettings


def form_globals(settings: SessionServerSettings, authenticators: Mapping[str, Authenticator]) -> dict[str, Any]:
    """Return the variables of every form.

    Parameters:
        settings: the options of the server.
        authenticators: its factors. `passwordMinLength` is how long a new password is at least; `None` where a function of the
            application says what it must be.
    """
    validators = [
        factor.settings.validate_password_fn
        for factor in authenticators.values()
        if isinstance(factor, LocalPasswordAuthenticator)
    ]
    ours = bool(validators) and all(validator is default_password_validator for validator in validators)
    return {
        "passwordMinLength": MIN_LENGTH if ours else None,
        "loginBy": settings.login_by,
        "usernameFromEmail": settings.login_by == BY_EMAIL,
    }

"""A second factor whose code is always the same. It refuses to start on anything but localhost."""

from __future__ import annotations

from typing import Any, Literal

from crossauth_backend.core.clock import from_now, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal
from crossauth_backend.core.text import clean_code
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import Authenticator, AuthenticatorOptions, Params
from crossauth_backend.users.record import User, UserSecrets

EXPIRY_SECONDS = 60


class DummyFactor2Authenticator(Authenticator):
    """Accepts `code`, for 60 seconds after it was asked for. For tests only.

    Parameters:
        code: the code it accepts.
        options: `friendly_name`.
    """

    default_friendly_name = "Dummy Factor2"
    amr = ("otp",)
    test_only = True

    def __init__(self, code: str, options: AuthenticatorOptions | None = None) -> None:
        super().__init__(options)
        self.code = code

    async def prepare_configuration(self, user: Params | User) -> dict[str, dict[str, Any]] | None:
        """Names the user and the factor; the code stays in the session."""
        view = {"username": user["username"], "factor2": self.factor_name}
        return {"userData": view, "sessionData": {**view, **self._secrets()}}

    async def reprepare_configuration(self, username: str, session_data: Params) -> dict[str, dict[str, Any]] | None:
        """As `prepare_configuration`, with a fresh minute."""
        view = {"username": username, "factor2": self.factor_name}
        return {"userData": view, "secrets": {}, "newSessionData": {**view, **self._secrets()}}

    async def create_one_time_secrets(self, user: User) -> dict[str, Any]:
        """The code and when it expires, in milliseconds since the epoch."""
        return self._secrets()

    async def authenticate_user(self, user: User | None, secrets: UserSecrets | Params | None, params: Params) -> None:
        """Compare `params["otp"]` with the code.

        Raises:
            CrossauthError: `InvalidToken`; `Expired` after 60 seconds.
        """
        provided, expiry = params.get("otp"), secrets.get("expiry") if secrets is not None else None
        if not isinstance(provided, str) or not equal(clean_code(provided), clean_code(self.code)):
            raise CrossauthError(ErrorCode.InvalidToken, mark("Invalid code"))
        if not isinstance(expiry, int) or utc_now().timestamp() * 1000 > expiry:
            raise CrossauthError(ErrorCode.Expired, mark("The code has expired. Request a new one."))

    async def create_persistent_secrets(
        self, username: str, params: Params, repeat_params: Params | None = None
    ) -> dict[str, Any]:
        """Nothing is stored."""
        return {}

    def secret_names(self) -> list[str]:
        """`[]`."""
        return []

    def transient_secret_names(self) -> list[str]:
        """`["otp"]`."""
        return ["otp"]

    def validate_secrets(self, params: Params) -> list[str]:
        """Nothing to be wrong with."""
        return []

    def can_create_user(self) -> bool:
        """No: it proves nothing."""
        return False

    def can_update_user(self) -> bool:
        """No: it keeps nothing."""
        return False

    def can_update_secrets(self) -> bool:
        """No: it keeps nothing."""
        return False

    def mfa_type(self) -> Literal["none", "oob", "otp"]:
        """As a code sent by email would be."""
        return "oob"

    def mfa_channel(self) -> Literal["none", "email", "sms"]:
        """As a code sent by email would be."""
        return "email"

    def _secrets(self) -> dict[str, Any]:
        return {"otp": self.code, "expiry": int(from_now(EXPIRY_SECONDS, utc_now()).timestamp() * 1000)}

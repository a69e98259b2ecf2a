"""A second factor from an authenticator app (RFC 6238)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final, Literal

import pyotp

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing, equal
from crossauth_backend.core.text import clean_code
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import Authenticator, AuthenticatorOptions, CodeField, Params
from crossauth_backend.factors.totp.shown import STEP_SECONDS, shown_secret
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.users.record import User, UserSecrets

# The step before and the one after, for clocks that are not quite right and people who type slowly (RFC 6238 §5.2).
STEPS: Final = (0, -1, 1)
_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)


class TotpAuthenticator(Authenticator):
    """Six digits that change every 30 seconds. Each code counts once; its secret is encrypted where it is stored.

    Parameters:
        app_name: the name under which the user's application lists the account.
        options: `friendly_name`.
    """

    default_friendly_name = mark("Authenticator app")
    amr = ("otp",)

    def __init__(self, app_name: str, options: AuthenticatorOptions | None = None) -> None:
        super().__init__(options)
        self.app_name = app_name

    async def prepare_configuration(self, user: Params | User) -> dict[str, dict[str, Any]] | None:
        """A new secret: as QR code, as `otpauth:` URI and as text; encrypted in the session until it is confirmed."""
        secret = pyotp.random_base32()
        view = shown_secret(self.app_name, self.factor_name, str(user["username"]), secret)
        stored = {"username": view["username"], "factor2": self.factor_name, "totpsecret": self._ring.encrypt(secret)}
        return {"userData": view, "sessionData": stored}

    async def reprepare_configuration(self, username: str, session_data: Params) -> dict[str, dict[str, Any]] | None:
        """The same secret again."""
        stored = session_data.get("totpsecret")
        if not isinstance(stored, str):
            return None
        view = shown_secret(self.app_name, self.factor_name, username, self._plain(stored))
        return {"userData": view, "secrets": {"totpsecret": stored}, "newSessionData": dict(session_data)}

    async def authenticate_user(self, user: User | None, secrets: UserSecrets | Params | None, params: Params) -> None:
        """Compare `params["otp"]` with the codes of this moment.

        Raises:
            CrossauthError: `InvalidToken` for a wrong code and for one that was used already.
        """
        stored = secrets.get("totpsecret") if secrets is not None else None
        code = clean_code(str(params.get("otp") or ""))
        if user is None or not isinstance(stored, str) or not stored or not _CODE.fullmatch(code):
            raise CrossauthError(ErrorCode.InvalidToken, mark("Invalid code"))
        totp, services = pyotp.TOTP(self._plain(stored), interval=STEP_SECONDS), self.services
        now = services.clock()
        current = int(now.timestamp()) // STEP_SECONDS
        matching = [current + n for n in STEPS if equal(totp.at((current + n) * STEP_SECONDS), code)]
        if not matching:
            raise CrossauthError(ErrorCode.InvalidToken, mark("Invalid code"))
        # Whoever reads a code over a shoulder must find it used (RFC 6238 §5.2).
        expires = now + timedelta(seconds=STEP_SECONDS * (len(STEPS) + 1))
        if not await consume_once(services.key_storage, f"totp {user.id} {matching[0]}", now, expires):
            raise CrossauthError(
                ErrorCode.InvalidToken, mark("This code has already been used. Wait for the next one.")
            )
        await self._encrypt_anew(user, stored)

    async def create_persistent_secrets(
        self, username: str, params: Params, repeat_params: Params | None = None
    ) -> dict[str, Any]:
        """A new secret, encrypted."""
        return {"totpsecret": self._ring.encrypt(pyotp.random_base32())}

    async def create_one_time_secrets(self, user: User) -> dict[str, Any]:
        """None: the user's device makes the code."""
        return {}

    def code_field(self) -> CodeField:
        """Six digits."""
        hint = mark("Enter the 6-digit code that your authenticator app shows.")
        return CodeField(label=mark("6-digit code"), hint=hint, keyboard="numeric")

    def secret_names(self) -> list[str]:
        """`["totpsecret"]`."""
        return ["totpsecret"]

    def transient_secret_names(self) -> list[str]:
        """`["otp"]`."""
        return ["otp"]

    def validate_secrets(self, params: Params) -> list[str]:
        """Nothing to be wrong with."""
        return []

    def can_update_secrets(self) -> bool:
        """Only by setting the factor up again."""
        return False

    def mfa_type(self) -> Literal["none", "oob", "otp"]:
        """From the user's own generator."""
        return "otp"

    @property
    def _ring(self) -> KeyRing:
        return self.services.ring

    def _plain(self, stored: str) -> str:
        # A secret that another system stored in clear is accepted; it is encrypted when it is next used.
        return self._ring.decrypt(stored) if KeyRing.is_encrypted(stored) else stored

    async def _encrypt_anew(self, user: User, stored: str) -> None:
        users = self.services.user_storage
        if users is not None and not self._ring.is_current(stored):
            await users.rewrite_secret(user.id, "totpsecret", stored, self._ring.encrypt(self._plain(stored)))

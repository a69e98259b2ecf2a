"""What factors have in common whose code is sent to the user."""

from __future__ import annotations

import re
from abc import abstractmethod
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal
from crossauth_backend.core.text import clean_code
from crossauth_backend.core.texts import mark
from crossauth_backend.core.typedcodes import random_digits
from crossauth_backend.factors.base import Authenticator, CodeField, Params
from crossauth_backend.users.record import User, UserSecrets

DIGITS: Final = 6
_SENT: Final = {
    "email": mark("We sent you a code by email."), "sms": mark("We sent you a code by text message."),
    "none": mark("We sent you a code."),
}  # fmt: skip
_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)


class SentCodeAuthenticator(Authenticator):
    """Six random digits, sent to the user, good for a few minutes. Nothing of them is stored with the user.

    The code is kept, encrypted, with the login that asked for it, which ends with its first use.
    """

    @property
    @abstractmethod
    def code_seconds(self) -> int:
        """Seconds a code is good for."""

    @abstractmethod
    def where_to(self, user: Params | User) -> dict[str, str]:
        """Where the code goes, under the name of the user's field: `{"email": …}`.

        `user_fields` names every such field, so that nobody changes one without proof of who is asking.

        Raises:
            CrossauthError: `InvalidEmail` or `InvalidPhoneNumber` where the user has none that can be written to.
        """

    @abstractmethod
    def send_code(self, to: str, code: str, username: str) -> None:
        """Have the code sent in the background.

        Parameters:
            to: where it goes.
            code: the code.
            username: whose login it is for: one address may have several accounts.
        """

    async def prepare_configuration(self, user: Params | User) -> dict[str, dict[str, Any]] | None:
        """Sends a code, which proves that it arrives."""
        return self._prepared(str(user["username"]), self.where_to(user))

    def prepare_unsent(self, user: Params | User) -> dict[str, dict[str, Any]]:
        """As `prepare_configuration`, but nothing is sent: no code that anybody could know fits."""
        return self._prepared(str(user["username"]), self.where_to(user), deliver=False)

    async def reprepare_configuration(self, username: str, session_data: Params) -> dict[str, dict[str, Any]] | None:
        """Sends a new code to where the last one went."""
        names = dict.fromkeys(("email", "phone", *self.user_fields()))
        where = {n: str(session_data[n]) for n in names if n != "username" and n in session_data}
        prepared = self._prepared(username, where)
        return {"userData": prepared["userData"], "secrets": {}, "newSessionData": prepared["sessionData"]}

    async def create_one_time_secrets(self, user: User) -> dict[str, Any]:
        """Sends a code; returns it and when it expires, in milliseconds since the epoch."""
        return self._send(self.where_to(user), user.username)

    async def authenticate_user(self, user: User | None, secrets: UserSecrets | Params | None, params: Params) -> None:
        """Compare `params["otp"]` with the code that was sent.

        Raises:
            CrossauthError: `InvalidToken`; `Expired`.
        """
        code = clean_code(str(params.get("otp") or ""))
        sent = secrets.get("otp") if secrets is not None else None
        expiry = secrets.get("expiry") if secrets is not None else None
        if not isinstance(sent, str) or not _CODE.fullmatch(code) or not equal(sent, code):
            raise CrossauthError(ErrorCode.InvalidToken, mark("Invalid code"))
        if not isinstance(expiry, int) or self._now_ms() > expiry:
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

    def can_update_secrets(self) -> bool:
        """There are none."""
        return False

    def code_field(self) -> CodeField:
        """Six digits, by whatever channel."""
        hint = _SENT.get(self.mfa_channel(), _SENT["none"])
        return CodeField(label=mark("6-digit code"), hint=hint, keyboard="numeric")

    def mfa_type(self) -> Literal["none", "oob", "otp"]:
        """Out of band."""
        return "oob"

    def code_ends(self) -> datetime:
        """When a code that is sent now expires."""
        return self.services.clock() + timedelta(seconds=self.code_seconds)

    @property
    def _channel(self) -> str:
        """The name under which the delivery queue knows this factor."""
        return f"factor {self.factor_name}"

    def _prepared(self, username: str, where: dict[str, str], deliver: bool = True) -> dict[str, dict[str, Any]]:
        unknown = sorted(where.keys() - {"email", "phone", *self.user_fields()})
        if unknown:
            # Such a field would be nobody's credential: a stolen session could send the codes elsewhere.
            named = ", ".join(map(repr, unknown))
            raise CrossauthError(
                ErrorCode.Configuration,
                detail=f"{type(self).__name__}: where_to() names {named}; name it in user_fields() as well",
            )
        view = {"username": username, "factor2": self.factor_name, **where}
        return {"userData": view, "sessionData": {**view, **self._send(where, username, deliver)}}

    def _send(self, where: dict[str, str], username: str, deliver: bool = True) -> dict[str, Any]:
        code = random_digits(DIGITS)
        for to in where.values() if deliver else ():
            self.send_code(to, code, username)
        return {"otp": code, "expiry": int(self.code_ends().timestamp() * 1000)}

    def _now_ms(self) -> int:
        return int(self.services.clock().timestamp() * 1000)

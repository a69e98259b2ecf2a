"""A second factor by text message."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.options import MAX_SECONDS, option
from crossauth_backend.core.texts import mark
from crossauth_backend.delivery.mailer import Message
from crossauth_backend.delivery.messages import Messages
from crossauth_backend.delivery.sms import SmsSender, valid_phone
from crossauth_backend.delivery.twilio import TwilioSender
from crossauth_backend.factors.base import AuthenticatorOptions, AuthenticatorSettings, Params
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.factors.services import FactorServices
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import name_for_strangers


class SmsAuthenticatorOptions(AuthenticatorOptions, total=False):
    """Options of `SmsAuthenticator`."""

    render: Callable[[str, dict[str, Any]], str]
    sms_authenticator_body: str
    sms_authenticator_from: str
    sms_authenticator_token_expires: int
    sms_sender: SmsSender
    views: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsAuthenticatorSettings(AuthenticatorSettings):
    """`SmsAuthenticatorOptions`, parsed."""

    sms_sender: SmsSender | None = option(
        None, kind="object with `async send(to, body)`", doc="What sends: an `SmsSender`."
    )
    sms_authenticator_body: str = option("smsauthenticationbody.njk", env="SMS_AUTHENTICATOR_BODY", doc="Template.")
    sms_authenticator_from: str = option("", env="SMS_AUTHENTICATOR_FROM", doc="The number or name that messages come from.")  # fmt: skip
    sms_authenticator_token_expires: int = option(300, at_least=1, at_most=MAX_SECONDS, env="SMS_AUTHENTICATOR_TOKEN_EXPIRES", doc="Seconds a code is good for.")  # fmt: skip
    views: str = option("views", env="VIEWS", doc="Folder with the application's own message templates.")
    render: Callable[..., Any] | None = option(None, doc="`(template, data)`: renders messages, instead of Jinja2.")


class SmsAuthenticator(SentCodeAuthenticator):
    """Sends a code to `user["phone"]`, an E.164 number.

    Parameters:
        options: see `SmsAuthenticatorOptions`.
    """

    default_friendly_name = mark("Text message code")
    amr = ("sms",)
    settings_table = SmsAuthenticatorSettings
    settings: SmsAuthenticatorSettings

    def __init__(self, options: SmsAuthenticatorOptions | None = None) -> None:
        super().__init__(options)

    def attach(self, services: FactorServices) -> None:
        """See `Authenticator.attach`; there must be something that sends."""
        super().attach(services)
        if type(self)._send_sms is SmsAuthenticator._send_sms and not isinstance(self.settings.sms_sender, SmsSender):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{type(self).__name__}: option 'sms_sender' must be an SmsSender, with a method `async send(to, body)`",
            )
        self._messages = Messages(self.settings.views, self.settings.render, services.brand)
        services.queue.add_channel(self._channel, self._send_kept)
        self._messages.check(self.settings.sms_authenticator_body, "sms_authenticator_body")

    @property
    def code_seconds(self) -> int:
        """See `SentCodeAuthenticator.code_seconds`."""
        return self.settings.sms_authenticator_token_expires

    def where_to(self, user: Params | User) -> dict[str, str]:
        """See `SentCodeAuthenticator.where_to`."""
        return {"phone": valid_phone(user.get("phone"))}

    def send_code(self, to: str, code: str, username: str) -> None:
        """See `SentCodeAuthenticator.send_code`."""
        # It may be the first message to whom it goes, who may be somebody else.
        data = {"otp": code, "username": name_for_strangers(username)}
        self.services.queue.put(partial(self._make, to, data, self.code_ends()))

    def mfa_channel(self) -> Literal["none", "email", "sms"]:
        """By text message."""
        return "sms"

    async def _make(self, to: str, data: dict[str, Any], until: datetime) -> Message:
        body = (await self._messages.text(self.settings.sms_authenticator_body, data)).strip()
        return Message(channel=self._channel, to=to, content={"to": to, "body": body}, until=until)

    async def _send_kept(self, content: Mapping[str, Any]) -> str:
        return await self._send_sms(content["to"], content["body"])

    async def _send_sms(self, to: str, body: str) -> str:
        """Send one message; a subclass may override it instead of giving `sms_sender`."""
        sender = self.settings.sms_sender
        assert sender is not None, "attach has seen to it"
        return str(await call_hook(sender.send, to, body))


class TwilioAuthenticator(SmsAuthenticator):
    """Sends through Twilio, with the credentials in TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.

    Parameters:
        options: see `SmsAuthenticatorOptions`; `sms_authenticator_from` is required.

    Raises:
        CrossauthError: `Configuration` where a credential, the sender or aiohttp (`crossauth[sms]`) is missing.
    """

    def __init__(self, options: SmsAuthenticatorOptions | None = None) -> None:
        super().__init__(options)
        if self.settings.sms_sender is None:
            names = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
            missing = [name for name in names if not os.environ.get(name)]
            if missing or not self.settings.sms_authenticator_from:
                needed = missing or ["option 'sms_authenticator_from'"]
                raise CrossauthError(ErrorCode.Configuration, f"TwilioAuthenticator needs {' and '.join(needed)}")
            sid, token = (os.environ[name] for name in names)
            base = os.environ.get("TWILIO_BASE_URL", "https://api.twilio.com")
            self._twilio = TwilioSender(
                account_sid=sid, auth_token=token, sender=self.settings.sms_authenticator_from, base_url=base
            )

    async def _send_sms(self, to: str, body: str) -> str:
        sender: SmsSender = self.settings.sms_sender or self._twilio
        return str(await call_hook(sender.send, to, body))


class DummySmsAuthenticator(SmsAuthenticator):
    """Keeps messages instead of sending them. For tests only; it refuses to start on anything but localhost.

    `messages` is what would have been sent: pairs of number and text.
    """

    test_only = True

    def __init__(self, options: SmsAuthenticatorOptions | None = None) -> None:
        super().__init__(options)
        self.messages: list[tuple[str, str]] = []

    async def _send_sms(self, to: str, body: str) -> str:
        self.messages.append((to, body))
        return str(len(self.messages))

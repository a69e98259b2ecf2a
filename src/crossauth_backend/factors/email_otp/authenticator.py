"""A second factor by email."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import MAX_SECONDS, option
from crossauth_backend.core.texts import gettext, mark
from crossauth_backend.delivery.durations import duration_text
from crossauth_backend.delivery.mailer import Mailer, Message, mail_message, send_mail
from crossauth_backend.delivery.messages import Messages
from crossauth_backend.delivery.options import MailOptions, MailSettings, make_mailer, sender_name
from crossauth_backend.factors.base import Params
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.factors.services import FactorServices
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import name_for_strangers, valid_email

SUBJECT: Final = mark("{otp} is your {siteName} code")
SUBJECT_ALONE: Final = mark("{otp} is your code")


class EmailAuthenticatorOptions(MailOptions, total=False):
    """Options of `EmailAuthenticator`."""

    friendly_name: str
    email_authenticator_html_body: str
    email_authenticator_subject: str
    email_authenticator_text_body: str
    email_authenticator_token_expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailAuthenticatorSettings(MailSettings):
    """`EmailAuthenticatorOptions`, parsed."""

    friendly_name: str | None = option(None, doc="The name of this factor on pages.")
    email_authenticator_text_body: str = option("emailauthenticationtextbody.njk", names=("email_authenticator_text_bod",), env="EMAIL_AUTHENTICATOR_TEXT_BODY", doc="Template.")  # fmt: skip
    email_authenticator_html_body: str | None = option(None, env="EMAIL_AUTHENTICATOR_HTML_BODY", shown="emailauthenticationhtmlbody.njk", doc="Template; empty for none. Without one of your own beside an `email_authenticator_text_body` of your own, the mail has no HTML.")  # fmt: skip
    email_authenticator_subject: str | None = option(None, env="EMAIL_AUTHENTICATOR_SUBJECT", shown="the code, and the site", doc="Subject; `{siteName}` and `{otp}` in it are the name of the site and the code.")  # fmt: skip
    email_authenticator_token_expires: int = option(300, at_least=1, at_most=MAX_SECONDS, env="EMAIL_AUTHENTICATOR_TOKEN_EXPIRES", doc="Seconds a code is good for.")  # fmt: skip


class EmailAuthenticator(SentCodeAuthenticator):
    """Sends a code to the user's email address, or to a username that is one.

    Parameters:
        options: see `EmailAuthenticatorOptions`; without anything that sends, the server's mailer does.
    """

    default_friendly_name = mark("Email code")
    amr = ("otp",)
    settings_table = EmailAuthenticatorSettings
    settings: EmailAuthenticatorSettings

    def __init__(self, options: EmailAuthenticatorOptions | None = None) -> None:
        super().__init__(options)

    def attach(self, services: FactorServices) -> None:
        """See `Authenticator.attach`; there must be something that sends."""
        super().attach(services)
        self._mailer: Mailer | None = make_mailer(self.settings, type(self).__name__) or services.mailer
        if self._mailer is None:
            raise CrossauthError(
                ErrorCode.Configuration,
                "EmailAuthenticator: email needs option 'smtp_host' and 'email_from', or 'mailer'; here or of the server",
            )
        brand = services.brand
        if not brand.site:
            brand = replace(brand, name=sender_name(self.settings))
        self._messages = Messages(self.settings.views, self.settings.render, brand)
        services.queue.add_channel(self._channel, partial(send_mail, self._mailer))
        for name in ("email_authenticator_text_body", "email_authenticator_html_body"):
            self._messages.check(getattr(self.settings, name), name)

    @property
    def code_seconds(self) -> int:
        """See `SentCodeAuthenticator.code_seconds`."""
        return self.settings.email_authenticator_token_expires

    def where_to(self, user: Params | User) -> dict[str, str]:
        """See `SentCodeAuthenticator.where_to`."""
        return {"email": valid_email(str(user.get("email") or user["username"]))}

    def send_code(self, to: str, code: str, username: str) -> None:
        """See `SentCodeAuthenticator.send_code`."""
        # It may be the first message to whom it goes, who may be somebody else.
        data = {"otp": code, "username": name_for_strangers(username)}
        self.services.queue.put(partial(self._make, to, data, self.code_ends()))

    def skip_email_verification_on_signup(self) -> bool:
        """A code that arrived verifies the address."""
        return True

    def mfa_channel(self) -> Literal["none", "email", "sms"]:
        """By email."""
        return "email"

    async def _make(self, to: str, data: dict[str, Any], until: datetime) -> Message:
        s, data = self.settings, {**data, "lasts": duration_text(self.code_seconds)}
        subject = s.email_authenticator_subject or gettext(SUBJECT if self._messages.brand.site else SUBJECT_ALONE)
        mail = await self._messages.mail(
            to, subject, s.email_authenticator_text_body, s.email_authenticator_html_body, data
        )
        return mail_message(self._channel, mail, until)

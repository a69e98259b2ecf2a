"""E-mail by SMTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage
from importlib import import_module
from typing import Final, Literal

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.delivery.mailer import Mail

SmtpSecurity = Literal["starttls", "tls", "none"]
TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpMailer:
    """Hands mail to an SMTP server, one connection a message.

    Parameters:
        host: the server.
        sender: the address that mail comes from.
        port: its port.
        security: `starttls` begins in clear and refuses to go on without TLS (RFC 3207), `tls` is TLS from the first byte
            (RFC 8314, port 465), `none` sends mail and password in clear.
        username, password: its login, if it wants one.
    """

    host: str
    sender: str
    port: int = 587
    security: SmtpSecurity = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    async def send(self, mail: Mail) -> None:
        """Send it.

        Raises:
            CrossauthError: `Connection` where the server does not take it; `Configuration` where aiosmtplib is missing.
        """
        try:
            aiosmtplib = import_module("aiosmtplib")
        except ModuleNotFoundError as e:
            raise CrossauthError(
                ErrorCode.Configuration, "Sending e-mail needs aiosmtplib: install crossauth[email]"
            ) from e
        try:
            await aiosmtplib.send(
                as_message(mail, self.sender), hostname=self.host, port=self.port,
                username=self.username, password=self.password, timeout=TIMEOUT_SECONDS,
                use_tls=self.security == "tls", start_tls=self.security == "starttls",
            )  # fmt: skip
        except (aiosmtplib.SMTPException, OSError) as e:
            raise CrossauthError(ErrorCode.Connection, detail=f"SMTP server {self.host}: {type(e).__name__}") from e


def as_message(mail: Mail, sender: str) -> EmailMessage:
    """The message on the wire: text, and HTML as an alternative (RFC 2046 §5.1.4).

    Raises:
        ValueError: for a line break in an address or subject.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    # No auto-reply comes back to a machine (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message

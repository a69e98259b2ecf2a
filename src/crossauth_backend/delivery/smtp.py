"""Email by SMTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage
from importlib import import_module
from typing import Any, Final, Literal

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.delivery.addresses import mailbox, on_the_wire, parse_sender
from crossauth_backend.delivery.mailer import DeliveryRefused, Mail

SmtpSecurity = Literal["starttls", "tls", "none"]
TIMEOUT_SECONDS: Final = 30
_LOGIN_NEEDED: Final = (530, 534, 535, 538)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpMailer:
    """Hands mail to an SMTP server, one connection a message.

    Parameters:
        host: the server.
        sender: the address that mail comes from, or `Name <address>`; without a name it is the site's.
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
            DeliveryRefused: where the server refuses it for good (RFC 5321 §4.2.1: 5yz), or cannot send to such an address.
            CrossauthError: `Connection` where the server does not take it now; `Configuration` where aiosmtplib is missing.
        """
        try:
            aiosmtplib = import_module("aiosmtplib")
        except ModuleNotFoundError as e:
            raise CrossauthError(
                ErrorCode.Configuration, "Sending email needs aiosmtplib: install crossauth[email]"
            ) from e
        sender, recipient = on_the_wire(parse_sender(self.sender)[1]), on_the_wire(mail.to)
        message = as_message(mail, self.sender)
        client = aiosmtplib.SMTP(
            hostname=self.host, port=self.port, username=self.username, password=self.password,
            timeout=TIMEOUT_SECONDS, use_tls=self.security == "tls", start_tls=self.security == "starttls",
        )  # fmt: skip
        try:
            async with client:
                if not (sender + recipient).isascii():
                    await client.ehlo()
                    if not client.supports_extension("smtputf8"):
                        raise DeliveryRefused("smtputf8", f"SMTP server {self.host} has no SMTPUTF8 (RFC 6531)")
                await client.send_message(message, sender=sender, recipients=[recipient])
        except (aiosmtplib.SMTPException, OSError) as e:
            code, detail = _refusal(aiosmtplib, e), f"SMTP server {self.host}: {type(e).__name__}"
            if code:
                raise DeliveryRefused("refused", f"{detail} {code}") from e
            raise CrossauthError(ErrorCode.Connection, detail=detail) from e


def _refusal(errors: Any, e: Exception) -> int | None:
    """The code with which a server refused this message for good.

    A login that is refused, and a server that refuses to talk at all, is a fault of the configuration or of the server: it will
    be mended, so the message waits.
    """
    if isinstance(e, errors.SMTPRecipientsRefused) and e.recipients:
        e = e.recipients[0]
    if not isinstance(e, (errors.SMTPRecipientRefused, errors.SMTPSenderRefused, errors.SMTPDataError)):
        return None
    code: int = e.code
    return code if 500 <= code <= 599 and code not in _LOGIN_NEEDED else None


def as_message(mail: Mail, sender: str) -> EmailMessage:
    """The message on the wire: text, and HTML as an alternative (RFC 2046 §5.1.4).

    Parameters:
        mail: what to send.
        sender: an address, or `Name <address>`.

    Raises:
        DeliveryRefused: for a line break in an address or subject.
    """
    name, address = parse_sender(sender)
    address = on_the_wire(address)
    message = EmailMessage()
    try:
        message["From"] = mailbox(name or mail.from_name, address)
        message["To"] = on_the_wire(mail.to)
        message["Subject"] = mail.subject
    except ValueError as e:
        raise DeliveryRefused("address", "a line break in an address or subject") from e
    # RFC 5322 §3.6.1 and §3.6.4; receivers take mail without them for spam.
    message["Date"] = utc_now()
    message["Message-ID"] = f"<{mail.message_id}@{address.rpartition('@')[2]}>"
    # No auto-reply comes back to a machine (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message

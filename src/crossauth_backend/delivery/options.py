"""Options of whatever sends mail, and the mailer they describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option
from crossauth_backend.delivery.addresses import parse_sender
from crossauth_backend.delivery.mailer import Mailer
from crossauth_backend.delivery.smtp import SmtpMailer, SmtpSecurity

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class MailOptions(TypedDict, total=False):
    """Options of whatever sends mail."""

    email_from: str
    mailer: Mailer
    render: Callable[[str, dict[str, Any]], str]
    smtp_host: str
    smtp_password: str
    smtp_port: int
    smtp_security: SmtpSecurity
    smtp_use_tls: bool
    smtp_username: str
    views: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """`MailOptions`, parsed."""

    email_from: str | None = option(
        None,
        env="EMAIL_FROM",
        doc="Sender of email: an address, or `Shop <shop@example.com>`. Without a name it is the host of `site_url`.",
    )
    mailer: Mailer | None = option(None, kind="object with `async send(mail)`", doc="What sends email, instead of the SMTP options: a `Mailer`, or an `Outbox` in development.")  # fmt: skip
    smtp_host: str | None = option(None, not_with="mailer", not_empty=True, env="SMTP_HOST", doc="Mail server.")
    smtp_port: int | None = option(None, needs="smtp_host", not_with="mailer", at_least=1, at_most=65535, env="SMTP_PORT", doc="Port of the mail server.", shown="587; 465 for tls, 25 for none")  # fmt: skip
    smtp_security: SmtpSecurity | None = option(None, needs="smtp_host", not_with="mailer", env="SMTP_SECURITY", doc="How the connection to the mail server is protected: `starttls`, `tls` from the first byte, or `none`.", shown='"starttls"')  # fmt: skip
    smtp_use_tls: bool | None = option(None, needs="smtp_host", not_with="mailer", env="SMTP_USE_TLS", doc="Older spelling: true is `starttls` (`tls` on port 465), false is `none`.")  # fmt: skip
    smtp_username: str | None = option(
        None, needs="smtp_host", not_with="mailer", env="SMTP_USERNAME", doc="Login at the mail server."
    )
    smtp_password: str | None = option(
        None, needs="smtp_host", not_with="mailer", env="SMTP_PASSWORD", doc="Password at the mail server."
    )
    views: str = option("views", env="VIEWS", doc="Folder with the application's own message templates; what is not in it comes with the package.")  # fmt: skip
    render: Callable[..., Any] | None = option(None, doc="`(template, data)`: renders messages, instead of Jinja2.")


def make_mailer(settings: MailSettings, component: str) -> Mailer | None:
    """The mailer that options describe; `None` where they describe none.

    Raises:
        CrossauthError: `Configuration`, naming the option.
    """

    def wrong(text: str) -> CrossauthError:
        return CrossauthError(ErrorCode.Configuration, f"{component}: {text}")

    if settings.mailer is not None:
        if not isinstance(settings.mailer, Mailer):
            raise wrong("option 'mailer' must have a method `async send(mail)`")
        return settings.mailer
    if settings.smtp_host is None:
        return None
    if not settings.email_from:
        raise wrong("option 'email_from' is required with 'smtp_host'")
    if not parse_sender(settings.email_from)[1]:
        raise wrong("option 'email_from' must be an address, or a name and an address: Shop <shop@example.com>")
    security = smtp_security(settings)
    if security is None:
        raise wrong("options 'smtp_security' and 'smtp_use_tls' contradict each other; leave the second out")
    return SmtpMailer(
        host=settings.smtp_host, sender=settings.email_from, port=settings.smtp_port or _PORTS[security],
        security=security, username=settings.smtp_username, password=settings.smtp_password,
    )  # fmt: skip


def sender_name(settings: MailSettings) -> str:
    """What messages call a site of which no `site_url` is known: the sender's name, or the host of its address."""
    name, address = parse_sender(settings.email_from or "")
    return name or address.rpartition("@")[2]


def smtp_security(settings: MailSettings) -> SmtpSecurity | None:
    """How the connection is protected; `None` where two options contradict each other."""
    told = settings.smtp_security
    if settings.smtp_use_tls is None:
        return told or "starttls"
    if settings.smtp_use_tls:
        if told == "none":
            return None
        return told or ("tls" if settings.smtp_port == 465 else "starttls")
    return "none" if told in (None, "none") else None

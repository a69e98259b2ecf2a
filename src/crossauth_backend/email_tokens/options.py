"""Options of what sends links by email."""

from __future__ import annotations

from dataclasses import dataclass

from crossauth_backend.core.options import MAX_SECONDS, option
from crossauth_backend.delivery.brand import MailBrand
from crossauth_backend.delivery.options import MailOptions, MailSettings, sender_name


class TokenEmailerOptions(MailOptions, total=False):
    """Options of `TokenEmailer`; times in seconds."""

    email_verification_html_body: str
    email_verification_subject: str
    email_verification_text_body: str
    password_reset_expires: int
    password_reset_html_body: str
    password_reset_subject: str
    password_reset_text_body: str
    prefix: str
    site_url: str
    verify_email_expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEmailerSettings(MailSettings):
    """`TokenEmailerOptions`, parsed."""

    site_url: str | None = option(
        None,
        names=("siteUrl",),
        env="SITE_URL",
        doc="Where browsers find the site, such as `https://example.com`. Links in email begin with it.",
    )
    prefix: str = option("/", env="PREFIX", doc="Goes before every URL.")
    email_verification_text_body: str = option("emailverificationtextbody.njk", env="EMAIL_VERIFICATION_TEXT_BODY", doc="Template.")  # fmt: skip
    email_verification_html_body: str | None = option("emailverificationhtmlbody.njk", env="EMAIL_VERIFICATION_HTML_BODY", doc="Template; empty for none. Without one of your own beside a `…_text_body` of your own, the mail has no HTML.")  # fmt: skip
    email_verification_subject: str | None = option(None, env="EMAIL_VERIFICATION_SUBJECT", shown="Verify your email address for, and the site", doc="Subject; `{siteName}` in it is the name of the site.")  # fmt: skip
    password_reset_text_body: str = option("passwordresettextbody.njk", env="PASSWORD_RESET_TEXT_BODY", doc="Template.")
    password_reset_html_body: str | None = option("passwordresethtmlbody.njk", env="PASSWORD_RESET_HTML_BODY", doc="Template; empty for none. Without one of your own beside a `…_text_body` of your own, the mail has no HTML.")  # fmt: skip
    password_reset_subject: str | None = option(None, env="PASSWORD_RESET_SUBJECT", shown="Reset your password, with the site", doc="Subject; `{siteName}` in it is the name of the site.")  # fmt: skip
    password_reset_expires: int = option(86400, at_least=1, at_most=MAX_SECONDS, env="PASSWORD_RESET_EXPIRES", doc="Seconds a link to choose a new password works.")  # fmt: skip
    verify_email_expires: int = option(86400, at_least=1, at_most=MAX_SECONDS, env="VERIFY_EMAIL_EXPIRES", doc="Seconds a link to verify an email address works.")  # fmt: skip


def mail_brand(settings: TokenEmailerSettings) -> MailBrand:
    """Return the brand of messages that options say."""
    return MailBrand(name="" if settings.site_url else sender_name(settings), url=settings.site_url or "")

"""Options of what sends links by email."""

from __future__ import annotations

from dataclasses import dataclass

from crossauth_backend.core.options import MAX_SECONDS, option
from crossauth_backend.delivery.options import MailOptions, MailSettings


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
    site_name: str
    site_url: str
    verify_email_expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEmailerSettings(MailSettings):
    """`TokenEmailerOptions`, parsed."""

    site_url: str | None = option(
        None,
        names=("siteUrl",),
        env="SITE_URL",
        doc="Where browsers find the site, such as `https://example.com`. Links in e-mail begin with it.",
    )
    site_name: str = option("", env="SITE_NAME", shown="the host of `site_url`", doc="What pages and messages call the application.")  # fmt: skip
    prefix: str = option("/", env="PREFIX", doc="Goes before every URL.")
    email_verification_text_body: str = option("emailverificationtextbody.njk", env="EMAIL_VERIFICATION_TEXT_BODY", doc="Template.")  # fmt: skip
    email_verification_html_body: str | None = option("emailverificationhtmlbody.njk", env="EMAIL_VERIFICATION_HTML_BODY", doc="Template; empty for none.")  # fmt: skip
    email_verification_subject: str = option("Please verify your email", env="EMAIL_VERIFICATION_SUBJECT", doc="Subject.")  # fmt: skip
    password_reset_text_body: str = option("passwordresettextbody.njk", env="PASSWORD_RESET_TEXT_BODY", doc="Template.")
    password_reset_html_body: str | None = option("passwordresethtmlbody.njk", env="PASSWORD_RESET_HTML_BODY", doc="Template; empty for none.")  # fmt: skip
    password_reset_subject: str = option("Password reset", env="PASSWORD_RESET_SUBJECT", doc="Subject.")
    password_reset_expires: int = option(86400, at_least=1, at_most=MAX_SECONDS, env="PASSWORD_RESET_EXPIRES", doc="Seconds a link to choose a new password works.")  # fmt: skip
    verify_email_expires: int = option(86400, at_least=1, at_most=MAX_SECONDS, env="VERIFY_EMAIL_EXPIRES", doc="Seconds a link to prove an address works.")  # fmt: skip

"""Options of what sends links by email."""

from __future__ import annotations

from dataclasses import dataclass

from crossauth_backend.core.options import MAX_SECONDS, option
from crossauth_backend.delivery.brand import MailBrand, in_color
from crossauth_backend.delivery.options import MailOptions, MailSettings, sender_name


class TokenEmailerOptions(MailOptions, total=False):
    """Options of `TokenEmailer`; times in seconds."""

    accent_color: str
    email_verification_html_body: str
    email_verification_subject: str
    email_verification_text_body: str
    logo_url: str
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
        doc="Where browsers find the site, such as `https://example.com`. Links in email begin with it.",
    )
    site_name: str = option("", env="SITE_NAME", shown="the host of `site_url`", doc="What pages and messages call the application.")  # fmt: skip
    accent_color: str | None = option(None, env="ACCENT_COLOR", doc="Color of buttons and links, as `#rrggbb` or `#rgb`. What is too light or too dark to be read is darkened or lightened, and dark pages and mails get a variant of their own.")  # fmt: skip
    logo_url: str | None = option(None, env="LOGO_URL", doc="Logo, shown on every page instead of the name, 32 pixels high: a path of the application's own, such as `/static/logo.svg`, or an `https` URL, whose origin the content policy then allows for images. Mails show it beside the name, unless it is an SVG, which mail programs do not.")  # fmt: skip
    prefix: str = option("/", env="PREFIX", doc="Goes before every URL.")
    email_verification_text_body: str = option("emailverificationtextbody.njk", env="EMAIL_VERIFICATION_TEXT_BODY", doc="Template.")  # fmt: skip
    email_verification_html_body: str | None = option("emailverificationhtmlbody.njk", env="EMAIL_VERIFICATION_HTML_BODY", doc="Template; empty for none. Without one of your own beside a `…_text_body` of your own, the mail has no HTML.")  # fmt: skip
    email_verification_subject: str | None = option(None, env="EMAIL_VERIFICATION_SUBJECT", shown="Verify your email address for, and the site", doc="Subject; `{siteName}` in it is the name of the site.")  # fmt: skip
    password_reset_text_body: str = option("passwordresettextbody.njk", env="PASSWORD_RESET_TEXT_BODY", doc="Template.")
    password_reset_html_body: str | None = option("passwordresethtmlbody.njk", env="PASSWORD_RESET_HTML_BODY", doc="Template; empty for none. Without one of your own beside a `…_text_body` of your own, the mail has no HTML.")  # fmt: skip
    password_reset_subject: str | None = option(None, env="PASSWORD_RESET_SUBJECT", shown="Reset your password, with the site", doc="Subject; `{siteName}` in it is the name of the site.")  # fmt: skip
    password_reset_expires: int = option(86400, at_least=1, at_most=MAX_SECONDS, env="PASSWORD_RESET_EXPIRES", doc="Seconds a link to choose a new password works.")  # fmt: skip
    verify_email_expires: int = option(86400, at_least=1, at_most=MAX_SECONDS, env="VERIFY_EMAIL_EXPIRES", doc="Seconds a link to verify an email address works.")  # fmt: skip


def mail_brand(settings: TokenEmailerSettings, component: str) -> MailBrand:
    """Return the brand of messages that options say.

    Raises:
        CrossauthError: `Configuration` for a color that is none.
    """
    url, logo = settings.site_url or "", settings.logo_url or ""
    # Mail programs show no SVG, and no image that is not fetched over TLS.
    if logo.partition("?")[0].partition("#")[0].lower().endswith(".svg"):
        logo = ""
    elif logo.startswith("/"):
        logo = url.rstrip("/") + logo
    brand = MailBrand(
        name=settings.site_name or ("" if url else sender_name(settings)),
        url=url,
        logo_url=logo if logo.startswith("https://") else "",
    )
    return brand if settings.accent_color is None else in_color(brand, settings.accent_color, component)

"""Every mail that the library sends, with values of a shop."""

from typing import Any, Final, Literal

from crossauth_backend.core.texts import gettext
from crossauth_backend.delivery.brand import MailBrand
from crossauth_backend.delivery.mailer import Mail
from crossauth_backend.delivery.messages import Messages
from crossauth_backend.email_tokens import subjects
from crossauth_backend.factors.email_otp import authenticator as email_otp

ACME = MailBrand(name="Acme", url="https://acme.example")
SITE = {"siteUrl": "https://acme.example", "prefix": "/"}
TOKEN = "pZ0hKs2bC1yVtQn7xWm4RdLfG8uJ5aEoIqX3vB6kNcY"
LINK = {**SITE, "username": "alice", "token": TOKEN, "expires": "27 November 2026, 09:30 UTC", "lasts": "24 hours"}
CODE = "482913"
NOTE = {**SITE, "username": "alice"}

# What a mail is called: its subject, the template of its text, and its variables.
MAILS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "verify-address": (subjects.VERIFY, "emailverificationtextbody.njk", LINK),
    "reset-password": (subjects.RESET, "passwordresettextbody.njk", LINK),
    "code": (
        email_otp.SUBJECT,
        "emailauthenticationtextbody.njk",
        {"otp": CODE, "username": "alice", "lasts": "5 minutes"},
    ),
    "account-exists": (subjects.ACCOUNT_EXISTS, "accountexistsbody.jinja2", NOTE),
    "username-taken": (subjects.NAME_TAKEN, "nametakenbody.jinja2", SITE),
    "address-change": (subjects.ADDRESS_CHANGE, "emailchangenoticebody.jinja2", {**NOTE, "changed": False}),
    "address-changed": (subjects.ADDRESS_CHANGED, "emailchangenoticebody.jinja2", {**NOTE, "changed": True}),
    "password-changed": (subjects.PASSWORD_CHANGED, "passwordnoticebody.jinja2", {**NOTE, "canReset": True}),
    "api-key-created": (
        subjects.KEY_CREATED,
        "apikeynoticebody.jinja2",
        {**NOTE, "name": "Nightly export", "replaced": False},
    ),
    "api-key-replaced": (
        subjects.KEY_REPLACED,
        "apikeynoticebody.jinja2",
        {**NOTE, "name": "Nightly export", "replaced": True},
    ),
    "login-added": (
        subjects.LINKED,
        "identitynoticebody.jinja2",
        {**NOTE, "name": "alice@mail.example", "provider": "id.example", "linked": True},
    ),
    "login-removed": (
        subjects.UNLINKED,
        "identitynoticebody.jinja2",
        {**NOTE, "name": "alice@mail.example", "provider": "id.example", "linked": False},
    ),
}
SMS = "smsauthenticationbody.njk"
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
# A phone and a desk.
WIDTHS: Final = (390, 800)


def picture_name(name: str, scheme: str, width: int) -> str:
    """The file of a picture of a mail."""
    return f"{name}-{scheme}-{width}.png"


async def mail(name: str, /, brand: MailBrand = ACME, views: str = "nowhere", **changed: Any) -> Mail:
    """Render one of them.

    Parameters:
        name: which.
        brand: whose.
        views: the application's own templates.
        **changed: variables that are different.
    """
    subject, text, data = MAILS[name]
    return await Messages(views, brand=brand).mail("alice@mail.example", gettext(subject), text, None, data | changed)

"""What a user is shown to set an authenticator app up."""

from __future__ import annotations

import re
from typing import Any, Final

import pyotp

from crossauth_backend.core.qr import QrCode, qr_code

STEP_SECONDS: Final = 30


def shown_secret(app_name: str, factor_name: str, username: str, secret: str) -> dict[str, Any]:
    """What a page or a script shows of a secret: QR code, `otpauth:` URI and text.

    Parameters:
        app_name: under what the user's application lists the account.
        factor_name: the name of the factor.
        username: whose it is.
        secret: the secret, in clear.
    """
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    uri = totp.provisioning_uri(name=_label(username), issuer_name=_label(app_name))
    code = qr_code(uri) or QrCode("", "")
    return {
        "username": username,
        "factor2": factor_name,
        "totpsecret": secret,
        "otpauthUri": uri,
        "qr": code.png,
        "qrSvg": code.svg,
    }


def _label(text: str) -> str:
    """`text` as a part of an `otpauth:` label, which a colon would end: authenticators refuse what follows then."""
    return re.sub(r"[\s:]+", " ", text).strip() or "-"

"""What a user is shown to set an authenticator application up."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any, Final

import pyotp
import segno

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
    code, svg = segno.make(uri, micro=False), BytesIO()
    code.save(svg, kind="svg", xmldecl=False, omitsize=True, svgclass="qr", lineclass=None, border=4)
    return {
        "username": username,
        "factor2": factor_name,
        "totpsecret": secret,
        "otpauthUri": uri,
        "qr": code.png_data_uri(scale=5),
        "qrSvg": svg.getvalue().decode(),
    }


def _label(text: str) -> str:
    """`text` as a part of an `otpauth:` label, which a colon would end: authenticators refuse what follows then."""
    return re.sub(r"[\s:]+", " ", text).strip() or "-"

"""What pages say of a second factor, in the factor's own words."""

from __future__ import annotations

from typing import Any

from crossauth_backend.factors.base import CodeField
from crossauth_fastapi._session.context import SessionRequest


def ask_variables(
    call: SessionRequest, factor2: str, action: str, after: str, persist: bool | None = None
) -> dict[str, Any]:
    """What the page that asks for a second factor is given."""
    return {
        **factor_variables(call, factor2),
        "action": action,
        "next": after,
        "persist": "on" if persist else "",
    }


def factor_variables(call: SessionRequest, factor2: str) -> dict[str, Any]:
    """What a page says of a second factor, in the factor's own words."""
    factor = call.ctx.manager.factors.get(factor2)
    field = factor.code_field() if factor else CodeField()
    return {
        "factor2": factor2,
        "factor2Name": factor.friendly_name if factor else factor2,
        "factor2Channel": factor.mfa_channel() if factor else "none",
        "factor2Label": field.label,
        "factor2Hint": field.hint,
        "factor2Keyboard": field.keyboard,
        "canResend": sends_codes(call, factor2),
    }


def sends_codes(call: SessionRequest, factor2: str) -> bool:
    """Whether the page of a factor has a button to send its code again."""
    factor = call.ctx.manager.factors.get(factor2)
    return factor is not None and factor.mfa_type() == "oob" and "resendcode" in call.ctx.endpoints

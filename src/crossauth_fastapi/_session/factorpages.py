"""What pages say of factors, in the factors' own words, and what is said where no code was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.accounts.code_targets import is_reachable
from crossauth_backend.accounts.codes import (
    LIMITED,
    RESEND_AFTER,
    UNREACHABLE,
    UNREACHABLE_TEXT,
    seconds_to_resend,
    sent_to,
)
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import CodeField
from crossauth_backend.users.record import User
from crossauth_fastapi._session.context import SessionContext, SessionRequest

CODE_UNSENT: Final = {
    LIMITED: mark(
        "We couldn't send a code: this account has received too many. Use a recovery code, or request a new code later."
    ),
    UNREACHABLE: UNREACHABLE_TEXT,
}


def ask_variables(
    call: SessionRequest, factor2: str, action: str, after: str, persist: bool | None = None,
    secrets: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the page that asks for a second factor is given.

    Parameters:
        call: the request.
        factor2: the factor.
        action: where its form goes.
        after: where the browser goes then.
        persist: whether the login is to outlive the browser.
        secrets: what is kept with the challenge, which says when and where a code was sent.
    """
    return {
        **factor_variables(call, factor2, secrets),
        "action": action,
        "next": after,
        "persist": "on" if persist else "",
    }


def factor_variables(call: SessionRequest, factor2: str, secrets: Mapping[str, Any] | None = None) -> dict[str, Any]:
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
        "factor2Fields": factor.setup_fields() if factor else [],
        "canResend": sends_codes(call, factor2),
        "resendIn": seconds_to_resend(secrets or {}, call.ctx.accounts.now),
        "codeSentTo": sent_to(secrets or {}),
    }


def begun_variables(call: SessionRequest, factor2: str) -> dict[str, Any]:
    """What a page says of a second factor whose set-up begins now: where it sends codes, one was sent."""
    view = factor_variables(call, factor2)
    return {**view, "resendIn": RESEND_AFTER if view["canResend"] else 0}


def unreachable_text(ctx: SessionContext, user: User) -> str | None:
    """What a user is told whose second factor has nothing to send its codes to; `None` for all others."""
    factor = ctx.manager.factors.get(user.factor2 or "")
    return None if factor is None or is_reachable(factor, user) else UNREACHABLE_TEXT


def sends_codes(call: SessionRequest, factor2: str) -> bool:
    """Whether the page of a factor has a button to send its code again."""
    factor = call.ctx.manager.factors.get(factor2)
    return factor is not None and factor.mfa_type() == "oob" and "resendcode" in call.ctx.endpoints

"""What forms hold of factors, and what pages say of them: secrets, codes and texts, as the factors of the server have them."""

from __future__ import annotations

from typing import Any, Final

from crossauth_backend.accounts.code_targets import is_reachable
from crossauth_backend.accounts.codes import LIMITED, UNREACHABLE, UNREACHABLE_TEXT
from crossauth_backend.factors.base import CodeField
from crossauth_backend.users.record import User
from crossauth_fastapi._session.context import SessionContext, SessionRequest

CODE_UNSENT: Final = {
    LIMITED: "No code was sent: too many were sent to this account. Use a recovery code, or ask for a new code later.",
    UNREACHABLE: UNREACHABLE_TEXT,
}


def secrets_of(call: SessionRequest, prefix: str = "") -> dict[str, str]:
    """The secrets in a form: the fields that some first factor stores, under `prefix`."""
    return {n: v for n in call.ctx.secret_names if (v := _secret(call, prefix, n)) is not None}


def _secret(call: SessionRequest, prefix: str, name: str) -> str | None:
    """The field of a secret: `repeat_password`, or as the specification also writes it, `repeatPassword`."""
    found = call.form.getAsStr(prefix + name)
    return call.form.getAsStr(f"repeat{name.capitalize()}") if found is None and prefix == "repeat_" else found


def code_of(call: SessionRequest) -> dict[str, str]:
    """The code in a form: the fields that some second factor reads, and a recovery code."""
    names = (*call.ctx.code_names, "token", "recovery_code")
    sent = {n: v for n in names if (v := call.form.getAsStr(n)) is not None}
    # An older name of the same field (contract 1.5).
    return {"otp": sent["token"], **sent} if "token" in sent else sent


def setup_answer_of(call: SessionRequest) -> dict[str, str]:
    """What ends the set-up of a second factor: a code, or the secrets that the user chose; see `Authenticator.setup_fields`."""
    fields = [f.name for a in call.ctx.manager.factors.values() for f in a.setup_fields()]
    names = [*fields, *(f"repeat_{name}" for name in fields)]
    return code_of(call) | {n: v for n in names if (v := call.form.getAsStr(n)) is not None}


def ask_variables(
    call: SessionRequest, factor2: str, action: str, after: str, persist: bool | None = None
) -> dict[str, Any]:
    """What the page that asks for a second factor is given; nothing where no page is asked for."""
    if not call.is_page:
        return {}
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
        "factor2Fields": factor.setup_fields() if factor else [],
        "canResend": sends_codes(call, factor2),
    }


def unreachable_text(ctx: SessionContext, user: User) -> str | None:
    """What a user is told whose second factor has nothing to send its codes to; `None` for all others."""
    factor = ctx.manager.factors.get(user.factor2 or "")
    return None if factor is None or is_reachable(factor, user) else UNREACHABLE_TEXT


def sends_codes(call: SessionRequest, factor2: str) -> bool:
    """Whether the page of a factor has a button to send its code again."""
    factor = call.ctx.manager.factors.get(factor2)
    return factor is not None and factor.mfa_type() == "oob" and "resendcode" in call.ctx.endpoints

"""Which fields of a form are secrets and codes: those that the factors of the server store and read."""

from __future__ import annotations

from crossauth_fastapi._session.context import SessionRequest


def secrets_of(call: SessionRequest, prefix: str = "") -> dict[str, str]:
    """The secrets in a form: the fields that some first factor stores, under `prefix`."""
    names = {n for a in call.ctx.manager.authenticators.values() for n in a.secret_names()} - {"totpsecret"}
    return {n: v for n in names if (v := _secret(call, prefix, n)) is not None}


def _secret(call: SessionRequest, prefix: str, name: str) -> str | None:
    """The field of a secret: `repeat_password`, or as the specification also writes it, `repeatPassword`."""
    found = call.form.getAsStr(prefix + name)
    return call.form.getAsStr(f"repeat{name.capitalize()}") if found is None and prefix == "repeat_" else found


def code_of(call: SessionRequest) -> dict[str, str]:
    """The code in a form: the fields that some second factor reads, and a recovery code."""
    names = {n for a in call.ctx.manager.authenticators.values() for n in a.transient_secret_names()}
    sent = {n: v for n in (*names, "token", "recovery_code") if (v := call.form.getAsStr(n)) is not None}
    # An older name of the same field (contract 1.5).
    return {"otp": sent["token"], **sent} if "token" in sent else sent

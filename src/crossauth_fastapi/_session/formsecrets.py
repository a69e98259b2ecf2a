"""Which fields of a form are secrets and codes: those that the factors of the server store and read."""

from __future__ import annotations

from crossauth_fastapi._session.context import SessionRequest


def secrets_of(call: SessionRequest, prefix: str = "") -> dict[str, str]:
    """The secrets in a form: the fields that some first factor stores, under `prefix`."""
    settings, manager = call.ctx.settings, call.ctx.manager
    first = {*settings.user_allowed_factor1, *settings.admin_allowed_factor1}
    second = set(manager.allowed_factor2) - first
    names = {n for name, a in manager.authenticators.items() if name not in second for n in a.secret_names()}
    return {n: v for n in names if (v := _secret(call, prefix, n)) is not None}


def setup_answer_of(call: SessionRequest) -> dict[str, str]:
    """What ends the set-up of a second factor: a code, or the secrets that the user chose; see `Authenticator.setup_fields`."""
    fields = [f.name for a in call.ctx.manager.authenticators.values() for f in a.setup_fields()]
    names = [*fields, *(f"repeat_{name}" for name in fields)]
    return code_of(call) | {n: v for n in names if (v := call.form.getAsStr(n)) is not None}


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

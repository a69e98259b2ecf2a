"""Signing up."""

from __future__ import annotations

from crossauth_backend.accounts import signup
from crossauth_backend.accounts.stages import Attempt
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_fastapi._session.actions import Action, Go, Outcome, Show
from crossauth_fastapi._session.bodies import SignupAnswer, SignupBody
from crossauth_fastapi._session.context import Call, awaited
from crossauth_fastapi._session.login import open_session, secrets_of


async def look_at_signup(call: Call) -> Show | Go:
    """The form."""
    return Show({"next": call.next_page(call.face.settings.login_redirect), **form_variables(call)})


def form_variables(call: Call) -> dict[str, object]:
    """What the form needs to know."""
    return {"allowedFactor2": [], "userEditableFields": call.face.users.user_editable_fields}


async def sign_up(call: Call) -> Outcome:
    """Create the account and log its user in."""
    face = call.face
    user = await awaited(
        face.settings.create_user_fn(
            call.request,
            {**call.form.to_dict(), "username": call.text("username")},
            list(face.users.user_editable_fields),
            list(face.settings.user_allowed_factor1),
        )
    )
    factor2 = call.text("factor2")
    if factor2 not in ("", NO_FACTOR2):
        user = {**user, "factor2": factor2}
    repeat = secrets_of(call, "repeat_") or None
    created = await signup.sign_up(face.accounts, user, secrets_of(call), repeat)
    await open_session(face, call.request, Attempt(created), call.persist())
    answer = {"ok": True, "user": face.public(created), "emailVerificationNeeded": False}
    return Outcome(answer, Go(call.next_page(face.settings.login_redirect)))


SIGNUP = Action(
    name="signup",
    summary="Sign up",
    do=sign_up,
    look=look_at_signup,
    page_option="signup_page",
    body=SignupBody,
    answer=SignupAnswer,
    echo=("next", "persist", "username", "factor1", "factor2"),
)

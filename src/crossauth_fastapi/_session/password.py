"""Changing one's password, by choice or because the account demands it."""

from __future__ import annotations

from crossauth_backend.accounts import password
from crossauth_backend.accounts.login import PASSWORD_CHANGE
from crossauth_backend.accounts.stages import Attempt
from crossauth_backend.keys.record import get_json_data
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._session.actions import Action, Go, Outcome, Show
from crossauth_fastapi._session.bodies import ChangePasswordBody, Ok
from crossauth_fastapi._session.context import Call
from crossauth_fastapi._session.login import open_session, secrets_of

CHANGED = "Your password has been changed."


def whose_password(call: Call) -> str:
    """The name of the user whose password may be changed: logged in, or sent here by a login that demanded it.

    Raises:
        CrossauthError: `Unauthorized` where there is neither.
    """
    key = call.state["session_key"]
    if call.user is None and key is not None and key.userid is None:
        forced = get_json_data(key).get(PASSWORD_CHANGE)
        if isinstance(forced, dict) and isinstance(forced.get("username"), str):
            return str(forced["username"])
    if call.user is None or call.state["auth_type"] != "cookie":
        raise LoginRequired
    return call.user.username


async def look_at_password(call: Call) -> Show | Go:
    """The form."""
    whose_password(call)
    required = call.user is None or call.request.query_params.get("required") == "true"
    return Show({"next": call.next_page(""), "required": required, "isAdmin": False})


async def change_password(call: Call) -> Outcome:
    """Check the old password, store the new one, and end every other session."""
    face, forced = call.face, call.user is None
    user = await password.change_password(
        face.accounts,
        whose_password(call),
        old=secrets_of(call, "old_"),
        new=secrets_of(call, "new_"),
        repeat=secrets_of(call, "repeat_") or None,
    )
    # Every session is gone, this one too: whoever copied its cookie is out, and the browser gets a new one.
    data = None if forced else get_json_data(call.state["session_key"])
    await open_session(face, call.request, Attempt(user, factor2_passed=not forced), False, data)
    after = call.next_page("")
    page = Go(after) if forced and after else Show({"message": CHANGED, "next": after, "required": False})
    return Outcome({"ok": True, "message": CHANGED}, page)


CHANGE_PASSWORD = Action(
    name="changepassword",
    summary="Change one's password",
    do=change_password,
    look=look_at_password,
    page_option="change_password_page",
    body=ChangePasswordBody,
    answer=Ok,
    echo=("next", "required"),
    session=True,
)

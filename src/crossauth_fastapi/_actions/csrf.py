"""When an action needs a CSRF token."""

from __future__ import annotations

from typing import Any

from crossauth_fastapi._actions.action import Action, CsrfRule
from crossauth_fastapi._actions.context import ActionRequest
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._middleware.decision import csrf_refusal


def check_csrf(action: Action[Any, Any], call: ActionRequest[Any, Any]) -> None:
    """Refuse a request that may come from another site.

    A token is needed where the browser by itself says who is asking, by a cookie; and by actions such as logging in also where
    nobody is known. Whoever is known by a header needs none: no other site can send it.

    Raises:
        CrossauthError: `InvalidCsrf`; `Unauthorized` where somebody must be logged in and there is no session at all.
    """
    auth_type = call.state["auth_type"]
    needed = auth_type == "cookie" or (auth_type is None and action.csrf is CsrfRule.ALWAYS)
    needed = needed and action.csrf is not CsrfRule.NEVER
    if not needed or call.state["csrf_token"]:
        return
    if action.session and auth_type is None:
        raise LoginRequired
    raise csrf_refusal(call.state)

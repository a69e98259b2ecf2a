"""Where the browser was going when it left for something that ends with a link in a mail.

`next` travels in the URLs and forms of our pages. A mail carries none: it may be read in another browser, going nowhere.
So the browser's own session keeps it, and the page behind the link goes on from there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from crossauth_backend.keys.data import get_json_data
from crossauth_fastapi._http.redirects import local_path
from crossauth_fastapi._session.context import SessionRequest

# In the session data that is ours.
_OURS: Final = "crossauth"
_NEXT: Final = "next"
# As long as a link to verify an address is usually good for.
_LASTS: Final = timedelta(days=1)


async def keep_next(call: SessionRequest) -> None:
    """Keep `next`, if the request says one, in the session of this browser; one that has none gets an anonymous session.

    Whoever calls this has counted the request by a limit: a session is stored for it.
    """
    ctx, after = call.ctx, call.next_page("")
    if after in ("", call.state.link(ctx.settings.login_redirect)):
        return
    stored = {"url": after, "until": int((ctx.accounts.now + _LASTS).timestamp())}
    if call.state["session_id"] is not None:
        await ctx.keep(call.request, {f"{_OURS}.{_NEXT}": stored})
        return
    key = await ctx.manager.session.create_session_key(
        None, await ctx.extra_columns(call.request), {_OURS: {_NEXT: stored}}
    )
    ctx.start_session(call.request, key, None, False)


def kept_next(call: SessionRequest) -> str:
    """Where this browser was going: what `keep_next` kept, or the sign-up that began here; empty where nothing was kept."""
    key = call.state["session_key"]
    own = get_json_data(key).get(_OURS) if key is not None else None
    if not isinstance(own, dict):
        return ""
    stored, signup = own.get(_NEXT), own.get("signup")
    if (
        isinstance(stored, dict)
        and isinstance(stored.get("until"), int)
        and stored["until"] > call.ctx.accounts.now.timestamp()
    ):
        return _path(stored.get("url"))
    return _path(signup.get("next")) if isinstance(signup, dict) and key.userid is None else ""


def _path(kept: Any) -> str:
    return local_path(kept, "") if isinstance(kept, str) else ""

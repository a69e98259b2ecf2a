"""A browser's claim to what waits in its session, see `sessions.claim`: another browser of the same session has none."""

from __future__ import annotations

from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._session.context import SessionContext


def claim_of(ctx: SessionContext, state: RequestState, name: str) -> str | None:
    """The claim of this browser to what waits in its session under `name`."""
    claims = ctx.manager.claims
    return claims.find(state.signed_value(claims.cookie), name)


def new_claim(ctx: SessionContext, state: RequestState, name: str) -> str:
    """Give this browser a claim to what is about to wait under `name`."""
    claims = ctx.manager.claims
    claim, cookie = claims.make(state.signed_value(claims.cookie), name, state.local)
    state.queue(cookie)
    return claim

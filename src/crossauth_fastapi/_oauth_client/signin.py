"""Logging in here the user whom a login at the provider belongs to, and linking accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import Request
from starlette.responses import Response

from crossauth_backend.accounts import identities as linked
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.identities import Claimed
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.oauth.client.emails import proven_email
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_backend.users.identities import check_identity, is_identity
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.accounts import AccountServices
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._http.redirects import found, local_path, with_query
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.attempts import Attempt
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.users.create import attempt_by

UNKNOWN = mark("No account here is linked to your account at the provider. Log in here, and link it.")
NO_IDENTITY = mark("The provider didn't say who logged in")


async def signed_in(
    ctx: ClientContext, request: Request, attempt: Attempt, tokens: TokenSet
) -> Response | TokenSet | None:
    """What a login at the provider does here, besides giving tokens.

    Parameters:
        ctx: the client.
        request: the request.
        attempt: the login.
        tokens: what it gave.

    Returns:
        The answer, where that is another one than a login gets; or the tokens as they are to be kept, such as those of a login
        that has opened a session here; `None` where nothing has changed about them.

    Raises:
        CrossauthError: the login is refused here.
    """
    services = ctx.accounts
    accounts = services.accounts if services is not None else None
    payload = tokens.id_payload
    if services is None or accounts is None:
        raise CrossauthError(ErrorCode.Configuration, detail="there is no session server to log in at")
    if payload is None:
        raise CrossauthError(ErrorCode.Unauthorized, NO_IDENTITY)
    accounts = replace(accounts, root_path=state_of(request).root_path)
    if attempt.purpose == "link":
        return await _link(ctx, request, services, accounts, attempt, payload)
    return await _log_in(ctx, request, services, accounts, attempt, tokens)


async def _log_in(
    ctx: ClientContext,
    request: Request,
    services: AccountServices,
    accounts: Accounts,
    attempt: Attempt,
    tokens: TokenSet,
) -> Response | TokenSet:
    payload = tokens.id_payload or {}
    # Asked first: what is unlinked from here on stays so.
    is_new = await _is_new(ctx, payload)
    user = await _account(ctx, request, accounts, payload)
    stored = replace(tokens, opened_session=True)
    keeps = ctx.options.saves_tokens
    # Where they are kept elsewhere, the session knows by whose login it was opened all the same: it may have to end with it.
    ends = ctx.options.token_response_type == "custom" or ctx.options.link_accounts
    data = ctx.tokens.entry(stored, with_tokens=keeps) if keeps or ends else None
    after = attempt.target or _after(ctx, request)
    login = attempt_by(user, payload, ctx.people.own_issuer)
    result = await services.sign_in(request, login, after, data)
    if not result.complete:
        return found(result.url)
    if is_new:
        await _remember(ctx, accounts, result.user, payload)
    return stored


async def _account(ctx: ClientContext, request: Request, accounts: Accounts, payload: Mapping[str, Any]) -> User:
    """The account that somebody who has logged in at the provider logs in to, in whatever state.

    Raises:
        CrossauthError: `Unauthorized` where there is none, and none is to be made; as `identities.sign_up`.
    """
    people, identities = ctx.people, ctx.options.identity_storage
    account = await people.accounts.find(payload) if people.accounts is not None else None
    if account is not None:
        return await accounts.user(account.id)
    claimed = claimed_in(payload)
    if not ctx.options.create_accounts or identities is None:
        raise CrossauthError(ErrorCode.Unauthorized, UNKNOWN)
    return await linked.sign_up(accounts, identities, claimed, ctx.origin(request))


async def _is_new(ctx: ClientContext, payload: Mapping[str, Any]) -> bool:
    """Whether nobody is known by issuer and subject, and somebody can be."""
    identities, iss, sub = ctx.options.identity_storage, payload.get("iss"), payload.get("sub")
    if identities is None or not is_identity(iss, sub) or iss == ctx.people.own_issuer:
        return False
    return await identities.find(str(iss), str(sub)) is None


async def _remember(ctx: ClientContext, accounts: Accounts, user: User, payload: Mapping[str, Any]) -> None:
    """Know again by issuer and subject who was found by a field: the field may be somebody else's tomorrow.

    Only whoever has logged in is: an account is linked to nobody who lacks its second factor.
    """
    if ctx.options.identity_storage is not None:
        await linked.link(accounts, ctx.options.identity_storage, user, claimed_in(payload))


async def _link(
    ctx: ClientContext,
    request: Request,
    services: AccountServices,
    accounts: Accounts,
    attempt: Attempt,
    payload: Mapping[str, Any],
) -> Response:
    """Link the account at the provider to the user who has asked for it, in the session in which that was done.

    Raises:
        CrossauthError: `Unauthorized` where that user is not logged in any more; as `identities.link`.
    """
    state, identities = state_of(request), ctx.options.identity_storage
    session = state.identities.get("session")
    user = session.user if session is not None else None
    if user is None or str(user.id) != attempt.userid or identities is None:
        raise LoginRequired
    await linked.link(accounts, identities, user, claimed_in(payload), ctx.origin(request))
    page = state.url(f"{services.context.prefix}linkedaccounts")
    return found(attempt.target or with_query(page, linked="true"))


def claimed_in(payload: Mapping[str, Any]) -> Claimed:
    """What an ID token says of an account at the provider.

    Raises:
        CrossauthError: `Unauthorized` where it does not say whose it is.
    """
    iss, sub, name = payload.get("iss"), payload.get("sub"), payload.get("preferred_username")
    try:
        check_identity(iss, sub)
    except CrossauthError as e:
        raise CrossauthError(ErrorCode.Unauthorized, NO_IDENTITY, detail=e.detail) from e
    username = name if isinstance(name, str) else ""
    return Claimed(iss=str(iss), sub=str(sub), username=username, email=proven_email(payload))


def _after(ctx: ClientContext, request: Request) -> str:
    """Where a browser goes after a login that has to wait, where it did not say: a path of this site."""
    state, requested = state_of(request), ctx.options.authorized_url
    return local_path(state.link(requested) if requested.startswith("/") else state.url(ctx.prefix + requested), "")

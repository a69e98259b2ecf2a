"""The documented ways of making a user of an ID token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.decision import SignedIn
from crossauth_backend.accounts.freshness import is_two_factor
from crossauth_backend.accounts.login import judge
from crossauth_backend.oauth.client.emails import proven_email
from crossauth_backend.users.identities import is_identity
from crossauth_backend.users.record import User, with_fields
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._middleware.claimedusers import claimed_user
from crossauth_fastapi._oauth_client.users.find import find_by_field

# The fields that a record of a user has itself.
_RECORD: Final = frozenset(User.__dataclass_fields__) - {"extra"}


async def idTokenUserCreateFn(
    id_token: dict[str, Any], user_storage: UserStorage | None, user_match_field: str, id_token_match_field: str
) -> User | None:
    """A user made of the claims alone: no account of this application, and without the rights of one.

    Parameters:
        id_token: the verified claims.
        user_storage, user_match_field, id_token_match_field: not read.
    """
    return user_of_claims(id_token)


async def mergeUserCreateFn(
    id_token: dict[str, Any], user_storage: UserStorage | None, user_match_field: str, id_token_match_field: str
) -> User | None:
    """The user in `user_storage` whose `user_match_field` equals the claim `id_token_match_field`, with the claims added.

    Whoever may choose that claim at the issuer can be any user here. As `email` it counts only where the issuer has verified the
    address and the account has too.

    Parameters:
        id_token: the verified claims.
        user_storage: where users are.
        user_match_field: a field of users.
        id_token_match_field: a claim.

    Returns:
        The user; `None` where there is none, or the account's state or a second factor keeps the ID token from being enough.
    """
    found = await _stored(id_token, user_storage, user_match_field, id_token_match_field)
    return None if found is None else merged(found, id_token)


async def embedUserCreateFn(
    id_token: dict[str, Any], user_storage: UserStorage | None, user_match_field: str, id_token_match_field: str
) -> User | None:
    """As `mergeUserCreateFn`, with the claims in the user's field `id_token`."""
    found = await _stored(id_token, user_storage, user_match_field, id_token_match_field)
    return None if found is None else embedded(found, id_token)


def user_of_claims(payload: Mapping[str, Any], own_issuer: str | None = None) -> User | None:
    """A user made of the claims of an ID token alone; `None` where they do not say whose it is.

    Its `username` is the subject. The claims are there as further fields, but for those that a user record has itself.

    Parameters:
        payload: the verified claims.
        own_issuer: the issuer whose subjects are ids of users here.
    """
    iss, sub = payload.get("iss"), payload.get("sub")
    if not isinstance(iss, str) or not isinstance(sub, str) or not is_identity(iss, sub) or not sub.isprintable():
        return None
    further = {name: value for name, value in payload.items() if name not in _RECORD}
    issuer = None if iss == own_issuer else iss
    return claimed_user(payload, sub, issuer, email=proven_email(payload), extra=further)


def merged(user: User, payload: Mapping[str, Any]) -> User:
    """`user` with the claims as further fields. What the user's record says stays: a claim changes nothing of it."""
    known = user.to_dict()
    return with_fields(user, {name: value for name, value in payload.items() if name not in known})


def embedded(user: User, payload: Mapping[str, Any]) -> User:
    """`user` with the claims as `id_token`."""
    return with_fields(user, {"id_token": dict(payload)})


def attempt_by(user: User, payload: Mapping[str, Any], own_issuer: str | None = None) -> Attempt:
    """A login by an ID token, as the stages of a login are given it.

    How somebody has proven to another issuer who it is counts for nothing here but the first factor. Only the application's own
    issuer asks for the second factor of the same account.

    Parameters:
        user: the account.
        payload: the verified claims.
        own_issuer: the application's own issuer.
    """
    amr = payload.get("amr")
    methods = tuple(name for name in amr if isinstance(name, str)) if isinstance(amr, list) else ()
    if own_issuer is None or payload.get("iss") != own_issuer:
        return Attempt(user)
    return Attempt(user, methods, factor2_passed=is_two_factor(methods))


def may_stand_for(
    user: User, payload: Mapping[str, Any], own_issuer: str | None = None, factor2_needed: bool = False
) -> bool:
    """Whether an ID token is enough to act as an account: no stage of a login would refuse it, or ask for more.

    Parameters:
        user: the account.
        payload: the verified claims.
        own_issuer: the application's own issuer.
        factor2_needed: whether the user has to have a second factor.
    """
    attempt = replace(attempt_by(user, payload, own_issuer), factor2_needed=factor2_needed)
    return isinstance(judge(attempt), SignedIn)


async def _stored(payload: Mapping[str, Any], storage: UserStorage | None, user_field: str, claim: str) -> User | None:
    found = None if storage is None else await find_by_field(storage, payload, user_field, claim)
    return found if found is not None and may_stand_for(found, payload) else None

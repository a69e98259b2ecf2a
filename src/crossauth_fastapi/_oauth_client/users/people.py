"""Who an ID token stands for, as the options of a client say; what is wrong with them is found at the start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.users.identities import IdentityStorage, SupportsUserCheck
from crossauth_backend.users.matchfields import match_field_problems
from crossauth_backend.users.record import User
from crossauth_backend.users.states import refusal
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._oauth_client.options import ClientServerSettings, wrong
from crossauth_fastapi._oauth_client.users.create import embedded, may_stand_for, merged, user_of_claims
from crossauth_fastapi._oauth_client.users.find import EMAIL, AccountFinder

logger = logging.getLogger("crossauth.oauth")
_STORED: Final[Mapping[str, Callable[[User, Mapping[str, Any]], User]]] = {"merge": merged, "embed": embedded}
# What the documented defaults are; on their own they find nobody.
_FIELD, _CLAIM = "username", "sub"


def _needs_none(user: User) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Makes users of ID tokens.

    Parameters:
        kind: the option `user_creation_type`.
        accounts: finds accounts; `None` where there are none.
        own_issuer: the application's own issuer.
        required: whether an ID token without an account is nobody's, with `merge` and `embed`.
        create: the option `user_creation_fn`.
        fields: what it is given besides: `user_match_field` and `id_token_match_field`.
        needs_factor2: whether a user has to have a second factor.
    """

    kind: str
    accounts: AccountFinder | None
    own_issuer: str | None
    required: bool = True
    create: Callable[..., Any] | None = None
    fields: tuple[str, str] = (_FIELD, _CLAIM)
    needs_factor2: Callable[[User], bool] = _needs_none

    async def user(self, payload: Mapping[str, Any]) -> User | None:
        """The user that an ID token stands for; `None` where it is nobody, or the account may not be used like that.

        Parameters:
            payload: the verified claims.

        Raises:
            CrossauthError: a storage does not answer; `Configuration` for what `user_creation_fn` returns.
        """
        if self.kind == "custom":
            return await self._created(payload)
        make = _STORED.get(self.kind)
        if make is None:
            return user_of_claims(payload, self.own_issuer)
        found = await self.accounts.find(payload) if self.accounts is not None else None
        if found is not None:
            enough = may_stand_for(found, payload, self.own_issuer, self.needs_factor2(found))
            return make(found, payload) if enough else None
        return None if self.required else user_of_claims(payload, self.own_issuer)

    async def _created(self, payload: Mapping[str, Any]) -> User | None:
        storage = self.accounts.storage if self.accounts is not None else None
        assert self.create is not None, "the start has seen to it"
        user = await call_hook(self.create, dict(payload), storage, *self.fields)
        if user is not None and not isinstance(user, User):
            raise CrossauthError(
                ErrorCode.Configuration,
                detail=f"option 'user_creation_fn': the function must return a User or None, not {type(user).__name__}",
            )
        return None if user is None or refusal(user.state) is not None else user


def people_of(settings: ClientServerSettings, issuer: str, users: UserStorage | None, login: Accounts | None) -> People:
    """Put it together.

    Parameters:
        settings: the options of the client.
        issuer: its issuer.
        users: where users are; `None` where nowhere.
        login: the accounts of the session server; `None` where there is none.

    Raises:
        CrossauthError: `Configuration`.
    """
    identities: IdentityStorage | None = settings.identity_storage
    _check_kind(settings, users)
    _check_logins(settings, users, login is not None)
    if identities is not None and users is not None and isinstance(identities, SupportsUserCheck):
        for problem in identities.unfit_users(users):
            raise wrong(f"option 'identity_storage': {problem}")
    own, field, claim = settings.oauth_issuer, settings.user_match_field, settings.id_token_match_field
    by_fields = settings.matches_by_fields and settings.user_creation_type != "custom"
    if by_fields or (settings.local_login and settings.matches_by_fields):
        _check_fields(settings, users)
        if issuer != own:
            logger.warning(
                "ID tokens of %s name users here by %r, which equals %r: whoever may choose it there can be any of them",
                issuer, claim, field,
            )  # fmt: skip
    finder = None
    if users is not None:
        named = (field, claim) if settings.matches_by_fields else (None, None)
        finder = AccountFinder(
            storage=users, identities=identities, own_issuer=own, field=named[0], claim=named[1]
        )  # fmt: skip
    return People(
        kind=settings.user_creation_type, accounts=finder, own_issuer=own, required=settings.require_local_account,
        create=settings.user_creation_fn, fields=(field or _FIELD, claim or _CLAIM),
        needs_factor2=_needs_none if login is None else login.needs_factor2,
    )  # fmt: skip


def _check_kind(settings: ClientServerSettings, users: UserStorage | None) -> None:
    kind = settings.user_creation_type
    if (kind == "custom") != (settings.user_creation_fn is not None):
        raise wrong(
            "option 'user_creation_fn' is needed with 'user_creation_type' \"custom\", and has no effect without"
        )
    if kind in _STORED and users is None:
        raise wrong(f"option 'user_creation_type': {kind!r} needs option 'user_storage'")
    if kind in _STORED and not _can_match(settings):
        raise wrong(
            f"option 'user_creation_type': {kind!r} needs a way to tell whose account an ID token is: 'oauth_issuer', the issuer "
            "whose 'sub' is the id of a user; 'identity_storage', which keeps whose accounts are linked; or both "
            "'user_match_field' and 'id_token_match_field'"
        )
    one = "user_match_field" if settings.user_match_field is not None else "id_token_match_field"
    if kind != "custom" and not settings.matches_by_fields and getattr(settings, one) is not None:
        raise wrong(f"option {one!r} has no effect alone: name both 'user_match_field' and 'id_token_match_field'")


def _check_logins(settings: ClientServerSettings, users: UserStorage | None, has_login: bool) -> None:
    for name in ("local_login", "link_accounts"):
        if getattr(settings, name) and (not has_login or users is None):
            raise wrong(f"option {name!r} needs a session server with a user storage")
    if settings.local_login and not _can_match(settings):
        raise wrong(
            "option 'local_login' needs a way to tell whose account an ID token is: 'identity_storage', 'oauth_issuer', or both "
            "'user_match_field' and 'id_token_match_field'"
        )
    if settings.link_accounts and settings.identity_storage is None:
        raise wrong("option 'link_accounts' needs option 'identity_storage', such as SqlAlchemyIdentityStorage")
    if settings.create_accounts and not (settings.local_login and settings.identity_storage is not None):
        raise wrong("option 'create_accounts' needs options 'local_login' and 'identity_storage'")


def _can_match(settings: ClientServerSettings) -> bool:
    known = settings.oauth_issuer is not None or settings.identity_storage is not None
    return known or settings.matches_by_fields


def _check_fields(settings: ClientServerSettings, users: UserStorage | None) -> None:
    field, claim = settings.user_match_field or "", settings.id_token_match_field or ""
    if users is None:
        raise wrong("option 'user_match_field' needs option 'user_storage'")
    for problem in match_field_problems(users, field):
        raise wrong(f"option 'user_match_field': {problem}")
    if field == EMAIL and claim != EMAIL:
        raise wrong(
            "option 'id_token_match_field' must be 'email' where 'user_match_field' is: only of that claim it is "
            "known whether the address is verified"
        )
    if claim == EMAIL:
        # An address counts only where the account has verified it, too.
        for problem in match_field_problems(users, EMAIL):
            raise wrong(f"option 'id_token_match_field': {problem}")

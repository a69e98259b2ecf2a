"""Making, sending and taking tokens by email."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import read_options
from crossauth_backend.core.secrets import random_value
from crossauth_backend.core.text import same_mailbox, with_slashes
from crossauth_backend.core.texts import gettext
from crossauth_backend.delivery.durations import duration_text
from crossauth_backend.delivery.lines import one_line
from crossauth_backend.delivery.mailer import Message, mail_message, send_mail
from crossauth_backend.delivery.messages import Messages
from crossauth_backend.delivery.options import make_mailer
from crossauth_backend.delivery.queue import DeliveryQueue
from crossauth_backend.email_tokens import subjects
from crossauth_backend.email_tokens.draft import Draft
from crossauth_backend.email_tokens.options import TokenEmailerOptions, TokenEmailerSettings, mail_brand
from crossauth_backend.email_tokens.rules import (
    BAD_LINK,
    EXPIRED_LINK,
    MAX_SHOWN,
    TOKEN_BYTES,
    EmailToken,
    can_reset,
    contact_address,
    decode,
    encode,
    has_expired,
    is_named_for_mailbox,
    is_verified,
    is_verified_address,
    is_void,
    name_in_mail,
    stored_value,
)
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, SupportsTake
from crossauth_backend.users.credentials import credential_stamp
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User, UserAndSecrets, UserId
from crossauth_backend.users.rules import name_for_strangers, valid_email
from crossauth_backend.users.stamp import same_stamp
from crossauth_backend.users.states import UNFINISHED
from crossauth_backend.users.storage import UserStorage

_ANY: Final[Any] = {"skip_active_check": True, "skip_email_verified_check": True}
# The name under which the delivery queue knows what sends these.
CHANNEL: Final = "mail"
# Counts a message to an email address; whether it is within the limit of that mailbox.
CountMail: TypeAlias = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Verification:
    """A token that came back: what it was made for, whose it is, and whether its address is verified already."""

    token: EmailToken
    found: UserAndSecrets
    already: bool = False


class TokenEmailer:
    """Sends links that verify an email address, and takes the tokens in them.

    A token is 256 random bits, stored as a hash, good once and for one purpose. Everything is made and sent in the background,
    and counted there, by the mailbox it goes to. What is over the limit is not sent; no answer says so, for it would say who has
    an account.

    Parameters:
        user_storage: where users are.
        key_storage: where tokens are kept.
        options: see `TokenEmailerOptions`.
        queue: what sends in the background; its own where none is given.
        clock: what time it is.
        count_mail: counts each message; without it there is no limit.

    Raises:
        CrossauthError: `Configuration` without a `site_url`, without anything that sends, or where a template is missing.
    """

    def __init__(
        self,
        user_storage: UserStorage,
        key_storage: KeyStorage,
        options: TokenEmailerOptions | TokenEmailerSettings,
        queue: DeliveryQueue | None = None,
        clock: Clock = utc_now,
        count_mail: CountMail | None = None,
    ) -> None:
        component = type(self).__name__
        if not isinstance(options, TokenEmailerSettings):
            options = read_options(TokenEmailerSettings, options, component=component)
        self.settings = options
        mailer = make_mailer(options, component)
        if mailer is None:
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{component}: email needs option 'smtp_host' and 'email_from', or 'mailer' (in development an Outbox)",
            )
        if not options.site_url:
            raise CrossauthError(ErrorCode.Configuration, f"{component}: email needs option 'site_url' for its links")
        if not isinstance(key_storage, SupportsTake):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{component}: {type(key_storage).__name__} cannot take single-use keys: it needs the method `take_key`",
            )
        self.mailer = mailer
        self.queue = queue or DeliveryQueue()
        self.messages = Messages(options.views, options.render, mail_brand(options, component))
        self.queue.add_channel(CHANNEL, partial(send_mail, mailer))
        for name in (f"{kind}_{part}_body" for kind in subjects.DEFAULTS for part in ("text", "html")):
            self.messages.check(getattr(options, name), name)
        self._users, self._keys, self._take = user_storage, key_storage, key_storage.take_key
        self._clock, self._count_mail = clock, count_mail
        self._site = {"siteUrl": options.site_url.rstrip("/"), "prefix": with_slashes(options.prefix)}

    @property
    def verification_lasts(self) -> timedelta:
        """How long a link to verify an address is good."""
        return timedelta(seconds=self.settings.verify_email_expires)

    def at(self, root_path: str) -> TokenEmailer:
        """This, for an application that is mounted, or behind a prefix: links begin with `site_url` and the root path.

        A `site_url` with a path of its own says where the application is, and is used as it is.

        Parameters:
            root_path: the root path of the request, as ASGI says it; empty where there is none.
        """
        if not root_path or urlsplit(self._site["siteUrl"]).path:
            return self
        there = copy(self)
        there._site = {**self._site, "siteUrl": self._site["siteUrl"] + root_path}
        return there

    def send_email_verification_token(
        self,
        userid: UserId,
        new_email: str = "",
        extra_data: Mapping[str, Any] | None = None,
        *,
        stamp: str | None = None,
    ) -> None:
        """Send a link that verifies the user's address, or the address `new_email` that the user wants.

        An address that another account has gets a note about that account instead, to where that account's mail goes: the
        answer to whoever asked is the same.

        Parameters:
            userid: whose address it is, or will be.
            new_email: the address that the user wants instead.
            extra_data: further variables for the templates.
            stamp: the security stamp of the user as whoever asks has read it. The link rests on it, and is not sent where the
                user has another one by now.
        """
        self._put(partial(self._verification, userid, new_email, dict(extra_data or {}), stamp))

    def send_password_reset_token(
        self, email: str, extra_data: Mapping[str, Any] | None = None, *, always: bool = True
    ) -> None:
        """Send a link to choose a new password to the account of this address; to nobody where there is none.

        It goes to the stored address, never to the one that was typed, which may only look like it.

        Parameters:
            email: the address.
            extra_data: further variables for the templates.
            always: whether it is sent beyond the limit of the mailbox too; what asks for it is counted then.
        """
        self._put(partial(self._reset, email, dict(extra_data or {}), always))

    def send_account_exists(self, email: str, counted: bool = False) -> None:
        """Tell the owner of an address that somebody tried to sign up with it.

        Parameters:
            email: where that account's mail goes.
            counted: whether the message in whose place it goes was counted.
        """
        self._put(partial(self._account_exists, email, counted))

    def send_name_taken(self, email: str) -> None:
        """Tell the owner of an address, with which somebody tried to sign up, that an account with another has it as username.

        Parameters:
            email: the address.
        """
        self._put(partial(self._note, email, subjects.NAME_TAKEN, "nametakenbody.jinja2", dict(self._site)))

    def send_change_notice(self, user: User, old_email: str, changed: bool) -> None:
        """Tell the old address that it was changed, or is asked to be."""
        data = {**self._site, "username": name_in_mail(user, old_email), "changed": changed}
        subject = subjects.ADDRESS_CHANGED if changed else subjects.ADDRESS_CHANGE
        self._put(partial(self._note, old_email, subject, "emailchangenoticebody.jinja2", data, always=True))

    def send_note(
        self, user: User, subject: str, template: str, data: Mapping[str, Any], chosen: tuple[str, ...] = ()
    ) -> None:
        """Tell a user of something that was done to the account; whoever has no address is told nothing.

        Parameters:
            user: whose account.
            subject: of the mail, see `subjects`.
            template: of its text.
            data: variables for the template.
            chosen: those that whoever did it could choose: where the address is not verified, a stranger may be sent them.
        """
        address = contact_address(user)
        if address is None:
            return
        known = is_verified_address(user, address)
        shorter = {name: one_line(data[name], MAX_SHOWN) for name in chosen}
        safe = {name: text if known else name_for_strangers(text) for name, text in shorter.items()}
        data = {**self._site, "username": name_in_mail(user, address), **data, **safe}
        self._put(partial(self._note, address, subject, template, data, always=known))

    async def check_password_reset_token(self, token: str) -> User:
        """The user for whom a token is good, without using it up.

        Raises:
            CrossauthError: `InvalidKey`, `Expired`, or `UserNotActive` where the account's state forbids a reset.
        """
        key = await self._keys.get_key(stored_value(KeyPrefix.password_reset_token, token))
        return await self._user_for_reset(key)

    async def take_password_reset_token(self, token: str) -> User:
        """As `check_password_reset_token`, and the token is used up: of any number of calls at once one gets it."""
        return await self._user_for_reset(await self._take(stored_value(KeyPrefix.password_reset_token, token)))

    async def check_email_verification_token(self, token: str) -> Verification:
        """What a token would verify; it stays good.

        Raises:
            CrossauthError: `InvalidKey` where there is no such token, or it is void; `Expired`.
        """
        key = await self._keys.find_key(stored_value(KeyPrefix.email_verification_token, token))
        if key is None:
            raise CrossauthError(ErrorCode.InvalidKey, BAD_LINK)
        made_for = decode(key)
        try:
            found = await self._users.get_user_by_id(made_for.userid, _ANY)
        except CrossauthError as e:
            raise CrossauthError(ErrorCode.InvalidKey, BAD_LINK) from e
        used = key.consumed is not None or is_void(made_for, found, self._users.credentials)
        if used and is_verified(made_for, found.user):
            return Verification(made_for, found, already=True)
        if has_expired(key, self._clock()):
            raise CrossauthError(ErrorCode.Expired, EXPIRED_LINK)
        if used:
            raise CrossauthError(ErrorCode.InvalidKey, BAD_LINK)
        return Verification(made_for, found)

    async def consume_email_verification_token(self, token: str) -> None:
        """Use a token up. What it leaves is known again, so that a second click is told that the address is verified."""
        await self._keys.consume_key(stored_value(KeyPrefix.email_verification_token, token), self._clock())

    async def create_and_save_password_reset_token(self, userid: UserId) -> str:
        """A token for a password reset, as the link would carry it."""
        found = await self._users.get_user_by_id(userid, _ANY)
        token = EmailToken(
            found.user.id, contact_address(found.user) or "", stamp=credential_stamp(found, self._users.credentials)
        )
        return await self._save(KeyPrefix.password_reset_token, token, self.settings.password_reset_expires)

    async def create_and_save_email_verification_token(self, userid: UserId, new_email: str = "") -> str:
        """A token that verifies an address, as the link would carry it."""
        return await self._verification_token(await self._users.get_user_by_id(userid, _ANY), new_email)

    async def _verification_token(self, found: UserAndSecrets, new_email: str) -> str:
        token = EmailToken(
            found.user.id,
            new_email or contact_address(found.user) or "",
            new_email,
            credential_stamp(found, self._users.credentials),
        )
        return await self._save(KeyPrefix.email_verification_token, token, self.settings.verify_email_expires)

    async def _user_for_reset(self, key: Key) -> User:
        made_for = decode(key)
        if has_expired(key, self._clock()):
            raise CrossauthError(ErrorCode.Expired, EXPIRED_LINK)
        found = await self._users.get_user_by_id(made_for.userid, _ANY)
        if not can_reset(found.user):
            raise CrossauthError(ErrorCode.UserNotActive)
        if is_void(made_for, found, self._users.credentials):
            raise CrossauthError(ErrorCode.InvalidKey, BAD_LINK)
        return found.user

    async def _save(self, prefix: str, token: EmailToken, seconds: int) -> str:
        value, now = random_value(TOKEN_BYTES), self._clock()
        await self._keys.save_key(
            token.userid, stored_value(prefix, value), now, now + timedelta(seconds=seconds), encode(token)
        )
        return value

    async def _note(
        self, to: str, subject: str, template: str, data: dict[str, Any], *, always: bool = False, counted: bool = False
    ) -> Draft:
        async def make() -> Message:
            return mail_message(CHANNEL, await self.messages.mail(to, gettext(subject), template, None, data))

        return Draft(to, make, always, counted)

    async def _reset(self, email: str, extra: dict[str, Any], always: bool) -> Draft | None:
        user = await self.owner_of(email) or await self._signup_of(email)
        address = None if user is None else contact_address(user)
        if user is None or address is None or not can_reset(user):
            return None

        async def make() -> Message:
            token = await self.create_and_save_password_reset_token(user.id)
            return await self._with_link("password_reset", user, address, token, extra)

        return Draft(address, make, always)

    async def _verification(
        self, userid: UserId, new_email: str, extra: dict[str, Any], stamp: str | None
    ) -> Draft | None:
        found = await self._users.get_user_by_id(userid, _ANY)
        user = found.user
        if stamp is not None and not same_stamp(stamp, credential_stamp(found, self._users.credentials)):
            return None
        address = new_email or contact_address(user)
        if address is None:
            return None
        owner = await self.owner_of(address)
        if owner is not None and owner.id != user.id:
            # To where the owner's mail goes, whatever was typed.
            return await self._account_exists(contact_address(owner) or address)

        async def make() -> Message:
            token = await self._verification_token(found, new_email)
            return await self._with_link("email_verification", user, address, token, extra)

        return Draft(address, make)

    async def _with_link(self, kind: str, user: User, to: str, token: str, extra: dict[str, Any]) -> Message:
        s = self.settings
        own, text, html = (getattr(s, f"{kind}_{part}") for part in ("subject", "text_body", "html_body"))
        seconds = s.verify_email_expires if kind == "email_verification" else s.password_reset_expires
        ends = self._clock() + timedelta(seconds=seconds)
        times = {"expires": f"{ends:%d %B %Y, %H:%M} UTC", "lasts": duration_text(seconds)}
        data = {"username": name_in_mail(user, to), **extra, **self._site, "token": token, **times}
        mail = await self.messages.mail(to, own or gettext(subjects.DEFAULTS[kind]), text, html, data)
        return mail_message(CHANNEL, mail, ends)

    async def _account_exists(self, email: str, counted: bool = False) -> Draft:
        # Only to the account's own mailbox goes its name.
        owner = await self.owner_of(email)
        data = {**self._site, "username": None if owner is None else name_in_mail(owner, email)}
        return await self._note(email, subjects.ACCOUNT_EXISTS, "accountexistsbody.jinja2", data, counted=counted)

    async def owner_of(self, email: str) -> User | None:
        """The account that has this address, as email address or as a username that is one.

        A sign-up that is not finished has none, whatever address it waits for.
        """
        for find in (self._users.get_user_by_email, self._users.get_user_by_username):
            found = await or_none(find(email, _ANY))
            if found is None or found.user.state in UNFINISHED:
                continue
            if same_mailbox(contact_address(found.user) or "", email):
                return found.user
        return None

    async def _signup_of(self, email: str) -> User | None:
        """The sign-up that is not finished and is named for this mailbox."""
        found = await or_none(self._users.get_user_by_username(email, _ANY))
        if found is None or not is_named_for_mailbox(found.user) or not same_mailbox(found.user.username, email):
            return None
        return found.user

    def _put(self, draft: Callable[[], Awaitable[Draft | None]]) -> None:
        """The way of every message: it is counted by where it goes, and then made and sent."""

        async def job() -> Message | None:
            found = await draft()
            if found is None:
                return None
            within = found.counted or self._count_mail is None or await self._count_mail(found.to)
            return await found.make() if within or found.always else None

        self.queue.put(job)

    @staticmethod
    def validate_email(email: str) -> str:
        """`email` in normal form; raises `InvalidEmail`."""
        return valid_email(email)

"""Looking after API keys: the same handlers for users and for administrators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from crossauth_backend.api_keys.manager import Default
from crossauth_backend.api_keys.record import ApiKey
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens import subjects
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._api_keys.bodies import (
    AdminCreateApiKeyBody,
    CreateApiKeyBody,
    RenameApiKeyBody,
    RevokeApiKeyBody,
    RotateApiKeyBody,
)
from crossauth_fastapi._api_keys.context import ApiKeyContext, KeyRequest, Owner, Whose
from crossauth_fastapi._api_keys.views import SCOPE_FIELD, key_json, key_variables, list_variables

RENAMED: Final = mark("The API key has been renamed.")
REVOKED: Final = mark("The API key has been revoked. Requests with it are refused from now on.")
ALL_REVOKED: Final = mark("All API keys have been revoked. Requests with them are refused from now on.")


@dataclass(frozen=True, slots=True)
class KeyHandlers:
    """The handlers of all actions on somebody's keys.

    Parameters:
        whose: whose keys a request is about, and whether whoever asks may see them.
        careful: whether every change needs a recent login, and not only one that hands out a key.
    """

    whose: Whose
    careful: bool

    async def get_list_page(self, call: KeyRequest) -> Page | Redirect:
        """The keys, and the form for a new one."""
        owner = await self.whose(call)
        return Page(list_variables(call, owner, await _list(call, owner)))

    async def get_list_json(self, call: KeyRequest) -> Outcome:
        """The keys, as JSON."""
        owner = await self.whose(call)
        return Outcome({"ok": True, "apiKeys": [key_json(key) for key in await _list(call, owner)]}, Page())

    async def create(self, call: KeyRequest) -> Outcome:
        """Create a key, and show its text this once."""
        owner = await self._handing_out(call)
        body: CreateApiKeyBody = call.body
        limit = None
        if isinstance(body, AdminCreateApiKeyBody):
            limit = _limit(body.limit_requests, body.limit_seconds)
        made = await call.ctx.manager.create_key(
            body.name, owner.user.id, expiry=_expiry(call, body.expiry), scope=_scopes(call, body.scope), limit=limit,
            by=owner.by,
        )  # fmt: skip
        _send_notice(call, owner, made.key, replaced=False)
        keys = await _list(call, owner)
        view = {
            **list_variables(call, owner, keys),
            "newKey": made.token,
            "newName": made.key.name,
            "chosenScopes": [],
        }
        return Outcome({"ok": True, "apiKey": key_json(made.key), "token": made.token}, Page(view))

    async def get_key_page(self, call: KeyRequest) -> Page | Redirect:
        """One key, and what can be done with it."""
        owner = await self.whose(call)
        id = call.form.getAsStr("key") or call.request.query_params.get("key", "")
        return Page(key_variables(call, owner, await _find(call, owner, id)))

    async def rename(self, call: ActionRequest[ApiKeyContext, RenameApiKeyBody]) -> Outcome:
        """Give a key another name."""
        owner, body = await self._changing(call), call.body
        with _not_found():
            key = await call.ctx.manager.rename_key(owner.user.id, body.key, body.name)
        view = {**key_variables(call, owner, key), "message": RENAMED}
        return Outcome({"ok": True, "apiKey": key_json(key), "message": RENAMED}, Page(view))

    async def rotate(self, call: ActionRequest[ApiKeyContext, RotateApiKeyBody]) -> Outcome:
        """Give a key another text, and show it this once."""
        owner, body = await self._handing_out(call), call.body
        with _not_found():
            made = await call.ctx.manager.rotate_key(owner.user.id, body.key, body.overlap, owner.by)
        _send_notice(call, owner, made.key, replaced=True)
        view = {**key_variables(call, owner, made.key), "newKey": made.token, "newName": made.key.name}
        return Outcome({"ok": True, "apiKey": key_json(made.key), "token": made.token}, Page(view))

    async def revoke(self, call: ActionRequest[ApiKeyContext, RevokeApiKeyBody]) -> Outcome:
        """Revoke the key that `key` names, or with `all` every one."""
        owner, body = await self._changing(call), call.body
        if body.all:
            await call.ctx.manager.revoke_all(owner.user.id, owner.by)
        elif body.key:
            with _not_found():
                await call.ctx.manager.revoke_key(owner.user.id, body.key, owner.by)
        else:
            raise CrossauthError(ErrorCode.BadRequest, mark("Choose a key, or all keys"))
        left = await _list(call, owner)
        message = ALL_REVOKED if body.all else REVOKED
        answer = {"ok": True, "message": message, "apiKeys": [key_json(key) for key in left]}
        view = {**list_variables(call, owner, left), "message": message}
        return Outcome(answer, Page(view, "api_keys_page"))

    async def _changing(self, call: KeyRequest) -> Owner:
        return await self._handing_out(call) if self.careful else await self.whose(call)

    async def _handing_out(self, call: KeyRequest) -> Owner:
        """Whose key is made: a stolen session must not make one that outlives it."""
        owner = await self.whose(call)
        await call.ctx.accounts.require_recent_login(call, owner.who)
        return owner


async def _list(call: KeyRequest, owner: Owner) -> list[ApiKey]:
    return await call.ctx.manager.list_keys(owner.user.id)


async def _find(call: KeyRequest, owner: Owner, id: str) -> ApiKey:
    """The newest text of a key.

    Raises:
        CrossauthError: `BadRequest` (404) where the user has no such key.
    """
    found = [key for key in await _list(call, owner) if key.id == id]
    if not found:
        raise _no_such_key()
    return next((key for key in found if key.replaced_until is None), found[0])


def _send_notice(call: KeyRequest, owner: Owner, key: ApiKey, *, replaced: bool) -> None:
    """Mail the user, where mail is configured: a stolen login must not leave a key behind that nobody knows of."""
    emails = call.ctx.accounts.emails(call.state.root_path)
    if emails is not None:
        subject = subjects.KEY_REPLACED if replaced else subjects.KEY_CREATED
        data = {"name": key.name, "replaced": replaced}
        # Whoever made the key chose the name.
        emails.send_note(owner.user, subject, "apikeynoticebody.jinja2", data, chosen=("name",))


def _no_such_key() -> CrossauthError:
    return CrossauthError(
        ErrorCode.BadRequest,
        mark("This API key doesn't exist. It may have been revoked or may have expired."),
        status=404,
    )


@contextmanager
def _not_found() -> Iterator[None]:
    """Answer 404 for a key that is not there: 401 would say that nobody is logged in."""
    try:
        yield
    except CrossauthError as e:
        if e.code not in (ErrorCode.InvalidKey, ErrorCode.Expired):
            raise
        raise _no_such_key() from e


def _expiry(call: KeyRequest, seconds: int | None) -> int | Default | None:
    """The lifetime of a new key in seconds; `None` for ever.

    Raises:
        CrossauthError: `BadRequest` for one that is not allowed.
    """
    longest = call.ctx.options.max_expiry
    if seconds is None:
        return Default.expiry
    if longest is not None and not 0 < seconds <= longest:
        raise CrossauthError(ErrorCode.BadRequest, f"'expiry' must be from 1 to {longest} seconds")
    return seconds or None


def _scopes(call: KeyRequest, text: str | None) -> list[str] | None:
    """The scopes of a new key: those of the field `scope`, and the boxes that were ticked.

    Raises:
        CrossauthError: `InvalidScope` for one that is not offered.
    """
    offered = call.ctx.options.scopes
    ticked = [scope for scope in offered if call.form.getAsBool(f"{SCOPE_FIELD}{scope}")]
    requested = list(dict.fromkeys([*(text or "").split(), *ticked]))
    unknown = [scope for scope in requested if scope not in offered]
    if unknown:
        names = ", ".join(offered) or "none"
        raise CrossauthError(
            ErrorCode.InvalidScope, mark("An API key can't have this scope. Choose from: %(names)s", names=names)
        )
    return requested or None


def _limit(requests: int | None, seconds: int | None) -> tuple[int, int] | None:
    """The limit of a new key.

    Raises:
        CrossauthError: `BadRequest` where half of it is missing.
    """
    if requests is None and seconds is None:
        return None
    if requests is None or seconds is None:
        raise CrossauthError(ErrorCode.BadRequest, mark("A limit needs both 'limit_requests' and 'limit_seconds'"))
    return requests, seconds

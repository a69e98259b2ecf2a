"""Accounts at providers that a user may log in with: the list, linking one more, and unlinking one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from crossauth_backend.accounts import identities as linked
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_backend.users.identities import Identity, IdentityStorage, handle_of
from crossauth_fastapi._actions.accounts import AccountServices
from crossauth_fastapi._actions.action import Action, Group, StepUp
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._actions.forms import AsSent, CheckedLater, CsrfBody, Ok
from crossauth_fastapi._actions.outcome import Outcome, Page, Redirect
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._http.openapi import TITLED
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._oauth_client.authzcode import begin
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.logout_markers import mark_unlinked

GROUP: Final = Group("linked_accounts", "Accounts at providers")
TEMPLATE: Final = "linkedaccounts.jinja2"
LINKED: Final = mark("The account has been linked. You can log in with it from now on.")
UNLINKED: Final = mark("The account has been unlinked. It can no longer be used to log in.")
_PASSWORD: Final = "Your own, where you logged in some time ago."


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksContext(ActionContext):
    """The clients whose accounts can be linked, and the session server whose users do so.

    Parameters:
        services: the session server.
        clients: the clients; each adds itself.
    """

    services: AccountServices
    clients: list[ClientContext]

    @property
    def accounts(self) -> Accounts:
        """The account services, which write links as this request's browser has to."""
        found = self.services.accounts
        assert found is not None, "a client without users links none"
        return replace(found, root_path=self.root_path)

    @property
    def storages(self) -> list[IdentityStorage]:
        """Where the accounts are kept, each once."""
        return list({id(s): s for client in self.clients if (s := client.options.identity_storage)}.values())

    def changed_csrf_token(self, state: RequestState) -> str | None:
        """See `ActionContext.changed_csrf_token`."""
        return self.services.context.changed_csrf_token(state)


class UnlinkBody(CsrfBody):
    """Unlinking an account."""

    account: CheckedLater = Field(description="The account, by the `account` that the list gives it.")
    password: AsSent = Field(None, description=_PASSWORD)


class LinkBody(CsrfBody):
    """Linking an account at a provider."""

    client: str | None = Field(None, description="The provider, by the `client` that the list gives it, of several.")
    password: AsSent = Field(None, description=_PASSWORD)


class LinkedAccount(BaseModel):
    """An account at a provider."""

    model_config = TITLED
    account: str = Field(description="What names it here.")
    issuer: str
    subject: str = Field(description="Who it is there.")
    name: str = Field(description="What it was called there when it was linked; may be empty.")
    created: str = Field(description="Since when it is linked, as ISO 8601 says it.")


class LinkProvider(BaseModel):
    """A provider of which accounts can be linked."""

    model_config = TITLED
    client: str = Field(description="What names it here.")
    title: str
    issuer: str


class LinkedAccountsAnswer(Ok):
    """The accounts of a user at providers."""

    linkedAccounts: list[LinkedAccount]
    providers: list[LinkProvider]
    message: str | None = None


class LinkAnswer(Ok):
    """Where the browser goes to link an account."""

    url: str


LinksRequest: TypeAlias = ActionRequest[LinksContext, Any]


async def get_list_page(call: LinksRequest) -> Page | Redirect:
    """The list, and a button for each provider."""
    told = {"message": LINKED} if call.request.query_params.get("linked") == "true" else {}
    return Page({**await _variables(call), **told})


async def get_list_json(call: LinksRequest) -> Outcome:
    """The list, as JSON."""
    return Outcome({"ok": True, **await _lists(call)}, Page())


async def unlink(call: ActionRequest[LinksContext, UnlinkBody]) -> Outcome:
    """Unlink an account. The last way to log in stays, and what somebody has logged in with by the account ends."""
    user, handle = call.session_user(), call.body.account
    await call.ctx.services.require_recent_login(call, user)
    storage = await _keeper_of(call, handle)
    gone = await linked.unlink(call.ctx.accounts, storage, user, handle, call.origin)
    for client in call.ctx.clients:
        if client.keys is not None:
            # Whoever does it has just logged in, or given the password, and goes on.
            await client.tokens.part(call.request, gone.iss, gone.sub)
            await mark_unlinked(client.keys, gone, client.now)
    answer = {"ok": True, "message": UNLINKED, **await _lists(call)}
    return Outcome(answer, Page({**await _variables(call), "message": UNLINKED}))


async def link(call: ActionRequest[LinksContext, LinkBody]) -> Outcome:
    """Send the browser to the provider; what it comes back with is linked to the user who has asked for it."""
    user, client = call.session_user(), _client_of(call)
    await call.ctx.services.require_recent_login(call, user)
    client = client.at(call.state.root_path)
    response = await begin(client, call.request, call.form, OAuthFlows.AuthorizationCodeWithPKCE, link=str(user.id))
    url = response.headers["location"]
    # A page, not a redirect: browsers hold every redirect after a form to the policy of its page, and providers redirect a lot.
    return Outcome({"ok": True, "url": url}, Page({**_titles(client), "goOn": url}))


async def _lists(call: LinksRequest) -> dict[str, Any]:
    view = await _variables(call)
    found: list[Identity] = view["identities"]
    accounts = [
        {
            "account": handle_of(one),
            "issuer": one.iss,
            "subject": one.sub,
            "name": one.name,
            "created": one.created.isoformat(),
        }
        for one in found
    ]
    return {"linkedAccounts": accounts, "providers": view["providers"]}


async def _variables(call: LinksRequest) -> dict[str, Any]:
    user, ctx = call.session_user(), call.ctx
    found = [one for storage in ctx.storages for one in await storage.of_user(user.id)]
    titles = {issuer: title_of(client) for client in ctx.clients for issuer in client.client.issuers}
    view = [
        {"handle": handle_of(one), "title": titles.get(one.iss) or host_of(one.iss), "identity": one} for one in found
    ]
    return {
        "identities": found, "linkedAccounts": view, "providers": [_titles(client) for client in ctx.clients],
        "passwordNeeded": ctx.services.needs_password(call, user),
    }  # fmt: skip


async def _keeper_of(call: LinksRequest, handle: str) -> IdentityStorage:
    """Where the account that `handle` names is kept."""
    user, storages = call.session_user(), call.ctx.storages
    for storage in storages:
        if any(handle_of(one) == handle for one in await storage.of_user(user.id)):
            return storage
    return storages[0]


def _client_of(call: ActionRequest[LinksContext, LinkBody]) -> ClientContext:
    clients, name = call.ctx.clients, call.body.client
    if name is None and len(clients) == 1:
        return clients[0]
    for client in clients:
        if client.name == name:
            return client
    raise CrossauthError(ErrorCode.BadRequest, mark("Choose one of the listed providers"))


def _titles(client: ClientContext) -> Mapping[str, str]:
    return {"client": client.name, "title": title_of(client), "issuer": client.client.issuer}


def title_of(client: ClientContext) -> str:
    """What a page calls a provider."""
    provider = client.client.settings.provider
    known = provider.title if provider is not None else ""
    return known or host_of(client.client.issuer)


def host_of(issuer: str) -> str:
    """The host of an issuer; all of it where it is no URL."""
    try:
        return urlsplit(issuer).hostname or issuer
    except ValueError:
        return issuer


LINKED_ACCOUNTS: Final = Action(
    name="linkedaccounts",
    group=GROUP,
    operation_id="account_unlink",
    summary="Unlink an account at a provider",
    json_summary="List your accounts at providers",
    json_operation_id="account_list_linked",
    events=(EventName.account_unlinked,),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    submit=unlink,
    get_page=get_list_page,
    get_json=get_list_json,
    template=TEMPLATE,
    body=UnlinkBody,
    answer=LinkedAccountsAnswer,
    session=True,
    echo=(),
)
LINK_ACCOUNT: Final = Action(
    name="linkaccount",
    group=GROUP,
    operation_id="account_link",
    summary="Start linking an account at a provider",
    events=(EventName.account_linked,),
    limits=("password_account",),
    step_up=StepUp.SUBMIT,
    submit=link,
    get_page=get_list_page,
    template=TEMPLATE,
    body=LinkBody,
    answer=LinkAnswer,
    session=True,
    echo=(),
)
ACTIONS: Final[tuple[Action[LinksContext, Any], ...]] = (LINKED_ACCOUNTS, LINK_ACCOUNT)

"""What every handler of an action works with: the server that the action belongs to. The request is in `request`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

from fastapi import Request
from starlette.responses import Response

from crossauth_backend.accounts.context import ClientInfo
from crossauth_fastapi._http.address import peer_address
from crossauth_fastapi._http.proxies import TrustedProxies
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi._pages.policy import EVERY_PAGE, PagePolicy


class NamesTemplates(Protocol):
    """Options of a server, among them those that name templates; one of them is `error_page`."""

    def page(self, option_name: str) -> str:
        """The template that an option names."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionContext:
    """What an action needs of the server that it belongs to. A server's own context derives from this.

    Parameters:
        settings: its options.
        pages: its templates.
        endpoints: names of the endpoints that are there.
        prefix: goes before every path.
        admin_prefix: the same for administrators.
        proxies: whose forwarded addresses are believed.
        root_path: where the application is, as the request found it.
    """

    settings: NamesTemplates
    pages: Pages
    endpoints: set[str]
    prefix: str
    admin_prefix: str = "/admin/"
    proxies: TrustedProxies | None = None
    root_path: str = ""

    def at(self, root_path: str) -> Self:
        """This, as a request finds it under `root_path`."""
        return replace(self, root_path=root_path)

    def render(
        self,
        request: Request,
        template: str,
        variables: Mapping[str, Any],
        status: int = 200,
        policy: PagePolicy = EVERY_PAGE,
    ) -> Response:
        """Render a page of this server."""
        return self.pages.render(request, template, variables, status, policy)

    def changed_csrf_token(self, state: RequestState) -> str | None:
        """The CSRF token to use from now on, where this answer changes it; only opening and ending sessions does."""
        return None

    async def policy_before(self, request: Request, after: str, policy: PagePolicy) -> PagePolicy:
        """`policy` for a page whose forms lead on to `after`, which may lead on to another site."""
        return policy

    def origin(self, request: Request) -> ClientInfo:
        """Where a request comes from."""
        state = state_of(request)
        return ClientInfo(peer_address(request.scope, self.proxies), None, state.header(b"user-agent"), state.root_path)


C = TypeVar("C", bound=ActionContext)

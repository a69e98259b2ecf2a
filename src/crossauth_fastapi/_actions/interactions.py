"""What the session server offers to a flow that leaves for its pages and comes back, see `accounts.interaction`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from starlette.requests import HTTPConnection

from crossauth_backend.accounts.interaction import Completion, Interaction

# The query parameter of the path at which a flow resumes.
PARAMETER: Final = "interaction"


class Interactions(Protocol):
    """Flows of other servers on the application, which the pages of the session server lead back to.

    A flow begins in a browser, and goes on in that browser only. `next` carries its handle through every page: login, second
    factor, required changes, sign-up, the verification of an address, a password reset. The pages allow their forms to lead to
    where the checked request says that the flow ends, and nowhere else.
    """

    async def begin(
        self, request: HTTPConnection, flow: str, checked: Mapping[str, Any], resume: str, *, ends_at: str | None = None
    ) -> Interaction:
        """Begin a flow in the browser of `request`; its cookie travels with the response.

        Parameters:
            request: the request.
            flow: what begins it; a handle is good for its own flow only.
            checked: what the flow needs when it resumes: JSON values.
            resume: the path of the route at which it resumes, from the application's own root; the handle is its query parameter
                `interaction`.
            ends_at: the URL that the flow ends at, such as a redirect URI that was checked; `None` where it ends on this site.

        Raises:
            CrossauthError: `TooManyAttempts`; `BadRequest` for a request that is too large or is not JSON, or a URL that no page
                can allow a form to lead to.
        """
        ...

    async def push(
        self,
        flow: str,
        checked: Mapping[str, Any],
        resume: str,
        *,
        ends_at: str | None = None,
        lasts: float | None = None,
    ) -> Interaction:
        """Begin a flow for a client, before there is a browser (RFC 9126): it is that of the first browser that finds it.

        Who pushes, and how often, is for the caller to check.

        Parameters:
            flow, checked, resume, ends_at: see `begin`.
            lasts: seconds for which it can be used.

        Raises:
            CrossauthError: as `begin`.
        """
        ...

    async def find(self, request: HTTPConnection, flow: str, handle: str) -> Interaction:
        """The flow that `handle` names; it stays as it is.

        One that was completed is found as well: see `Interaction.completed`.

        Raises:
            CrossauthError: `InvalidKey` or `Expired` (400) for a handle that is not known or too old; `Forbidden` (403) where the
                flow began in another browser.
        """
        ...

    async def complete(self, request: HTTPConnection, flow: str, handle: str) -> Completion:
        """Consume the flow: exactly one call is told that it was the first, and may issue something for it.

        Raises:
            CrossauthError: as `find`.
        """
        ...

    def resume_url(self, request: HTTPConnection, interaction: Interaction) -> str:
        """Where the flow resumes, as a browser has to write it."""
        ...

    def page_url(self, request: HTTPConnection, interaction: Interaction, page: str = "login", **query: str) -> str:
        """A page of the session server that leads on to where the flow resumes.

        Parameters:
            request: the request.
            interaction: the flow.
            page: the page: `login`, or `signup` for `prompt=create`.
            query: further parameters of the page, such as `prompt="login"`.
        """
        ...

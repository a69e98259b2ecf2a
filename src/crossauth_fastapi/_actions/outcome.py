"""What an action's handler returns, for both answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crossauth_fastapi._pages.policy import EVERY_PAGE, PagePolicy


@dataclass(frozen=True, slots=True)
class Page:
    """Render the action's own template with these variables, or the one that the option `page_option` names.

    `policy` is what the page needs beyond what every page may do, such as a form that leaves for another site; when the form is
    shown again after an error, it has the same.
    """

    variables: Mapping[str, Any] = field(default_factory=dict)
    page_option: str | None = None
    status: int = 200
    policy: PagePolicy = EVERY_PAGE


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the browser to a page of this site."""

    url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did: its JSON form, and what a browser is shown."""

    json: Mapping[str, Any]
    page: Page | Redirect

"""What an action's handler returns, for both answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """Render the action's own template with these variables, or the one that the option `page_option` names."""

    variables: Mapping[str, Any] = field(default_factory=dict)
    page_option: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the browser to a page of this site."""

    url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did: its JSON form, and what a browser is shown."""

    json: Mapping[str, Any]
    page: Page | Redirect

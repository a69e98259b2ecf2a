"""The names under which endpoints are switched on, as the actions say, and which of them are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._actions.action import Group
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.groups import ADMIN, BASIC, FACTOR2, GROUPS, RESET, VERIFICATION

USER_FOR_SESSION_KEY: Final = "api/userforsessionkey"
GET_CSRF_TOKEN: Final = "api/getcsrftoken"
# Planned: of a part that is not built yet.
_CLIENTS: Final = (
    "admin/selectclient", "admin/createclient", "admin/deleteclient", "admin/updateclient",
    "admin/api/createclient", "admin/api/deleteclient", "admin/api/updateclient",
    "selectclient", "createclient", "updateclient", "deleteclient",
    "api/deleteclient", "api/updateclient", "api/createclient",
)  # fmt: skip


def endpoints_of(group: Group) -> tuple[str, ...]:
    """The names of a group: pages and JSON endpoints of its actions, and of `BASIC` also what a script asks."""
    named = tuple(name for action in ACTIONS if action.group is group for name in action.endpoints)
    return (*named, USER_FOR_SESSION_KEY, GET_CSRF_TOKEN) if group is BASIC else named


AllEndpointsMinusOAuth: Final = tuple(name for group in GROUPS for name in endpoints_of(group))
AllEndpoints: Final = (*AllEndpointsMinusOAuth, *_CLIENTS)


def enabled_endpoints(given: Sequence[str] | None, on: Collection[Group]) -> frozenset[str]:
    """The endpoints to create: those named, or those of everything that is switched on where none are (an empty list is none).

    Parameters:
        given: the option `endpoints`.
        on: the groups that the other options switch on.

    Raises:
        CrossauthError: `Configuration` for a name that is no endpoint, or one whose option is off; `NotImplemented` for
            endpoints of parts that are not built yet, naming them, so that nothing an application relies on is missing in
            silence.
    """
    groups: set[Group] = set()
    expected: set[str] = set()
    if not given:
        groups |= {BASIC, *({ADMIN} & set(on))}
    if not given or set(given) & {"all", "allMinusOAuth", ""}:
        groups |= {VERIFICATION, RESET} & set(on)
    for name in given or ():
        if name in ("all", "allMinusOAuth", ""):
            groups |= {BASIC, ADMIN, FACTOR2}
            expected |= set(_CLIENTS) if name == "all" else set()
        else:
            expected.add(_checked(name, on))
    # The pages of second factors are there wherever a second factor can be asked for.
    groups |= {FACTOR2} & set(on)
    expected |= {name for group in groups for name in endpoints_of(group)}
    missing = sorted(expected & set(_CLIENTS))
    if missing:
        raise CrossauthError(
            ErrorCode.NotImplemented,
            f"FastApiSessionServer: option 'endpoints': not available in this version: {', '.join(missing)}",
        )
    return frozenset(expected)


def _checked(name: str, on: Collection[Group]) -> str:
    if name not in AllEndpoints:
        near = get_close_matches(name, AllEndpoints, n=1, cutoff=0.5)
        advice = f"; did you mean {near[0]!r}?" if near else ""
        raise CrossauthError(
            ErrorCode.Configuration, f"FastApiSessionServer: option 'endpoints': {name!r} is no endpoint{advice}"
        )
    for group in GROUPS:
        if group.option and group not in on and name in endpoints_of(group):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"FastApiSessionServer: endpoint {name!r} needs option {group.option!r} to be true",
            )
    return name

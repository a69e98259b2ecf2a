"""The options that all servers share; what none of them would read is refused, so that nothing is thought to be protected."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import ENV_PREFIX, describe, option_names, overridden, read_options, takes_none
from crossauth_fastapi._assembly.components import (
    COMPONENTS,
    OAUTH_CLIENT,
    OAUTH_CLIENTS,
    RESOURCE_SERVER,
    Component,
    present,
)
from crossauth_fastapi._assembly.options import COMPONENT, FastApiServerOptions, ServerParams, ServerSettings

# What the variables of the OAuth components begin with.
_UNREAD_VARIABLES: Final = (f"{ENV_PREFIX}OAUTH_", f"{ENV_PREFIX}JWT_")
_NOBODY: Final = (
    "nothing here reads it. Options of a resource server need {'oauth_resserver': {}} in the parameters, those of a client "
    "{'oauth_client': {}}"
)
_OAUTH: Final = (RESOURCE_SERVER, OAUTH_CLIENT, OAUTH_CLIENTS)
_PARAMETERS: Final[Mapping[str, str]] = {
    "key_storage": "{'session': {'key_storage': …}}", "session_adapter": "{'session_adapter': …}",
}  # fmt: skip


def read_server_options(params: ServerParams, options: Mapping[str, Any]) -> tuple[ServerSettings, dict[str, Any]]:
    """The settings of `FastApiServer` itself, and the options that all servers share.

    Parameters:
        params: which servers there are, and options for all of them.
        options: further ones, which override those.

    Raises:
        CrossauthError: `Configuration` for an unknown option, a wrong type, or an option whose server is not there.
    """
    if not isinstance(options, Mapping):
        raise CrossauthError(
            ErrorCode.Configuration, f"{COMPONENT}: options must be a mapping, not {type(options).__name__}"
        )
    tables = [table for row in COMPONENTS for table in row.tables]
    shared = overridden([ServerSettings, *tables], params.options, options)
    # Names with a mistake first: the nearest one that is right is said.
    known = dict.fromkeys(FastApiServerOptions.__annotations__, "")
    for row in COMPONENTS:
        known |= row.shared_names()
    settings = read_options(ServerSettings, shared, component=COMPONENT, also_known=known)
    here, nones = present(params), {name for table in tables for name in takes_none(table)}
    provided = [name for name, value in shared.items() if value is not None or name in nones]
    _refuse_unread(provided, here)
    _refuse_variables(here)
    return settings, shared


def _refuse_unread(given: Iterable[str], here: tuple[Component, ...]) -> None:
    """Refuse options that no server reads which is there.

    Raises:
        CrossauthError: `Configuration`, saying for each what would read it.
    """
    read = _read_by(here)
    unread = sorted(name for name in given if name not in read)
    readers = {name: [row for row in COMPONENTS if name in row.shared_names()] for name in unread}
    problems = [_problem(name, readers[name]) for name in unread]
    if problems:
        raise CrossauthError(
            ErrorCode.Configuration, [*problems, f"These are read here: {', '.join(map(repr, sorted(read)))}"]
        )


def _read_by(here: tuple[Component, ...]) -> set[str]:
    theirs = {name for row in COMPONENTS for name in row.server_options}
    own = option_names(ServerSettings).keys() - theirs
    return own.union(*(row.shared_names() for row in here))


def _problem(name: str, readers: list[Component]) -> str:
    if name in _PARAMETERS:
        return f"{COMPONENT}: {name!r} is no option: give it in the parameters, as {_PARAMETERS[name]}"
    nouns = " or ".join(row.noun for row in readers)
    examples = " or ".join(row.example for row in readers)
    return f"{COMPONENT}: option {name!r} has no effect without {nouns}: give {examples} in the parameters, or leave it out"


def _refuse_variables(here: tuple[Component, ...]) -> None:
    """Refuse environment variables of options that nothing reads.

    Raises:
        CrossauthError: `Configuration`.
    """
    read = frozenset().union(*(_variables(row) for row in here if row in _OAUTH))
    # Those of the other servers are read where these are, and are no mistake where several applications share them.
    elsewhere = {name for row in COMPONENTS if row not in _OAUTH for name in row.shared_names()}
    options = FastApiServerOptions.__annotations__.keys() - option_names(ServerSettings).keys() - elsewhere
    names = {f"{ENV_PREFIX}{name.upper()}" for name in options}
    variables = sorted(n for n in os.environ if n not in read and (n in names or n.startswith(_UNREAD_VARIABLES)))
    if variables:
        raise CrossauthError(
            ErrorCode.Configuration, f"{COMPONENT}: environment variable {', '.join(variables)}: {_NOBODY}"
        )


def _variables(row: Component) -> frozenset[str]:
    """The environment variables that a component reads."""
    rows = (described for table in row.tables for described in describe(table))
    return frozenset(name for one in rows for name in one["env"].split(", ") if name.startswith(ENV_PREFIX))

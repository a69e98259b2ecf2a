"""Options, parsed once at the door.

A component declares its options as one frozen dataclass whose fields say default, environment variable and meaning: the
table that the parser, the error messages and the reference page in the docs are all made from. What an application gave
comes first, then `CROSSAUTH_*` from the environment, then the default.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_type_hints

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.optiontypes import Bounds, Kind, WrongValue

ENV_PREFIX: Final = "CROSSAUTH_"
REQUIRED: Final[Any] = object()
# A hundred years: what is longer is a slip, and leaves what dates can express.
MAX_SECONDS: Final = 3_153_600_000
T = TypeVar("T")


def option(
    default: Any,
    *,
    doc: str,
    env: str | None = None,
    other_envs: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    shown: str | Callable[[], str] | None = None,
    at_least: int | None = None,
    at_most: int | None = None,
    not_empty: bool = False,
    none: bool = False,
    unread: str | None = None,
    planned: bool = False,
    needs: str | None = None,
    not_with: str | None = None,
    kind: str | None = None,
) -> Any:
    """Declare one option.

    Parameters:
        default: its default; `REQUIRED` where it has none.
        doc: what it does, with units; goes into the reference page.
        env: its environment variable without `CROSSAUTH_`.
        other_envs: further names of it that are accepted, where `env` is not set.
        names: further spellings that are accepted.
        shown: how the reference page prints a default that is computed.
        at_least: the least number that makes sense.
        at_most: the greatest one.
        not_empty: whether an empty list or text is refused; leaving the option out gives the default.
        none: whether `None` is a value of its own; otherwise it stands for the default.
        unread: for an option that is documented but has no effect: what would be right instead. Giving it is an error.
        planned: whether a part that is not in this version reads it. Giving it is an error.
        needs: the option without which this one has no effect.
        not_with: the option beside which this one has no effect.
        kind: what messages and the reference page call its type, where its own name says too little.
    """
    metadata = {
        "doc": doc, "env": env, "envs": (env, *other_envs) if env else (), "names": names, "required": default is REQUIRED,
        "shown": shown, "none": none, "bounds": Bounds(at_least, at_most, not_empty), "unread": unread, "planned": planned,
        "needs": needs, "not_with": not_with, "kind": kind,
    }  # fmt: skip
    # Options hold secrets, and mappings with secrets in them: a repr shows none of their values.
    if default is REQUIRED:
        return field(default=None, metadata=metadata, repr=False)
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata, repr=False)
    return field(default=default, metadata=metadata, repr=False)


def read_options(
    table: type[T],
    given: Mapping[str, Any],
    *,
    component: str,
    also_known: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> T:
    """Parse `given` by `table`; a key that is missing or `None` is looked up in the environment.

    Parameters:
        table: a dataclass made of `option` fields.
        given: what the application wrote.
        component: the class it wrote them for, named in messages.
        also_known: keys that belong to another component which is given the same mapping, and what each expects.
        environ: instead of `os.environ`.

    Raises:
        CrossauthError: `Configuration`, naming every unknown key with the nearest valid one, every wrong type with what was
            expected, every required option that is missing, and every one that cannot take effect or says two things;
            `NotImplemented` for one that is read by a part that is not in this version.
    """
    environ = os.environ if environ is None else environ
    if not isinstance(given, Mapping):
        raise CrossauthError(
            ErrorCode.Configuration, f"{component}: options must be a mapping, not {type(given).__name__}"
        )
    problems = _unknown(given, table, also_known or {}, component)
    problems += [f"{component}: {text}" for text in _said_twice(table, given)]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    described: type = table
    kinds, specs = _kinds(described), _fields(described)
    for name, spec in specs.items():
        source = _source(name, spec, given, environ)
        if source is not None:
            sources[name] = source.what
            try:
                read = kinds[name].read if source.parsed else kinds[name].parse
                values[name] = read(source.value, source.what)
            except WrongValue as e:
                problems.append(f"{component}: {e}")
                continue
        if spec.metadata["required"] and values.get(name) is None:
            problems.append(f"{component}: option {name!r} is required: {spec.metadata['doc']}")
    settings = table(**{k: v for k, v in values.items() if v is not None or specs[k].metadata["none"]})
    problems += [f"{component}: {text}" for text in _without_effect(specs, settings, sources)]
    if problems:
        raise CrossauthError(ErrorCode.Configuration, problems)
    planned = [what for name, what in sources.items() if specs[name].metadata["planned"] and values[name] is not None]
    if planned:
        raise CrossauthError(
            ErrorCode.NotImplemented, f"{component}: not available in this version: {', '.join(planned)}"
        )
    return settings


def overridden(tables: Iterable[type], given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, and above it `own`, whichever spelling of an option either has.

    Parameters:
        tables: dataclasses made of `option` fields; names that none of them knows are compared as they are.
        given: what was said for several components, or earlier.
        own: what was said for this one. `None` says nothing, unless it is a value of the option.
    """
    tables = tuple(tables)
    spellings = {spelling: name for table in tables for spelling, name in _spellings(table).items()}
    takes = {name for table in tables for name in takes_none(table)}
    declared = {n: v for n, v in own.items() if v is not None or spellings.get(n) in takes}
    again = {spellings.get(name, name) for name in declared}
    # What says nothing is kept, so that a name which nobody knows is refused all the same.
    silent = {name: value for name, value in own.items() if name not in declared and name not in given}
    return {n: v for n, v in given.items() if spellings.get(n, n) not in again} | silent | declared


def takes_none(table: type) -> frozenset[str]:
    """The options of `table` of which `None` is a value."""
    return frozenset(name for name, spec in _fields(table).items() if spec.metadata["none"])


@cache
def option_names(table: type) -> MappingProxyType[str, str]:
    """Every spelling that `read_options` accepts for `table`, and what it expects."""
    kinds = _kinds(table)
    return MappingProxyType({spelling: str(kinds[name]) for spelling, name in _spellings(table).items()})


def describe(table: type) -> list[dict[str, str]]:
    """The rows of the reference page: name, type, default, environment variable, meaning."""
    kinds = _kinds(table)
    return [
        {
            "name": name,
            "type": str(kinds[name]),
            "default": "required" if spec.metadata["required"] else _shown(spec) or _default(spec),
            "env": ", ".join(ENV_PREFIX + name for name in spec.metadata["envs"]),
            "doc": spec.metadata["doc"],
            "names": ", ".join(spec.metadata["names"]),
        }
        for name, spec in _fields(table).items()
    ]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the value of an option comes from: what to call it in messages, and whether it is text to be parsed."""

    value: Any
    what: str
    parsed: bool


def _source(name: str, spec: Field[Any], given: Mapping[str, Any], environ: Mapping[str, str]) -> _Source | None:
    none = spec.metadata["none"]
    for spelling in (name, *spec.metadata["names"]):
        if spelling in given and (none or given[spelling] is not None):
            return _Source(given[spelling], f"option {spelling!r}", True)
    for variable in (ENV_PREFIX + n for n in spec.metadata["envs"]):
        if variable in environ:
            return _Source(environ[variable], f"environment variable {variable}", False)
    return None


def _without_effect(specs: Mapping[str, Field[Any]], settings: Any, sources: Mapping[str, str]) -> list[str]:
    """The options that were given and cannot take effect, as texts."""
    texts = []
    for name, what in sources.items():
        told, value = specs[name].metadata, getattr(settings, name)
        if value == _default_value(specs[name]):
            continue
        needs, other = told["needs"], told["not_with"]
        if told["unread"] is not None:
            texts.append(f"{what} has no effect: {told['unread']}")
        if needs is not None and not getattr(settings, needs):
            texts.append(f"{what} has no effect without option {needs!r}")
        # The environment is overridden by what the application gives, which is no mistake.
        if other is not None and what.startswith("option") and getattr(settings, other) is not None:
            texts.append(f"{what} has no effect beside option {other!r}; leave one of them out")
    return texts


def _said_twice(table: type, given: Mapping[str, Any]) -> list[str]:
    """The options that were given by two of their names, saying two things, as texts."""
    texts = []
    for name, spec in _fields(table).items():
        there = [s for s in (name, *spec.metadata["names"]) if given.get(s) is not None]
        if any(given[other] is not given[there[0]] and given[other] != given[there[0]] for other in there[1:]):
            texts.append(f"options {' and '.join(map(repr, there))} are one and say two things; leave one of them out")
    return texts


def _default_value(spec: Field[Any]) -> Any:
    return spec.default_factory() if spec.default_factory is not MISSING else spec.default


# What a table says never changes, and a start asks each of them many times.
@cache
def _fields(table: type) -> Mapping[str, Field[Any]]:
    assert is_dataclass(table)
    return MappingProxyType({f.name: f for f in fields(table) if "doc" in f.metadata})


@cache
def _kinds(table: type) -> Mapping[str, Kind]:
    hints = get_type_hints(table)
    specs = _fields(table).items()
    return MappingProxyType({n: Kind(hints[n], spec.metadata["bounds"], spec.metadata["kind"]) for n, spec in specs})


@cache
def _spellings(table: type) -> Mapping[str, str]:
    return MappingProxyType({s: n for n, spec in _fields(table).items() for s in (n, *spec.metadata["names"])})


def _shown(spec: Field[Any]) -> str | None:
    view: str | Callable[[], str] | None = spec.metadata["shown"]
    return view() if callable(view) else view


def _default(spec: Field[Any]) -> str:
    value = _default_value(spec)
    return "" if value is None else repr(value).replace("'", '"')


def _unknown(given: Mapping[str, Any], table: type, also_known: Mapping[str, str], component: str) -> list[str]:
    known = {**also_known, **option_names(table)}
    problems = []
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.5)
        advice = f"; did you mean {near[0]!r} ({known[near[0]] or 'any value'})?" if near else ""
        problems.append(f"{component}: unknown option {name!r}{advice}")
    return problems

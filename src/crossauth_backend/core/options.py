"""Options, parsed once at the door.

A component declares its options as one frozen dataclass whose fields say default, environment variable and meaning: the
table that the parser, the error messages and the reference page in the docs are all made from. What an application gave
comes first, then `CROSSAUTH_*` from the environment, then the default.
"""

from __future__ import annotations

import collections.abc
import difflib
import json
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from crossauth_backend.core.errors import CrossauthError, ErrorCode

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
    """
    metadata = {
        "doc": doc, "env": env, "envs": (env, *other_envs) if env else (), "names": names, "required": default is REQUIRED,
        "shown": shown, "none": none, "bounds": _Bounds(at_least, at_most, not_empty), "unread": unread, "planned": planned,
        "needs": needs, "not_with": not_with,
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
            expected, every required option that is missing, and every one that cannot take effect; `NotImplemented` for one
            that is read by a part that is not in this version.
    """
    environ = os.environ if environ is None else environ
    if not isinstance(given, Mapping):
        raise CrossauthError(
            ErrorCode.Configuration, f"{component}: options must be a mapping, not {type(given).__name__}"
        )
    problems = _unknown(given, table, also_known or {}, component)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    hints, specs = _hints(table), _fields(table)
    for name, spec in specs.items():
        source = _source(name, spec, given, environ)
        if source is None:
            if spec.metadata["required"]:
                problems.append(f"{component}: option {name!r} is required: {spec.metadata['doc']}")
            continue
        sources[name] = source.what
        try:
            read = _checked if source.parsed else _from_text
            values[name] = read(source.value, hints[name], source.what, spec.metadata["bounds"])
        except _WrongType as e:
            problems.append(f"{component}: {e}")
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


def option_names(table: type) -> dict[str, str]:
    """Every spelling that `read_options` accepts for `table`, and what it expects."""
    hints = _hints(table)
    return {spelling: _type_name(hints[name]) for spelling, name in _spellings(table).items()}


def describe(table: type) -> list[dict[str, str]]:
    """The rows of the reference page: name, type, default, environment variable, meaning."""
    hints = _hints(table)
    return [
        {
            "name": name,
            "type": _type_name(hints[name]),
            "default": "required" if spec.metadata["required"] else _shown(spec) or _default(spec),
            "env": ", ".join(ENV_PREFIX + name for name in spec.metadata["envs"]),
            "doc": spec.metadata["doc"],
            "names": ", ".join(spec.metadata["names"]),
        }
        for name, spec in _fields(table).items()
    ]


class _WrongType(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Which values of the right type make sense."""

    at_least: int | None = None
    at_most: int | None = None
    not_empty: bool = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value; `None` where nothing is."""
        if self.not_empty and isinstance(value, (str, list, tuple)) and not value:
            return "must not be empty; leave it out for the default"
        if not isinstance(value, (int, float)):
            return None
        if self.at_least is not None and not value >= self.at_least:
            return f"must be at least {self.at_least}"
        if self.at_most is not None and not value <= self.at_most:
            return f"must be at most {self.at_most}"
        return None


_ANY_VALUE: Final = _Bounds()


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


def _default_value(spec: Field[Any]) -> Any:
    return spec.default_factory() if spec.default_factory is not MISSING else spec.default


def _fields(table: type) -> dict[str, Field[Any]]:
    assert is_dataclass(table)
    return {f.name: f for f in fields(table) if "doc" in f.metadata}


def _hints(table: type) -> dict[str, Any]:
    return get_type_hints(table)


def _spellings(table: type) -> dict[str, str]:
    return {s: name for name, spec in _fields(table).items() for s in (name, *spec.metadata["names"])}


def _shown(spec: Field[Any]) -> str | None:
    shown: str | Callable[[], str] | None = spec.metadata["shown"]
    return shown() if callable(shown) else shown


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


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [a for a in get_args(hint) if a is not type(None)]
    return [hint]


def _type_name(hint: Any) -> str:
    names = []
    for alternative in _alternatives(hint):
        origin = get_origin(alternative)
        if origin is Literal:
            names.append(" or ".join(repr(a) for a in get_args(alternative)))
        elif origin is collections.abc.Callable or alternative is collections.abc.Callable:
            names.append("function")
        elif origin in (list, collections.abc.Sequence):
            names.append(f"list of {_type_name(get_args(alternative)[0])}")
        elif origin is not None:
            names.append("mapping")
        else:
            names.append(
                {bool: "true or false", int: "whole number", str: "text"}.get(alternative, "")
                or getattr(alternative, "__name__", "any value")
            )
    return " or ".join(names)


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in get_args(hint)
    if origin is collections.abc.Callable or hint is Callable:
        return callable(value)
    if origin in (list, collections.abc.Sequence):
        inner = get_args(hint)[0]
        return isinstance(value, (list, tuple)) and all(_fits(v, inner) for v in value)
    if origin is not None:
        return isinstance(value, Mapping)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint)


def _checked(value: Any, hint: Any, what: str, bounds: _Bounds = _ANY_VALUE) -> Any:
    alternatives = _alternatives(hint)
    if value is None and type(None) in get_args(hint):
        return None
    if not any(_fits(value, a) for a in alternatives):
        # The value itself is not repeated: it may be a secret that was put under the wrong name.
        raise _WrongType(f"{what} must be {_type_name(hint)}, not {type(value).__name__}")
    problem = bounds.problem(value)
    if problem is not None:
        raise _WrongType(f"{what} {problem}")
    return list(value) if isinstance(value, tuple) and any(get_origin(a) is list for a in alternatives) else value


def _from_text(text: str, hint: Any, what: str, bounds: _Bounds = _ANY_VALUE) -> Any:
    alternatives = _alternatives(hint)
    if text == "null":
        return None
    if bool in alternatives:
        known = {"1": True, "true": True, "yes": True, "on": True, "": False} | dict.fromkeys(
            ("0", "false", "no", "off"), False
        )
        if text.lower() not in known:
            raise _WrongType(f"{what} must be true or false (1 or 0)")
        return known[text.lower()]
    if str in alternatives or any(get_origin(a) is Literal for a in alternatives):
        return _checked(text, hint, what, bounds)
    try:
        if int in alternatives or float in alternatives:
            return _checked(int(text) if int in alternatives else float(text), hint, what, bounds)
        return _checked(json.loads(text), hint, what, bounds)
    except ValueError:
        raise _WrongType(f"{what} must be {_type_name(hint)}{_json_note(alternatives)}") from None


def _json_note(alternatives: list[Any]) -> str:
    return "" if int in alternatives or float in alternatives else " written as JSON"

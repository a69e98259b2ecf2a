"""What an option may be: whether a value fits its type and its bounds, and what messages call that."""

from __future__ import annotations

import collections.abc
import json
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Union, get_args, get_origin

_PLAIN_NAMES: Final[Mapping[Any, str]] = {
    bool: "true or false", int: "whole number", float: "number", str: "text", Any: "any value",
}  # fmt: skip
_WORDS: Final = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("", "0", "false", "no", "off"), False)


class WrongValue(Exception):
    """A value that an option cannot have; its text says which would be right, and not the value, which may be a secret."""


@dataclass(frozen=True, slots=True)
class Bounds:
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
        # Said this way round, for every comparison with NaN is false.
        if self.at_least is not None and not value >= self.at_least:
            return f"must be at least {self.at_least}"
        if self.at_most is not None and not value <= self.at_most:
            return f"must be at most {self.at_most}"
        return None


@dataclass(frozen=True, slots=True)
class Kind:
    """What the value of one option must be.

    Parameters:
        hint: its type.
        bounds: which values of it make sense.
        name: what messages call the type, where `hint` says too little.
    """

    hint: Any
    bounds: Bounds = Bounds()
    name: str | None = None

    def __str__(self) -> str:
        return self.name or type_name(self.hint)

    def read(self, value: Any, what: str) -> Any:
        """`value`, if it can be this; `what` is what messages call the option.

        Raises:
            WrongValue: it cannot.
        """
        alternatives = _alternatives(self.hint)
        if value is None and type(None) in get_args(self.hint):
            return None
        if not any(_fits(value, a) for a in alternatives):
            provided = f"the class {value.__name__}: create one" if isinstance(value, type) else type(value).__name__
            raise WrongValue(f"{what} must be {self}, not {provided}")
        problem = self.bounds.problem(value)
        if problem is not None:
            raise WrongValue(f"{what} {problem}")
        return list(value) if isinstance(value, tuple) and any(get_origin(a) is list for a in alternatives) else value

    def parse(self, text: str, what: str) -> Any:
        """The value that an environment variable says: text as it is, true or false, a number, or JSON; `null` for none.

        Raises:
            WrongValue: it says none of this kind.
        """
        alternatives = _alternatives(self.hint)
        if text == "null":
            return None
        if bool in alternatives:
            if text.lower() not in _WORDS:
                raise WrongValue(f"{what} must be true or false (1 or 0)")
            return _WORDS[text.lower()]
        if str in alternatives or any(get_origin(a) is Literal for a in alternatives):
            return self.read(text, what)
        number = next((kind for kind in (int, float) if kind in alternatives), None)
        try:
            value = json.loads(text) if number is None else number(text)
        except (ValueError, RecursionError):
            how = " written as JSON" if number is None else ""
            raise WrongValue(f"{what} must be {self}{how}") from None
        return self.read(value, what)


def type_name(hint: Any) -> str:
    """What messages and the reference page call a type."""
    names = []
    for alternative in _alternatives(hint):
        origin = get_origin(alternative)
        if origin is Literal:
            names.append(" or ".join(repr(a) for a in get_args(alternative)))
        elif origin is collections.abc.Callable or alternative is collections.abc.Callable:
            names.append("function")
        elif origin in (list, collections.abc.Sequence):
            names.append(f"list of {type_name(get_args(alternative)[0])}")
        elif origin is type:
            names.append(f"{type_name(get_args(alternative)[0])} or a subclass of it")
        elif _is_mapping(origin):
            names.append("mapping")
        else:
            plain = alternative if origin is None else origin
            names.append(_PLAIN_NAMES.get(plain) or str(getattr(plain, "__name__", "any value")))
    return " or ".join(names)


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [a for a in get_args(hint) if a is not type(None)]
    return [hint]


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if origin is collections.abc.Callable or hint is Callable:
        return callable(value)
    if origin in (list, collections.abc.Sequence):
        inner = get_args(hint)[0]
        return isinstance(value, (list, tuple)) and all(_fits(v, inner) for v in value)
    if origin is type:
        return isinstance(value, type) and issubclass(value, get_args(hint)[0])
    if origin is not None:
        return isinstance(value, Mapping if _is_mapping(origin) else origin)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint)

"""Every name that the specification documents for the session modules is there, with the documented parameters."""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest

SPEC: dict[str, Any] = json.loads((Path(__file__).parent / "crossauth_fastapi.json").read_text())
CLASSES = [(m, c, d) for m, names in SPEC.items() for c, d in names["classes"].items()]
FUNCTIONS = [(m, f, d) for m, names in SPEC.items() for f, d in names["functions"].items()]
METHODS = [(m, c, n, d) for m, c, of in CLASSES for n, d in of["methods"].items()]


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_the_list_is_whole() -> None:
    assert len(CLASSES) == 19
    assert len(METHODS) == 60
    assert len(FUNCTIONS) == 21


@pytest.mark.parametrize(("module", "name", "documented"), CLASSES, ids=lambda v: v if isinstance(v, str) else "")
def test_class(module: str, name: str, documented: dict[str, Any]) -> None:
    cls = getattr(importlib.import_module(module), name)
    assert getattr(importlib.import_module("crossauth_fastapi"), name) is cls
    if documented["init"] and not documented["keys"]:
        assert parameters(cls)[: len(documented["init"])] == documented["init"]
    for key in documented["keys"]:
        assert key in get_type_hints(cls), f"{name} lacks the key {key}"
    for prop in documented["properties"]:
        assert isinstance(inspect.getattr_static(cls, prop), property), f"{name}.{prop} is no property"


@pytest.mark.parametrize(
    ("module", "cls", "name", "documented"), METHODS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_method(module: str, cls: str, name: str, documented: dict[str, Any]) -> None:
    method = getattr(getattr(importlib.import_module(module), cls), name)
    assert parameters(method)[: len(documented["params"])] == documented["params"]
    assert inspect.iscoroutinefunction(method) == documented["async"]
    assert inspect.getdoc(method)


@pytest.mark.parametrize(("module", "name", "documented"), FUNCTIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_function(module: str, name: str, documented: dict[str, Any]) -> None:
    function = getattr(importlib.import_module(module), name)
    assert parameters(function) == documented["params"]
    assert inspect.iscoroutinefunction(function) == documented["async"]
    assert inspect.getdoc(function)

"""The shape targets of the project: small files, small functions, no circles, no twins."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
FILES = sorted(SOURCE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    docstring = ast.get_docstring(function, clean=False)
    return (function.end_lineno or 0) - function.lineno + 1 - (docstring.count("\n") + 1 if docstring else 0)


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports when it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(MODULES)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    long = {f.name: length(f) for f in functions(ast.parse(text)) if length(f) > 60}
    assert long == {}


def test_most_functions_are_short() -> None:
    lengths = [length(f) for path in FILES for f in functions(ast.parse(path.read_text()))]
    assert sum(n <= 30 for n in lengths) / len(lengths) > 0.97


def test_there_is_no_import_circle() -> None:
    tuple(TopologicalSorter({module: imports(path) - {module} for module, path in MODULES.items()}).static_order())


def test_every_door_is_short() -> None:
    for name in ("fastapiserverbase", "fastapisession", "fastapisessionadapter", "fastapiserver"):
        tree = ast.parse((SOURCE / "crossauth_fastapi" / f"{name}.py").read_text())
        bodies = {f.name: length(f) for f in functions(tree) if f.name != "__init__" and length(f) > 20}
        assert bodies == {}, f"{name} has more than delegation in it"

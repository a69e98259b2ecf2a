"""Where the code reads which option, by the class of what it is read from.

Docstrings, tables, and attributes of other classes with the same name are no reads. An expression gets its class from the
annotations of parameters, attributes and functions; nothing is run. What has none, such as something of type `Any`, reads
nothing here.
"""

import ast
import builtins
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

from crossauth_backend.core.options import read_options

SOURCE = Path(__file__).parents[2] / "src"
# The doctor only talks about options, and what tests of applications set is not what a server does.
NO_READERS = {"cli", "testing"}
# Arguments that name an option, which is then read by `getattr`.
NAMING = {"option", "page_option", "param", "templates"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Read = tuple[type, str]


class Code:
    """The sources of both packages, and who reads what in them.

    Parameters:
        changes: by the path of a file below `src`, what it says instead.
    """

    def __init__(self, tables: list[type], changes: dict[str, str] | None = None) -> None:
        self.bases: set[type | None] = {base for table in tables for base in table.__mro__[:-1]}
        self.trees = {
            module_name(p): ast.parse((changes or {}).get(str(p.relative_to(SOURCE))) or p.read_text())
            for p in readers()
        }
        self.classes: dict[type, ast.ClassDef] = {}
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                found = getattr(sys.modules[name], node.name, None) if isinstance(node, ast.ClassDef) else None
                if isinstance(found, type) and isinstance(node, ast.ClassDef):
                    self.classes[found] = node
        self.attributes: dict[tuple[type, str], Any] = {}
        self.by_name: set[str] = set()
        self.reads: set[Read] = set()
        self.every: set[tuple[type | None, str]] = set()
        # What a property of another class only shows is read where that property is.
        self.shown: set[tuple[type | None, str, type | None, str]] = set()
        self.inside: dict[Read, set[str]] = {}
        for name, tree in self.trees.items():
            Scope(self, name, None, {}).visit_all(tree.body)
        self.reads |= {
            (r, n) for r, n, owner, shown in self.shown if r and r in self.bases and self._is_shown(owner, shown)
        }

    def _is_shown(self, owner: type | None, name: str) -> bool:
        if owner is None:
            return False
        known = {c for c, n in self.every if n == name and c is not None}
        return any(owner in c.__mro__ or c in owner.__mro__ or getattr(c, "_is_protocol", False) for c in known)

    def is_read(self, table: type, name: str) -> bool:
        """Whether something outside of the tables reads this option, or a method of a table that does."""
        owner = next(c for c in reversed(table.__mro__) if name in getattr(c, "__annotations__", {}))
        return self._is_read(owner, name, set()) or name in self.by_name

    def _is_read(self, owner: type, name: str, seen: set[str]) -> bool:
        if any(attr == name and related(read, owner) for read, attr in self.reads):
            return True
        methods = {
            m for (read, attr), found in self.inside.items() if attr == name and related(read, owner) for m in found
        }
        return any(self._is_read(owner, method, seen | methods) for method in methods - seen)


@cache
def related(read: type, owner: type) -> bool:
    """Whether what is read from `read` may be what `owner` declares; a protocol, where `owner` has all names of it."""
    if typing.is_typeddict(read):
        return False
    if getattr(read, "_is_protocol", False):
        names = {n for n in (*vars(read), *getattr(read, "__annotations__", {})) if not n.startswith("_")}
        return bool(names) and all(hasattr(owner, name) for name in names)
    return issubclass(read, owner)


def readers() -> Iterator[Path]:
    for path in sorted(SOURCE.rglob("*.py")):
        if (
            not NO_READERS & set(path.relative_to(SOURCE).parts)
            and "migrations" not in path.parts
            and path.stem != "__main__"
        ):
            yield path


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    importlib.import_module(name)
    return name


def evaluated(node: ast.expr | None, module: str) -> Any:
    """What an annotation means, or `None`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    try:
        return eval(ast.unparse(node), dict(vars(sys.modules[module]))) if node is not None else None
    except Exception:
        return None


def plain(hint: Any) -> Any:
    """A hint without `None` and `Annotated`: a class, an alias of one, or `None`."""
    if get_origin(hint) in (typing.Union, types.UnionType):
        return next((p for p in map(plain, get_args(hint)) if p is not None and not typing.is_typeddict(p)), None)
    if get_origin(hint) is typing.Annotated:
        return plain(get_args(hint)[0])
    if isinstance(hint, typing.TypeVar):
        return plain(hint.__bound__)
    return hint if class_of(hint) not in (None, type(None), Any) else None


def class_of(hint: Any) -> type | None:
    found = get_origin(hint) or hint
    return found if isinstance(found, type) else None


class Scope:
    """One function, class body or module: what its names are."""

    def __init__(self, code: Code, module: str, owner: type | None, names: dict[str, Any], method: str = "") -> None:
        self.code, self.module, self.owner, self.names, self.method = code, module, owner, dict(names), method

    def visit_all(self, nodes: list[Any]) -> None:
        for node in nodes:
            self.visit(node)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.ClassDef):
            found = getattr(sys.modules[self.module], node.name, None)
            Scope(self.code, self.module, found if isinstance(found, type) else None, self.names).visit_all(node.body)
            return
        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            self.function(node)
            return
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            read = class_of(self.type_of(node.value))
            self.code.every.add((read, node.attr))
            self.note(read, node.attr)
        if isinstance(node, ast.Call):
            self.call(node)
        for child in ast.iter_child_nodes(node):
            self.visit(child)
        self.bind(node)

    def function(self, node: Any) -> None:
        if not isinstance(node, ast.Lambda) and any(ast.unparse(d) == "property" for d in node.decorator_list):
            last = node.body[-1]
            if (
                isinstance(last, ast.Return)
                and isinstance(last.value, ast.Attribute)
                and self.owner not in self.code.bases
            ):
                inner = self.entered(node)
                self.code.shown.add((class_of(inner.type_of(last.value.value)), last.value.attr, self.owner, node.name))
                return
        inner = self.entered(node)
        inner.visit_all(node.body if isinstance(node.body, list) else [node.body])

    def entered(self, node: Any) -> "Scope":
        method = self.method or (node.name if self.owner is not None and isinstance(node, FUNCTIONS) else "")
        inner = Scope(self.code, self.module, self.owner, self.names, method)
        for n, argument in enumerate([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]):
            own = n == 0 and argument.arg == "self" and not self.method
            inner.names[argument.arg] = self.owner if own else plain(evaluated(argument.annotation, self.module))
        return inner

    def bind(self, node: ast.AST) -> None:
        """Remember what a name is."""
        if isinstance(node, ast.NamedExpr):
            self.names[node.target.id] = self.type_of(node.value)
        for target, value, annotation in assigned(node):
            if isinstance(target, ast.Name):
                declared = evaluated(annotation, self.module)
                self.names[target.id] = plain(declared) if annotation is not None else self.type_of(value)

    def note(self, read: type | None, name: str) -> None:
        if read is None or not any(related(read, base) for base in self.code.bases):
            return
        if self.owner in self.code.bases:
            # A check in a table makes nothing happen; what its other methods return is read by whoever calls them.
            if not self.method.startswith("__"):
                self.code.inside.setdefault((read, name), set()).add(self.method)
        else:
            self.code.reads.add((read, name))

    def call(self, node: ast.Call) -> None:
        texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if isinstance(node.func, ast.Name) and node.func.id == "getattr":
            for text in texts[:1]:
                self.note(class_of(self.type_of(node.args[0])), text)
        elif isinstance(node.func, ast.Attribute):
            read = class_of(self.type_of(node.func.value))
            if read in self.code.bases:
                for text in texts:
                    self.note(read, text)
        for keyword in node.keywords:
            if keyword.arg in NAMING:
                found = (n.value for n in ast.walk(keyword.value) if isinstance(n, ast.Constant))
                self.code.by_name |= set(map(str, found))

    def type_of(self, node: ast.AST | None) -> Any:
        """The class of an expression, or an alias of it; `None` where it is not known."""
        if isinstance(node, ast.Name):
            if node.id in self.names:
                return self.names[node.id]
            known = vars(sys.modules[self.module]).get(node.id)
            no_value = known is None or isinstance(known, (type, types.FunctionType, types.ModuleType))
            return None if no_value else type(known)
        if isinstance(node, ast.Attribute):
            return self.attribute(self.type_of(node.value), node.attr)
        if isinstance(node, ast.Await):
            return self.type_of(node.value)
        if isinstance(node, ast.BoolOp):
            return next((t for t in map(self.type_of, node.values) if t is not None), None)
        if isinstance(node, ast.IfExp):
            return self.type_of(node.body) or self.type_of(node.orelse)
        if isinstance(node, ast.NamedExpr):
            return self.type_of(node.value)
        return self.result(node) if isinstance(node, ast.Call) else None

    def result(self, node: ast.Call) -> Any:
        owner = class_of(self.type_of(node.func.value)) if isinstance(node.func, ast.Attribute) else None
        called = None
        if isinstance(node.func, ast.Attribute) and owner is not None:
            called = inspect.getattr_static(owner, node.func.attr, None)
        elif isinstance(node.func, ast.Attribute) or (
            isinstance(node.func, ast.Name) and node.func.id not in self.names
        ):
            called = evaluated(node.func, self.module)
        called = getattr(called, "__func__", called)
        if called is read_options:
            table = evaluated(node.args[0], self.module)
            named = node.args[0].attr if isinstance(node.args[0], ast.Attribute) else ""
            return table if table is not None else getattr(self.owner, named, None)
        if called is replace:
            return self.type_of(node.args[0])
        if isinstance(called, type):
            return called if called.__module__ != builtins.__name__ else None
        return returned(called)

    def attribute(self, hint: Any, name: str) -> Any:
        owner = class_of(hint)
        if owner is None:
            return None
        for base in owner.__mro__:
            found = self.code.attributes.get((base, name), ...)
            if found is ...:
                found = self.code.attributes[base, name] = None
                found = self.code.attributes[base, name] = self.declared(base, name)
            if found is not None:
                break
        else:
            return None
        if isinstance(found, typing.TypeVar):
            parameters = getattr(owner, "__parameters__", ())
            given = dict(zip(parameters, get_args(hint), strict=False))
            found = given.get(found, found)
        return plain(found)

    def declared(self, base: type, name: str) -> Any:
        """What a class says of an attribute: its annotation, a property, or what `__init__` puts there."""
        node = self.code.classes.get(base)
        if node is None:
            return None
        member = vars(base).get(name)
        if isinstance(member, property) or hasattr(member, "func"):
            return returned(getattr(member, "fget", None) or getattr(member, "func", None))
        for child in node.body:
            if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name) and child.target.id == name:
                return evaluated(child.annotation, base.__module__)
        for method in (child for child in node.body if isinstance(child, FUNCTIONS)):
            scope = Scope(self.code, base.__module__, base, {}).entered(method)
            for part in ast.walk(method):
                scope.bind(part)
                for target, value, annotation in assigned(part):
                    if isinstance(target, ast.Attribute) and ast.unparse(target) == f"self.{name}":
                        found = plain(evaluated(annotation, base.__module__)) or scope.type_of(value)
                        if found is not None:
                            return found
        return None


def assigned(node: Any) -> Iterator[tuple[Any, Any, Any]]:
    """What a statement assigns: to what, which expression, with which annotation."""
    if isinstance(node, ast.AnnAssign):
        yield node.target, node.value, node.annotation
    for target in node.targets if isinstance(node, ast.Assign) else ():
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from ((to, value, None) for to, value in zip(target.elts, node.value.elts, strict=False))
        else:
            yield target, node.value, None


def returned(function: Any) -> Any:
    hint = getattr(function, "__annotations__", {}).get("return")
    module = getattr(function, "__module__", None)
    if isinstance(hint, str) and module in sys.modules:
        hint = evaluated(ast.parse(hint, mode="eval").body, module)
    return plain(hint)

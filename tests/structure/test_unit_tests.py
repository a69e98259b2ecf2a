"""Each module that only computes has a unit test, and each public member of `SessionManager` is tested by its name."""

import ast
from collections.abc import Iterator
from pathlib import Path

from crossauth_backend import SessionManager

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
UNIT = ROOT / "tests" / "unit"
# Whoever imports one of these does more than compute, or needs what does.
IMPURE = (
    "asyncio",
    "anyio",
    "threading",
    "logging",
    "smtplib",
    "ssl",
    "socket",
    "os",
    "fastapi",
    "starlette",
    "sqlalchemy",
    "redis",
    "alembic",
    "jinja2",
    "httpx2",
    "twilio",
    "argparse",
    "argon2",
    "importlib.metadata",
    "crossauth_backend.core.options",
    "crossauth_fastapi._session",
    "crossauth_fastapi._actions.context",
    "crossauth_fastapi._actions.request",
    "crossauth_fastapi._api_keys.context",
    "crossauth_fastapi._middleware.state",
    "crossauth_fastapi.fastapi_users.authentication",
    "crossauth_fastapi.fastapi_users.manager",
)
# Records, names and tables: there is nothing in them that could be wrong by itself.
PLAIN = {
    "crossauth_backend.events.record",
    "crossauth_backend.email_tokens.draft",
    "crossauth_backend.factors.services",
    "crossauth_backend.testing.clock",
    "crossauth_backend.users.record",
    "crossauth_backend.keys.record",
    "crossauth_backend.sessions.attributes",
    "crossauth_backend.core.errors",
    "crossauth_backend.oauth.wellknown",
    "crossauth_backend.oauth.resource.stored",
    # Builds the parts of a token consumer, which its own tests use.
    "crossauth_backend.oauth.resource.parts",
    "crossauth_fastapi._session.groups",
    "crossauth_fastapi._session.bodies",
    "crossauth_fastapi._api_keys.bodies",
    "crossauth_fastapi._oauth_client.bodies",
    "crossauth_fastapi._actions.outcome",
    "crossauth_fastapi.fastapi_users.models",
    "crossauth_fastapi.fastapi_users.types",
    "crossauth_fastapi.fastapi_users.exceptions",
    "crossauth_fastapi.fastapi_users.openapi",
    "crossauth_fastapi.fastapi_users.schemas",
    "crossauth_fastapi.fastapi_users.router.common",
    "crossauth_fastapi.fastapi_users.authentication.strategy.db.models",
    "crossauth_fastapi.cli.commands",
    "crossauth_fastapi.cli.__main__",
}


def imports(tree: ast.AST) -> Iterator[str]:
    """Everything that a file imports; for `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_pure(tree: ast.Module) -> bool:
    """Whether a module defines something and neither awaits, nor imports what reads, writes or waits."""
    if not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body):
        return False
    if any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(tree)):
        return False
    return not any(name == bad or name.startswith(f"{bad}.") for name in imports(tree) for bad in IMPURE)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def mirrored(module: str) -> Path:
    """The file of tests in the place of a module, which may reach it through the documented names alone."""
    *folders, name = module.split(".")[1:]
    return UNIT.joinpath(*folders, f"test_{name}.py")


def modules_with_tests() -> set[str]:
    """What unit tests import; of a package with a facade, such as `core.jose`, what that imports too."""
    found = {name for path in UNIT.rglob("test_*.py") for name in imports(ast.parse(path.read_text()))}
    facades = (SOURCE.joinpath(*name.split("."), "__init__.py") for name in found if "." in name)
    return found | {name for path in facades if path.exists() for name in imports(ast.parse(path.read_text()))}


def pure_modules() -> set[str]:
    files = (path for path in SOURCE.rglob("*.py") if path.name != "__init__.py" and "versions" not in path.parts)
    return {module_of(path) for path in files if is_pure(ast.parse(path.read_text()))}


def test_every_module_that_only_computes_has_a_unit_test() -> None:
    untested = pure_modules() - PLAIN - modules_with_tests()
    assert {module for module in untested if not mirrored(module).exists()} == set()


def test_the_list_of_what_needs_no_test_is_up_to_date() -> None:
    there = {module_of(path) for path in SOURCE.rglob("*.py")}
    assert there >= PLAIN


def test_every_public_member_of_the_session_manager_is_tested_by_name() -> None:
    members = {name for name in dir(SessionManager) if not name.startswith("_")}
    tree = ast.parse((UNIT / "test_session_manager.py").read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "manager"
    }
    assert len(members) > 40
    assert members - used == set()

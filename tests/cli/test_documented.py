"""The commands of the page about the command line, in its order; and what holds for all commands."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from typer.main import get_command

from crossauth_fastapi.cli.commands import cli
from crossauth_fastapi.cli.doctor.command import RULES
from tests.cli.support import crossauth, invoke

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "cli.md"
# Words of the house's own that no help text may have.
OWN_WORDS = re.compile(r"\b(whoever|whose|nobody|somebody|anew|e-mail|proven|prove)\b", re.IGNORECASE)


def commands(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield names, command
        return
    for name, one in inner.items():
        yield from commands(one, *names, name)


ALL = dict(commands(get_command(cli)))


def test_every_example_works_in_the_order_of_the_page(tmp_path: Path) -> None:
    folder, seen, environment = tmp_path, set(), dict[str, str]()
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL):
        for line in block.splitlines():
            program, *arguments = line.split()
            if program == "cd":
                folder = folder / arguments[0]
                # What main.py reads from .env is left out of the environment of this process afterwards.
                environment = dict(re.findall(r"(?m)^(\w+)=(.*)$", (folder / ".env").read_text()))
                continue
            assert program == "crossauth", line
            done = invoke(folder, *arguments, **environment)
            assert done.exit_code == 0, f"{line}\n{done.output}"
            assert done.stdout
            if "--json" in arguments:
                json.loads(done.stdout)
            seen |= {names for names in ALL if tuple(arguments[: len(names)]) == names}
    assert {
        ("init",),
        ("create-admin",),
        ("doctor",),
        ("db", "check"),
        ("users", "list"),
        ("sessions", "revoke"),
    } <= seen
    assert len(RULES) > 60


def test_every_command_of_the_page_exists() -> None:
    for line in re.findall(r"`?crossauth ([a-z][a-z -]+)", PAGE.read_text()):
        words = tuple(line.split()[:2])
        assert words in ALL or words[:1] in ALL or words[0] in {names[0] for names in ALL}, line


@pytest.mark.parametrize("names", ALL, ids=" ".join)
def test_every_command_has_json_and_plain_help(names: tuple[str, ...]) -> None:
    options = {option for parameter in ALL[names].params for option in parameter.opts}
    assert "--json" in options or names == ("create-superuser",)
    texts = [ALL[names].help, *(getattr(parameter, "help", None) for parameter in ALL[names].params)]
    for text in texts:
        assert text, names
        assert not OWN_WORDS.search(text), text


def test_an_error_of_the_application_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import os\nos.environ['NO_SUCH_VARIABLE']")
    done = crossauth(tmp_path, "users", "list", "broken")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == "Error: KeyError: 'NO_SUCH_VARIABLE'"
    assert "Traceback" not in done.stderr
    displayed = crossauth(tmp_path, "--traceback", "users", "list", "broken")
    assert displayed.returncode == 1
    assert "Traceback" in displayed.stderr


def test_what_an_application_prints_is_not_in_the_result(shop: Path) -> None:
    text = (shop / "shop.py").read_text()
    loud = "app.router.on_startup.append(lambda: print('started'))" if hasattr(FastAPI().router, "on_startup") else ""
    (shop / "shop.py").write_text(f"print('imported')\n{text}\n{loud}\n")
    done = invoke(shop, "users", "list", "shop", "--json")
    assert json.loads(done.stdout) == []
    assert "imported" in done.stderr


def test_the_shell_completes_commands(tmp_path: Path) -> None:
    done = crossauth(tmp_path, COMP_WORDS="crossauth us", COMP_CWORD="1", _CROSSAUTH_COMPLETE="complete_bash")
    assert done.stdout.split() == ["users"]

"""What the documents say of the tree is true, and no file speaks of the place it was written in."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crossauth_backend import DEFAULT_LIMITS, EventName, UserState

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PLACES = re.compile(
    "|".join((r"/(?:work|farm|root)/", r"py[p]i\.org", r"np[m]js\.", r"de[b]\.debian", r"python[h]osted")),
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listing.stdout.split()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_and_link_exists(page: Path) -> None:
    text = page.read_text()
    paths = re.findall(r"`((?:src|tests|docs|examples|benchmarks|scripts)/[\w./*-]*)`", text)
    for path in paths:
        assert list(ROOT.glob(path)), f"{page.name} names {path}"
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'<img src="([^":]+)"', text):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_picture_of_the_layers_names_real_packages() -> None:
    picture = re.search(r"```\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    assert picture is not None
    packages = re.findall(r"\b[a-z_]+(?:/|\.py)", picture.group(1))
    assert len(packages) > 15
    for package in packages:
        if package != "src/":
            assert list((ROOT / "src").glob(f"crossauth_*/{package}")), package


def test_every_recipe_ends_with_a_command_that_can_be_run() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    recipes = re.split(r"^### ", text.partition("## Recipes")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]
    assert len(recipes) > 7
    for recipe in recipes:
        title = recipe.splitlines()[0]
        command = re.fullmatch(r".*?```\n(.*?)```\s*", recipe, re.DOTALL)
        assert command is not None, f"{title}: no command at the end"
        assert command.group(1).startswith("make check"), title
        for path in re.findall(r"\btests/[\w/.]+", command.group(1)):
            assert (ROOT / path).exists(), f"{title}: {path}"


def test_what_a_recipe_says_of_a_file_is_in_it() -> None:
    """`NAME` in (or of) `path`: a name that has moved would send the reader to the wrong file."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    response = re.findall(r"`(\w+)` (?:in|of)\s+`((?:src|tests|scripts)/[\w./]+\.py)`", text)
    assert len(response) > 15
    for name, path in response:
        assert re.search(rf"\b{name}\b", (ROOT / path).read_text()), f"{path} has no {name}"


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(text.splitlines(), 1) if PLACES.search(line)]
    assert found == []


def test_the_tables_of_limits_and_events_are_whole() -> None:
    limits = (ROOT / "docs" / "limits.md").read_text()
    for name, limit in DEFAULT_LIMITS.items():
        window = "an hour" if limit.seconds == 3600 else f"{limit.seconds // 60} minutes"
        assert f"| `{name}` | {limit.attempts} | {window} |" in limits
    events = (ROOT / "docs" / "events.md").read_text()
    assert [event.value for event in EventName if f"`{event.value}`" not in events] == []
    states = (ROOT / "docs" / "administration.md").read_text()
    assert [value for name, value in vars(UserState).items() if name[0] != "_" and f"`{value}`" not in states] == []


def test_every_name_that_a_page_imports_is_there() -> None:
    for page in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"):
        for module, names in re.findall(r"(?m)^\s*from (crossauth_\S+) import (\([^)]*\)|[^\n#]+)", page.read_text()):
            for name in re.findall(r"\w+", re.sub(r" as \w+", "", names)):
                found = importlib.import_module(module)
                assert hasattr(found, name) or importlib.import_module(f"{module}.{name}"), (
                    f"{page.name}: {module}.{name}"
                )


def test_the_diagrams_show_the_code_as_it_is() -> None:
    """States, stages and kinds of keys are drawn from the code."""
    script = ROOT / "scripts" / "draw_diagrams.py"
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run scripts/draw_diagrams.py"

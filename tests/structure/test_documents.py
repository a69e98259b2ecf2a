"""What the documents say of the tree is true, and no file speaks of the place it was written in."""

import re
import subprocess
from pathlib import Path

import pytest

from crossauth_backend import DEFAULT_LIMITS, EventName, UserState

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PLACES = re.compile(
    "|".join((r"/(?:work|farm|root)/", r"py[p]i\.org", r"np[m]js\.", r"de[b]\.debian", r"python[h]osted")),
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listing.stdout.split()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_and_link_exists(page: Path) -> None:
    text = page.read_text()
    paths = re.findall(r"`((?:src|tests|docs|examples|benchmarks|scripts)/[\w./*-]*)`", text)
    for path in paths:
        assert list(ROOT.glob(path)), f"{page.name} names {path}"
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_picture_of_the_house_names_real_rooms() -> None:
    picture = re.search(r"```\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    assert picture is not None
    rooms = re.findall(r"\b[a-z_]+(?:/|\.py)", picture.group(1))
    assert len(rooms) > 15
    for room in rooms:
        if room != "src/":
            assert list((ROOT / "src").glob(f"crossauth_*/{room}")), room


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

"""The documentation site builds without a warning, every link in it leads somewhere, and it loads nothing from another host."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
# Attributes from which a browser fetches something without being asked.
FETCHED = {
    ("script", "src"),
    ("link", "href"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}
# Links that say what a page is and fetch nothing.
SAID = {"canonical", "prev", "next", "alternate"}
# Pages that explain a sequence of requests.
SEQUENCES = [*sorted(path.stem for path in (ROOT / "docs").glob("flow_*.md")), "backend_for_frontend"]


class Page(HTMLParser):
    """The ids, links and fetched addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.classes: set[str] = set()
        self.pictures: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        provided = {name: value or "" for name, value in attrs}
        self.ids |= {provided[name] for name in ("id", "name") if name in provided}
        self.classes |= set(provided.get("class", "").split())
        self.links += [provided["href"]] if tag == "a" and "href" in provided else []
        self.pictures |= {provided["src"]: provided.get("alt", "")} if tag == "img" and "src" in provided else {}
        if not SAID & set(provided.get("rel", "").split()):
            self.fetched += [provided[name] for name in provided if (tag, name) in FETCHED]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy so that the tree stays as it is."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "src").symlink_to(ROOT / "src")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def named(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict | list):
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from named(part)


def test_every_page_is_in_the_navigation_once() -> None:
    found = list(named(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert len(found) == len(set(found))
    docs = ROOT / "docs"
    assert set(found) == {str(path.relative_to(docs)) for path in docs.rglob("*.md")}


def test_the_site_has_every_page_and_a_search(site: Path, pages: dict[Path, Page]) -> None:
    docs = ROOT / "docs"
    expected = {path.relative_to(docs).with_suffix(".html") for path in docs.rglob("*.md")}
    assert {path.relative_to(site) for path in pages} == expected
    assert "Crossauth" in (site / "search.json").read_text()


def test_every_link_leads_to_a_page_and_a_heading(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.fetched):
            address, anchor = urldefrag(link)
            if re.match(r"[a-z]+:", address):
                continue
            target = (path.parent / unquote(address)).resolve() if address else path
            if not target.exists():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif anchor and target in pages and unquote(anchor) not in pages[target].ids:
                broken.append(f"{path.relative_to(site)}: {link} (no such heading)")
    assert broken == []


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        outside = [address for address in page.fetched if re.match(r"([a-z]+:)?//", address)]
        assert outside == [], path.relative_to(site)
        # The theme would load what draws these from another host.
        assert "mermaid" not in page.classes, path.relative_to(site)
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]+", sheet.read_text()) == [], sheet.name


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_page_has_a_picture_and_says_when_to_use_it(site: Path, pages: dict[Path, Page], name: str) -> None:
    path = site / f"{name}.html"
    (address,) = [address for address in pages[path].pictures if address.endswith(".svg")]
    assert len(pages[path].pictures[address]) > 50, "for people who can't see it"
    picture = ElementTree.parse(path.parent / address).getroot()
    (description,) = picture.iterfind(f"{SVG}desc")
    text = path.read_text()
    assert (description.text or "").splitlines()[-1].partition(": ")[2] in text, "the steps in words"
    assert len(list(picture.iter(f"{SVG}polyline"))) > 4
    assert "<strong>When to use it.</strong>" in text


def test_no_page_shows_the_source_of_a_picture(pages: dict[Path, Page]) -> None:
    shown = [path.name for path in pages if "sequenceDiagram" in path.read_text()]
    assert shown == [], "a Mermaid block is shown as code: put the sequence into scripts/sequences"


def test_drawn_pictures_run_and_load_nothing(site: Path) -> None:
    drawn = sorted((site / "pictures").rglob("*.svg"))
    assert len(drawn) >= len(SEQUENCES)
    for path in drawn:
        picture = ElementTree.parse(path).getroot()
        assert picture.findtext(f"{SVG}title"), path.name
        for element in picture.iter():
            assert element.tag.removeprefix(SVG) not in {"script", "foreignObject", "image", "a", "use"}, path.name
            assert [name for name in element.attrib if name.startswith("on") or name.endswith("href")] == [], path.name
        assert "prefers-color-scheme:dark" in picture.findtext(f"{SVG}style", "")
        assert re.search(r"@import|@font-face|url\((?!#)", path.read_text()) is None, path.name

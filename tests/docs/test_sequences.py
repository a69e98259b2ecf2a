"""The pictures of sequences: each arrow goes from lifeline to lifeline, and no label hides another one or is cut off."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "scripts" / "sequences").glob("*.mmd"))
SVG = "{http://www.w3.org/2000/svg}"
# The text of the site is 688 pixels wide beside its navigation, on a desktop.
SITE_WIDTH, SMALLEST = 688, 12
TEXTS = """() => [...document.querySelectorAll("text")].map(text => {
    const box = text.getBoundingClientRect();
    return {text: text.textContent, left: box.left, right: box.right, top: box.top, bottom: box.bottom,
            size: parseFloat(getComputedStyle(text).fontSize)};
})"""
HEADS = """() => [...document.querySelectorAll("rect.box, rect.ask")].map(rect => {
    const box = rect.getBoundingClientRect();
    return {left: box.left, right: box.right, top: box.top, bottom: box.bottom};
})"""


def picture_of(source: Path) -> Path:
    return ROOT / "docs" / "pictures" / f"{source.stem}.svg"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": 1280, "height": 1200})
    yield page
    await page.close()


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    across = min(one["right"], other["right"]) - max(one["left"], other["left"])
    # Boxes of text have room above and below the letters.
    along = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    return across > 0 and along > 1


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_arrow_goes_from_lifeline_to_lifeline(source: Path) -> None:
    text = source.read_text()
    keys = re.findall(r"participant (\w+) as", text)
    expected = re.findall(r"(\w+)(--?)>>(\w+):", text)
    lines = [line.attrib for line in ElementTree.parse(picture_of(source)).getroot().iter(f"{SVG}polyline")]
    columns = [float(line["points"].split(",")[0]) for line in lines[: len(keys)]]
    assert columns == sorted(set(columns)), "lifelines are drawn first, from left to right"
    at = dict(zip(columns, keys, strict=True))
    arrows = [line for line in lines if "marker-end" in line]
    found = []
    for arrow in arrows:
        points = [float(point.split(",")[0]) for point in arrow["points"].split()]
        found.append((at[points[0]], "--" if "stroke-dasharray" in arrow else "-", at[points[-1]]))
    assert found == expected
    heights = [float(arrow["points"].split()[0].split(",")[1]) for arrow in arrows]
    assert heights == sorted(heights), "time goes down"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
@pytest.mark.asyncio(loop_scope="session")
async def test_every_label_can_be_read(page: Page, source: Path) -> None:
    await page.goto(picture_of(source).as_uri())
    root = ElementTree.parse(picture_of(source)).getroot()
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    texts = await page.evaluate(TEXTS)
    assert len(texts) > 8
    for n, one in enumerate(texts):
        assert one["left"] >= 0 and one["right"] <= width and one["top"] >= 0 and one["bottom"] <= height, one  # noqa: PT018
        assert one["size"] * min(1, SITE_WIDTH / width) >= SMALLEST
        assert [other["text"] for other in texts[n + 1 :] if overlap(one, other)] == [], one["text"]
    for box in await page.evaluate(HEADS):
        for one in texts:
            if overlap(one, box):
                assert box["left"] < one["left"] and one["right"] < box["right"], one["text"]  # noqa: PT018

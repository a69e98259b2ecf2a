"""Takes the pictures of all mails that the docs show: on a phone and on a desk, in light and in dark.

Run it from the root of the repository: python scripts/mail_pictures.py [name …]
"""

from __future__ import annotations

import asyncio
import base64
import struct
import sys
import zlib
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.mails import MAILS, SCHEMES, WIDTHS, mail, picture_name
from tests.services.browser import chromium

FOLDER: Final = Path(__file__).parent.parent / "docs" / "pictures" / "mails"
# Draws a picture on a canvas and counts its colors, so that it can be stored as one byte for each pixel.
_COUNT: Final = """async (source) => {
  const image = new Image(); image.src = source; await image.decode();
  const canvas = document.createElement("canvas"); canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data, counts = new Map(), keys = [];
  for (let at = 0; at < pixels.length; at += 4) {
    const key = pixels[at] << 16 | pixels[at + 1] << 8 | pixels[at + 2];
    keys.push(key); counts.set(key, (counts.get(key) || 0) + 1);
  }
  const colors = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 128).map((entry) => entry[0]), nearest = new Map();
  const far = (a, b) => [16, 8, 0].reduce((sum, bit) => sum + ((a >> bit & 255) - (b >> bit & 255)) ** 2, 0);
  for (const key of counts.keys()) {
    let best = 0;
    colors.forEach((color, index) => { if (far(color, key) < far(colors[best], key)) best = index; });
    nearest.set(key, best);
  }
  let text = ""; for (const key of keys) text += String.fromCharCode(nearest.get(key));
  return [image.width, image.height, colors, btoa(text)];
}"""


async def small_png(page: Any, png: bytes) -> bytes:
    """Return a picture with a palette of at most 128 colors.

    Parameters:
        page: a page of a browser, which reads it.
        png: the picture.
    """
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    width, height, colors, text = await page.evaluate(_COUNT, source)
    pixels = base64.b64decode(text)
    rows = b"".join(b"\0" + pixels[row * width : (row + 1) * width] for row in range(height))
    palette = b"".join(color.to_bytes(3) for color in colors)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


async def main(names: list[str]) -> None:
    """Take the pictures.

    Parameters:
        names: of which mails; of all where there are none.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        reader = await browser.new_page()
        for scheme in SCHEMES:
            for width in WIDTHS:
                context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 200})
                page = await context.new_page()
                for name in names or MAILS:
                    await page.set_content((await mail(name)).html or "")
                    png = await page.screenshot(full_page=True)
                    (FOLDER / picture_name(name, scheme, width)).write_bytes(await small_png(reader, png))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

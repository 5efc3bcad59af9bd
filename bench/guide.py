"""The pictures of docs/guide.md: the first page of two reports as a browser shows it, undated.

    python -m bench.guide out/assess/report.html out/guide/report.html

Needs playwright, and a `chromium` on the path.
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path("docs/img")
NAMES = ("guide-first", "guide-second")
SUFFIX = {"en": "", "ja": ".ja"}
WIDTH, HEIGHT = 1000, 1400  # CSS pixels of the window
COLOURS = 255  # as many as a palette has: half the bytes
UNDATED = "for (const line of document.querySelectorAll('.kicker')) line.style.display = 'none'"


def pictures(first: Path, second: Path, folder: Path) -> list[Path]:
    """Write both summaries in both languages; return the four files."""
    written = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for report, name in zip((first, second), NAMES, strict=True):
            page.goto(report.resolve().as_uri())
            page.evaluate(UNDATED)
            for language, suffix in SUFFIX.items():
                path = folder / f"{name}{suffix}.png"
                path.write_bytes(picture(page, language))
                written.append(path)
        browser.close()
    return written


def picture(page: Page, language: str) -> bytes:
    """Return the summary of a report in a language, PNG."""
    page.locator(f"header label[for={language}]").click()
    shown = page.locator(f"div.in[lang={language}] section.glance").screenshot()
    small = BytesIO()
    Image.open(BytesIO(shown)).convert("RGB").quantize(COLOURS).save(small, "png", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    for made in pictures(Path(sys.argv[1]), Path(sys.argv[2]), IMAGES):
        print(made, made.stat().st_size)

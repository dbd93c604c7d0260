"""Makes ``presentation.pdf`` from ``slides.md``: one page a slide, printed by Chromium.

Run ``python docs/presentation/build.py`` in the development environment.
"""

import shutil
import sys
from pathlib import Path

from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
STYLE = """
@page { size: 1280px 720px; margin: 0 }
body { margin: 0; font-family: Helvetica, Arial, sans-serif; color: #23313d }
section { width: 1280px; height: 720px; box-sizing: border-box; padding: 56px 72px;
  page-break-after: always; overflow: hidden; display: flex; flex-direction: column;
  border-top: 10px solid #1f5f8b }
h1 { font-size: 42px; margin: 0 0 24px; color: #1f5f8b }
h2 { font-size: 30px; margin: 0 0 24px; font-weight: normal }
p, li { font-size: 24px; line-height: 1.45 }
li { margin-bottom: 10px }
table { border-collapse: collapse; font-size: 20px }
th, td { text-align: left; padding: 10px 14px; vertical-align: top;
  border-bottom: 1px solid #c9d4dc }
pre { font-size: 22px; background: #eef3f6; padding: 20px; border-radius: 6px }
code { font-family: monospace; background: #eef3f6 }
p:has(img) { flex: 1; min-height: 0; margin: 0; text-align: center }
img { max-width: 100%; max-height: 100%; object-fit: contain }
img[alt=recorte] { width: 100%; height: 100%; object-fit: cover; object-position: top }
"""


def html(slides: str) -> str:
    """The slides as one page of HTML; a line of three hyphens parts them."""
    markdown = MarkdownIt("commonmark").enable("table")
    sections = "".join(
        f"<section>{markdown.render(slide)}</section>" for slide in slides.split("\n---\n")
    )
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{sections}'


def build() -> Path:
    """Write the PDF beside the slides."""
    page_file = FOLDER / "slides.html"
    page_file.write_text(html((FOLDER / "slides.md").read_text("utf-8")), "utf-8")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            page.goto(page_file.as_uri())
            page.pdf(path=FOLDER / "presentation.pdf", prefer_css_page_size=True)
            browser.close()
    finally:
        page_file.unlink()
    return FOLDER / "presentation.pdf"


if __name__ == "__main__":
    sys.stdout.write(f"Wrote {build().name}\n")

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
* { box-sizing: border-box }
body { margin: 0; font-family: "DejaVu Sans", Helvetica, Arial, sans-serif; color: #23313d }
section { width: 1280px; height: 720px; padding: 44px 64px 52px; page-break-after: always;
  overflow: hidden; display: flex; flex-direction: column; position: relative;
  border-left: 14px solid #1f5f8b }
section::after { content: attr(data-page); position: absolute; right: 28px; bottom: 16px;
  font-size: 15px; color: #8595a1 }
section::before { content: "Key Cash · keycash_assets"; position: absolute; left: 64px;
  bottom: 16px; font-size: 15px; color: #8595a1 }
h1 { font-size: 38px; margin: 0 0 20px; color: #1f5f8b; letter-spacing: -0.5px }
p, li { font-size: 23px; line-height: 1.45; margin-top: 0 }
ul { padding-left: 28px; margin: 0 0 12px }
li { margin-bottom: 12px }
li::marker { color: #e07a2f }
table { border-collapse: collapse; font-size: 20px; width: 100%; margin-bottom: 22px }
th { color: #1f5f8b; border-bottom: 2px solid #1f5f8b }
td { border-bottom: 1px solid #c9d4dc }
th, td { text-align: left; padding: 11px 14px; vertical-align: top }
pre { font-size: 21px; background: #eef3f6; padding: 18px 22px; border-radius: 6px;
  margin: 0 0 16px }
code { font-family: "DejaVu Sans Mono", monospace; font-size: 0.9em; background: #eef3f6 }
blockquote { margin: auto 0 0; padding: 14px 22px; background: #eef3f6; border-radius: 6px;
  border-left: 6px solid #e07a2f }
blockquote p { margin: 0 }
p:has(img) { flex: 1; min-height: 0; margin: 0; text-align: center }
img { max-width: 100%; max-height: 100%; object-fit: contain }
p:has(img[alt=topo]) { border: 1px solid #c9d4dc; border-radius: 8px; overflow: hidden;
  mask-image: linear-gradient(#000 86%, transparent) }
img[alt=topo] { width: 100%; height: 100%; object-fit: cover; object-position: top }
section.cover { justify-content: center; background: #1f5f8b; border-color: #e07a2f }
.cover h1 { font-size: 76px; color: #fff; margin-bottom: 12px }
.cover h2 { font-size: 36px; color: #fff; font-weight: normal; margin: 0 0 40px }
.cover p { color: #dbe8f1; max-width: 900px }
.cover::before, .cover::after { color: #a9c6da }
"""


def html(slides: str) -> str:
    """The slides as one page of HTML, parted by lines of three hyphens; the first is the cover."""
    markdown = MarkdownIt("commonmark").enable("table")
    parts = slides.split("\n---\n")
    sections = "".join(
        f'<section class="{"slide" if number > 1 else "cover"}" '
        f'data-page="{number} / {len(parts)}">{markdown.render(slide)}</section>'
        for number, slide in enumerate(parts, start=1)
    )
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{sections}'


def build() -> Path:
    """Write the PDF beside the slides.

    Raises:
        ValueError: Something of a slide does not fit on its page.
    """
    page_file = FOLDER / "slides.html"
    page_file.write_text(html((FOLDER / "slides.md").read_text("utf-8")), "utf-8")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page()
            page.goto(page_file.as_uri())
            too_long = page.evaluate(
                "[...document.querySelectorAll('section')]"
                ".filter(slide => slide.scrollHeight > slide.clientHeight)"
                ".map(slide => slide.dataset.page)"
            )
            if too_long:
                raise ValueError(f"Too much on the slides {', '.join(too_long)}")
            page.pdf(
                path=FOLDER / "presentation.pdf", prefer_css_page_size=True, print_background=True
            )
            browser.close()
    finally:
        page_file.unlink()
    return FOLDER / "presentation.pdf"


if __name__ == "__main__":
    sys.stdout.write(f"Wrote {build().name}\n")

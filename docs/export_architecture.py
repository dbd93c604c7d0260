"""Draws ``architecture.svg`` from ``architecture.drawio``, so that the two never differ.

Run ``python docs/export_architecture.py`` after editing the diagram. It knows the few things that
the diagram uses: boxes with a fill and a stroke, and straight or right-angled arrows with a label.
"""

import html
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

DIAGRAM = Path(__file__).with_name("architecture.drawio")
FONT_SIZE = 12
LINE_HEIGHT = 15


@dataclass(frozen=True)
class Box:
    """A rectangle of the diagram."""

    x: float
    y: float
    width: float
    height: float
    text: str
    style: dict[str, str]

    def point(self, x: float, y: float) -> tuple[float, float]:
        """The point at these fractions of width and height."""
        return self.x + self.width * x, self.y + self.height * y


def svg(diagram: str) -> str:
    """The diagram as SVG text.

    Args:
        diagram: Text of an uncompressed draw.io file.
    """
    cells = ElementTree.fromstring(diagram).findall(".//mxCell")  # noqa: S314  our own file
    boxes = {cell.get("id", ""): _box(cell) for cell in cells if cell.get("vertex")}
    width = max(box.x + box.width for box in boxes.values()) + 20
    height = max(box.y + box.height for box in boxes.values()) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="{FONT_SIZE}" fill="#333">',
        '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#555"/>'
        "</marker></defs>",
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        *(_draw_box(box) for box in boxes.values()),
        *(_draw_arrow(cell, boxes) for cell in cells if cell.get("edge")),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _box(cell: ElementTree.Element) -> Box:
    geometry = cell.find("mxGeometry")
    assert geometry is not None  # noqa: S101  draw.io writes one for each box
    x, y, width, height = (float(geometry.get(n, "0")) for n in ("x", "y", "width", "height"))
    return Box(x, y, width, height, cell.get("value", ""), _style(cell))


def _style(cell: ElementTree.Element) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=([^;]*)", cell.get("style", "")))


def _draw_box(box: Box) -> str:
    dash = ' stroke-dasharray="5 4"' if box.style.get("dashed") == "1" else ""
    rectangle = (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="6" '
        f'fill="{box.style.get("fillColor", "#ffffff")}" '
        f'stroke="{box.style.get("strokeColor", "#666666")}"{dash}/>'
    )
    at_top = box.style.get("verticalAlign") == "top"
    middle, y = box.point(0.5, 0.5)
    return rectangle + _text(box.text, middle, box.y + 18 if at_top else y, centered=not at_top)


def _text(text: str, x: float, y: float, *, centered: bool = True) -> str:
    lines = re.split(r"<br\s*/?>", text)
    first = y - (len(lines) - 1) * LINE_HEIGHT / 2 + 4 if centered else y
    drawn = []
    for number, line in enumerate(lines):
        bold = ' font-weight="bold"' if line.startswith("<b>") else ""
        plain = html.escape(html.unescape(re.sub(r"</?\w+>", "", line)))
        drawn.append(
            f'<text x="{x:g}" y="{first + number * LINE_HEIGHT:g}" text-anchor="middle"{bold}>'
            f"{plain}</text>"
        )
    return "".join(drawn)


def _draw_arrow(cell: ElementTree.Element, boxes: dict[str, Box]) -> str:
    style = _style(cell)
    start, end = boxes[cell.get("source", "")], boxes[cell.get("target", "")]
    x1, y1 = start.point(float(style["exitX"]), float(style["exitY"]))
    x2, y2 = end.point(float(style["entryX"]), float(style["entryY"]))
    corners = [
        (float(point.get("x", "0")), float(point.get("y", "0")))
        for point in cell.findall("./mxGeometry/Array/mxPoint")
    ]
    points = [(x1, y1), *corners, (x2, y2)]
    line = " ".join(f"{x:g},{y:g}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if style.get("dashed") == "1" else ""
    segments = [(points[number], points[number + 1]) for number in range(len(points) - 1)]
    longest = max(
        segments,
        key=lambda pair: abs(pair[0][0] - pair[1][0]) + abs(pair[0][1] - pair[1][1]),
    )
    label_x = (longest[0][0] + longest[1][0]) / 2
    label_y = (longest[0][1] + longest[1][1]) / 2
    label = cell.get("value", "")
    lines = re.split(r"<br\s*/?>", label)
    half = max(map(len, lines)) * 3.1 + 3
    tall = LINE_HEIGHT * len(lines)
    background = (
        f'<rect x="{label_x - half:g}" y="{label_y - tall / 2:g}" width="{2 * half:g}" '
        f'height="{tall:g}" fill="#ffffff" fill-opacity="0.9"/>'
        if label
        else ""
    )
    return (
        f'<polyline points="{line}" fill="none" stroke="#555" stroke-width="1.3"{dash} '
        f'marker-end="url(#arrow)"/>{background}{_text(label, label_x, label_y) if label else ""}'
    )


if __name__ == "__main__":
    DIAGRAM.with_suffix(".svg").write_text(svg(DIAGRAM.read_text("utf-8")), "utf-8")
    sys.stdout.write(f"Wrote {DIAGRAM.with_suffix('.svg').name}\n")

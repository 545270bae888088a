# SPDX-License-Identifier: Apache-2.0
"""The table as a picture: bars in an SVG of text and rectangles, readable on light and on dark."""
from xml.sax.saxutils import escape

WIDTH, NAME_WIDTH, VALUE_WIDTH, MARGIN = 960, 290, 70, 16
BAR, GAP, HEAD = 12, 5, 44
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 14px }
.note { fill: #57606a }
.ours { fill: #0969da }
.other { fill: #8c959f }
.floor { fill: #bf8700 }
.axis { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.note { fill: #9198a1 }
.ours { fill: #4493f8 }
.other { fill: #6e7681 }
.floor { fill: #d29922 }
.axis { stroke: #3d444d }
}
"""


def _format(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _panel(title, bars, x, y, width):
    """bars: (name, value, class). Returns the pieces and the height."""
    pieces = [f'<text class="title" x="{x}" y="{y + 16}">{escape(title)}</text>']
    left = x + NAME_WIDTH
    room = width - NAME_WIDTH - VALUE_WIDTH
    largest = max(value for _, value, _ in bars) or 1
    at = y + 28
    for name, value, kind in bars:
        length = max(1, room * value / largest)
        pieces.append(f'<text x="{left - 8}" y="{at + 10}" text-anchor="end">{escape(name)}</text>'
                      f'<rect class="{kind}" x="{left}" y="{at}" width="{length:.1f}" '
                      f'height="{BAR}" rx="2"/>'
                      f'<text x="{left + length + 6:.1f}" y="{at + 10}">{_format(value)}</text>')
        at += BAR + GAP
    pieces.append(f'<line class="axis" x1="{left}" y1="{y + 24}" x2="{left}" y2="{at}"/>')
    return pieces, at - y + GAP * 2


def svg(title, note, panels):
    """panels: (title, bars); a panel without bars is left out."""
    pieces, y = [], HEAD + 12
    for panel_title, bars in panels:
        if bars:
            more, height = _panel(panel_title, bars, MARGIN, y, WIDTH - 2 * MARGIN)
            pieces += more
            y += height + GAP
    body = "\n".join(pieces)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
            f'height="{y}" role="img">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n'
            f'<text class="title" x="{MARGIN}" y="22">{escape(title)}</text>\n'
            f'<text class="note" x="{MARGIN}" y="40">{escape(note)}</text>\n{body}\n</svg>\n')

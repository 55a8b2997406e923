"""A picture in SVG: texts, boxes, lines, curves and axes."""

import html

WIDTH = 860
# Each picture has a background of its own, because GitHub shows it on a light or on a dark page.
PAPER, INK, SOFT, LINE = "#ffffff", "#1f2328", "#59636e", "#8c959f"
BLUE, GREEN, RED, AMBER, GREY = "#0969da", "#1a7f37", "#cf222e", "#9a6700", "#57606a"
FILLS = {BLUE: "#ddf4ff", GREEN: "#dafbe1", RED: "#ffebe9", AMBER: "#fff8c5", GREY: "#f0f2f4"}
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Picture:
    def __init__(self, title, description, height):
        self.height = height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
            f' font-family="{FONT}" font-size="13" role="img" aria-labelledby="title description">',
            f'<title id="title">{html.escape(title)}</title>',
            f'<desc id="description">{html.escape(description)}</desc>',
            '<defs>',
            *(
                f'<marker id="arrow-{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
                f' orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
                for colour in (GREY, BLUE, GREEN, RED)
            ),
            '</defs>',
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" fill="{PAPER}" stroke="#d1d9e0"/>',
        ]

    def text(self, x, y, words, anchor="start", size=13, colour=INK, bold=False):
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{weight}>'
            f"{html.escape(words, quote=False)}</text>"
        )

    def box(self, x, y, width, height, colour, *lines, bold=True, dashed=False):
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{FILLS[colour]}"'
            f' stroke="{colour}"{dash}/>'
        )
        top = y + height / 2 - 9 * (len(lines) - 1) + 4.5
        for n, line in enumerate(lines):
            self.text(x + width / 2, top + 18 * n, line, "middle", 13 if n == 0 else 12, bold=bold and n == 0)

    def line(self, x1, y1, x2, y2, colour=GREY, arrow=False, both=False, dashed=False, width=1.5):
        ends = f' marker-end="url(#arrow-{colour[1:]})"' if arrow or both else ""
        ends += f' marker-start="url(#arrow-{colour[1:]})"' if both else ""
        ends += ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" stroke-width="{width}"{ends}/>'
        )

    def axis(self, y, ticks, at, unit):
        """Draws a time axis. `at` converts a tick to an x coordinate."""
        self.line(at(ticks[0]), y, at(ticks[-1]) + 14, y, arrow=True)
        for tick in ticks:
            self.line(at(tick), y - 4, at(tick), y + 4)
            self.text(at(tick), y + 20, f"{tick:g}{unit}", "middle", 12, SOFT)

    def grid(self, left, right, bottom, rows, columns):
        """Draws the axes of a diagram. `rows` has the y of each label at the left, and `columns` the x of each label below."""
        for label, y in rows.items():
            self.line(left, y, right, y, "#d1d9e0", width=1)
            self.text(left - 8, y + 4.5, label, "end", 12, SOFT)
        self.line(left, bottom, right, bottom)
        for label, x in columns.items():
            self.line(x, bottom - 4, x, bottom + 4)
            self.text(x, bottom + 20, label, "middle", 12, SOFT)

    def curve(self, points, colour, label, label_y, dashed=False):
        """Draws a line through `points`, with its label at the right of the last point, at the height `label_y`."""
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        for x, y in points:
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        x, y = points[-1]
        self.line(x + 5, y, x + 16, label_y, colour, width=1)
        self.text(x + 20, label_y + 4.5, label, size=12, colour=colour, bold=True)

    def write(self, path):
        path.write_text("\n".join([*self.parts, "</svg>", ""]))

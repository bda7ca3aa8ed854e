"""Verbs and their objects as a sunburst, as in figure 3 of the paper: one HTML file that loads nothing and runs no script."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass

from studio.insight.diversity.phrases import PhraseFigures
from studio.text import display_line

_SIZE = 900
_HOLE, _VERBS, _OBJECTS = 105, 260, 430
"""Radii: the hole, the outer edge of the verbs, the outer edge of the objects."""
_TURN = 2 * math.pi
_LETTER = 14
"""A label is left out where its sector is narrower than this at its middle."""
_WORD_WIDTH = 22

SUNBURST_STYLE = """\
.sunburst path { stroke: var(--page); stroke-width: 1.5 }
.sunburst text { text-anchor: middle; dominant-baseline: central; pointer-events: none }
.label { fill: #16181d }
.verb { font-weight: 600 }
.about { visibility: hidden; fill: var(--ink); font-size: 17px }
.about circle { fill: var(--page) }
.sector:hover .about, .sector:focus .about { visibility: visible }
.sector:hover path, .sector:focus path { filter: brightness(1.12); stroke: var(--ink) }
.sector:focus { outline: none }
.still { fill: var(--ink); font-size: 17px }
"""
"""What `sunburst_chart` needs of a page, besides the colours --page and --ink."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --page: light-dark(#fff, #16181d); --ink: light-dark(#1a1c20, #e8eaee) }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif }}
body {{ background: var(--page); color: var(--ink) }}
svg {{ display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif }}
{style}table {{ border-collapse: collapse }}
td, th {{ padding: .15rem 1rem .15rem 0; text-align: left; vertical-align: top }}
td:nth-child(2) {{ text-align: right; font-variant-numeric: tabular-nums }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
{chart}
<table><thead><tr><th>verb</th><th>instructions</th><th>objects</th></tr></thead><tbody>
{rows}
</tbody></table>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Sector:
    """A part of a ring, angles in radians from the top, clockwise. `words` are as the model wrote them."""

    words: tuple[str, ...]
    count: int
    inner: int
    outer: int
    start: float
    end: float
    colour: str


def sunburst(figures: PhraseFigures, source: str) -> str:
    """Return the page. `source` names the pool.

    The inner ring has the verbs of `figures`, as wide as the instructions that have them with an object; the outer ring their most common
    objects, and a gap for all others. Pointing at a sector, or reaching it by the tab key, tells its count.
    """
    title = f"Verbs and their objects in {_safe(source, 80)}"
    return _PAGE.format(
        title=title,
        summary=sunburst_words(figures),
        style=SUNBURST_STYLE,
        chart=sunburst_chart(figures, title),
        rows="\n".join(_rows(figures)),
    )


def sunburst_words(figures: PhraseFigures) -> str:
    """Return what the chart shows, in words of our own."""
    return (
        f"{figures.with_pair:,} of {figures.instructions:,} instructions ({figures.pair_share:.1%}) have a root verb with a direct object. "
        f"Shown are the {len(figures.branches)} most common verbs with their most common objects: {figures.covered_share:.1%} of all "
        "instructions. Gaps in the outer ring are the other objects."
    )


def sunburst_chart(figures: PhraseFigures, title: str) -> str:
    """Return the chart alone, an SVG; `title` is markup already."""
    low = -_SIZE // 2
    sectors = "\n".join(_drawn(sector, figures.instructions) for sector in _sectors(figures))
    return (
        f'<svg class="sunburst" viewBox="{low} {low} {_SIZE} {_SIZE}" role="group" aria-label="{title}">\n'
        f'<text class="still" y="-10">{figures.with_pair:,} instructions</text><text class="still" y="14">with a verb and object</text>\n'
        f"{sectors}\n</svg>"
    )


def _sectors(figures: PhraseFigures) -> Iterator[_Sector]:
    whole = sum(branch.count for branch in figures.branches)
    start = 0.0
    for place, branch in enumerate(figures.branches):
        hue = round(360 * place / len(figures.branches))
        end = start + _TURN * branch.count / whole
        yield _Sector((branch.verb,), branch.count, _HOLE, _VERBS, start, end, f"hsl({hue} 62% 66%)")
        inside = start
        for noun, count in branch.objects:
            outside = inside + _TURN * count / whole
            yield _Sector((branch.verb, noun), count, _VERBS, _OBJECTS, inside, outside, f"hsl({hue} 62% 80%)")
            inside = outside
        start = end


def _drawn(sector: _Sector, instructions: int) -> str:
    about = " ".join(_safe(word) for word in sector.words)
    count = f"{sector.count:,} ({sector.count / instructions:.1%})"
    return (
        f'<g class="sector" tabindex="0"><title>{about}: {count}</title><path d="{_path(sector)}" fill="{sector.colour}"/>{_label(sector)}'
        f'<g class="about"><circle r="{_HOLE - 3}"/><text y="-10">{about}</text><text y="14">{count}</text></g></g>'
    )


def _path(sector: _Sector) -> str:
    # An arc from a point to itself draws nothing: a whole ring ends just before its start.
    end = min(sector.end, sector.start + _TURN - 1e-4)
    large = int(end - sector.start > math.pi)
    (ax, ay), (bx, by) = _point(sector.outer, sector.start), _point(sector.outer, end)
    (cx, cy), (dx, dy) = _point(sector.inner, end), _point(sector.inner, sector.start)
    return (
        f"M{ax:.2f} {ay:.2f}A{sector.outer} {sector.outer} 0 {large} 1 {bx:.2f} {by:.2f}"
        f"L{cx:.2f} {cy:.2f}A{sector.inner} {sector.inner} 0 {large} 0 {dx:.2f} {dy:.2f}Z"
    )


def _label(sector: _Sector) -> str:
    middle, radius = (sector.start + sector.end) / 2, (sector.inner + sector.outer) / 2
    if (sector.end - sector.start) * radius < _LETTER:
        return ""
    # Along the radius, and never upside down: on the left half the text is turned round.
    turn = math.degrees(middle) - 90 + (180 if middle > math.pi else 0)
    x, y = _point(radius, middle)
    kind = "label verb" if len(sector.words) == 1 else "label"
    return f'<text class="{kind}" transform="translate({x:.2f} {y:.2f}) rotate({turn:.2f})">{_safe(sector.words[-1])}</text>'


def _point(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.sin(angle), -radius * math.cos(angle)


def _rows(figures: PhraseFigures) -> Iterator[str]:
    for branch in figures.branches:
        objects = ", ".join(f"{_safe(noun)} {count:,}" for noun, count in branch.objects)
        yield f"<tr><td>{_safe(branch.verb)}</td><td>{branch.count:,}</td><td>{objects}</td></tr>"


def _safe(text: str, width: int = _WORD_WIDTH) -> str:
    return html.escape(display_line(text, width))

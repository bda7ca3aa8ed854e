"""Verbs and their objects as a sunburst, as in figure 3 of the paper: one HTML file that loads nothing and runs no script.

Its markup stands in `sunburst.html`, which escapes whatever is put into it; here is the geometry.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from studio.insight.phrases import PhraseFigures
from studio.text import display_line

if TYPE_CHECKING:
    from jinja2.environment import TemplateModule


_SIZE = 900
_HOLE, _VERBS, _OBJECTS = 105, 260, 430
"""Radii: the hole, the outer edge of the verbs, the outer edge of the objects."""
_TURN = 2 * math.pi
_LETTER = 14
"""A label is left out where its sector is narrower than this at its middle."""
_WORD_WIDTH = 22


def sunburst(figures: PhraseFigures, source: str) -> str:
    """Return the page. `source` names the pool.

    The inner ring has the verbs of `figures`, as wide as the instructions that have them with an object; the outer ring their most common
    objects, and a gap for all others. Pointing at a sector, or reaching it by the tab key, tells its count.
    """
    title = f"Verbs and their objects in {display_line(source, 80)}"
    return str(_markup().page(figures, sunburst_chart(figures, title), title, sunburst_words(figures)))


def sunburst_words(figures: PhraseFigures) -> str:
    """Return what the chart shows, in words of our own."""
    return (
        f"{figures.with_pair:,} of {figures.instructions:,} instructions ({figures.pair_share:.1%}) have a root verb with a direct object. "
        f"Shown are the {len(figures.branches)} most common verbs with their most common objects: {figures.covered_share:.1%} of all "
        "instructions. Gaps in the outer ring are the other objects."
    )


def sunburst_chart(figures: PhraseFigures, title: str) -> Any:
    """Return the chart alone, an SVG, as markup that templates take as it is. It needs `sunburst_style`."""
    return _markup().chart(figures, _sectors(figures), title, _SIZE, _HOLE)


def sunburst_style() -> Any:
    """Return the style of the chart, for a page that has the colours --page and --ink."""
    return _markup().style()


@cache
def _markup() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("studio", "insight"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"comma": "{:,}".format, "word": _word}
    module: TemplateModule = environment.get_template("sunburst.html").module
    return module


@dataclass(frozen=True, slots=True)
class _Sector:
    """A part of a ring, angles in radians from the top, clockwise. `words` are the verb and perhaps its object, as the model wrote them."""

    words: tuple[str, ...]
    count: int
    instructions: int
    inner: int
    outer: int
    start: float
    end: float
    colour: str

    @property
    def about(self) -> str:
        return " ".join(map(_word, self.words))

    @property
    def word(self) -> str:
        return _word(self.words[-1])

    @property
    def share(self) -> str:
        return f"{self.count:,} ({self.count / self.instructions:.1%})"

    @property
    def kind(self) -> str:
        return "label verb" if len(self.words) == 1 else "label"

    @property
    def path(self) -> str:
        """The outline, as SVG has it."""
        # An arc from a point to itself draws nothing: a whole ring ends just before its start.
        end = min(self.end, self.start + _TURN - 1e-4)
        large = int(end - self.start > math.pi)
        (ax, ay), (bx, by) = _point(self.outer, self.start), _point(self.outer, end)
        (cx, cy), (dx, dy) = _point(self.inner, end), _point(self.inner, self.start)
        return (
            f"M{ax:.2f} {ay:.2f}A{self.outer} {self.outer} 0 {large} 1 {bx:.2f} {by:.2f}"
            f"L{cx:.2f} {cy:.2f}A{self.inner} {self.inner} 0 {large} 0 {dx:.2f} {dy:.2f}Z"
        )

    @property
    def label(self) -> str:
        """Where the word stands and how it is turned, as SVG has it; empty where there is no room for it."""
        middle, radius = (self.start + self.end) / 2, (self.inner + self.outer) / 2
        if (self.end - self.start) * radius < _LETTER:
            return ""
        # Along the radius, and never upside down: on the left half the text is turned round.
        turn = math.degrees(middle) - 90 + (180 if middle > math.pi else 0)
        x, y = _point(radius, middle)
        return f"translate({x:.2f} {y:.2f}) rotate({turn:.2f})"


def _sectors(figures: PhraseFigures) -> Iterator[_Sector]:
    whole = sum(branch.count for branch in figures.branches)
    start = 0.0
    for place, branch in enumerate(figures.branches):
        hue = round(360 * place / len(figures.branches))
        end = start + _TURN * branch.count / whole
        yield _Sector((branch.verb,), branch.count, figures.instructions, _HOLE, _VERBS, start, end, f"hsl({hue} 62% 66%)")
        inside = start
        for noun, count in branch.objects:
            outside = inside + _TURN * count / whole
            words = (branch.verb, noun)
            yield _Sector(words, count, figures.instructions, _VERBS, _OBJECTS, inside, outside, f"hsl({hue} 62% 80%)")
            inside = outside
        start = end


def _point(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.sin(angle), -radius * math.cos(angle)


def _word(text: str) -> str:
    return display_line(text, _WORD_WIDTH)

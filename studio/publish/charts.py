"""Charts as shapes, which a template draws as SVG.

Each figure that a chart shows stands in it, or in a table beside it, as text too; colour is never its only carrier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.text import display_line

WIDTH = 720
"""Of every chart, in units of its view box; the page scales it."""
HEADING = "heading"
"""The kind of a line that names the bars below it."""
_LABEL = 190
"""Units kept for the labels at the left of bars."""
_LABEL_CHARACTERS = 28
_STACK_LABEL = 250
_LINE = 22
_WIDEST = 96
"""Units of an upright bar at most."""
_DOTS = 40
"""Points of a curve up to which each has a dot."""
_COUNT = 120
"""Units kept for the figures at the right of bars."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An element of a drawing: its name in SVG, its attributes, which are all of our own making, and the text in it."""

    name: str
    attributes: Mapping[str, str]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of `WIDTH` times `height` units."""

    title: str
    height: float
    shapes: Sequence[Shape]


def label(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Shape:
    """Return one line of text at a point."""
    return Shape("text", _at(x=x, y=y) | {"class": kind, "text-anchor": anchor}, display_line(words, 80))


def box(x: float, y: float, width: float, height: float, kind: str) -> Shape:
    return Shape("rect", _at(x=x, y=y, width=max(width, 0), height=height) | {"class": kind})


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Shape:
    return Shape("line", _at(x1=x1, y1=y1, x2=x2, y2=y2) | {"class": kind})


def _at(**places: float) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in places.items()}


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar: a share of 0 to 1 of the chart's width, and the figures at its end."""

    name: str
    share: float = 0.0
    figures: str = ""
    low: float | None = None
    high: float | None = None
    kind: str = "bar"


def bars(title: str, rows: Sequence[Bar]) -> Chart:
    """Return horizontal bars, one a line, with intervals where rows have them; of a heading the name only."""
    room = WIDTH - _LABEL - _COUNT
    parts = []
    for place, row in enumerate(rows):
        top = place * _LINE
        if row.kind == HEADING:
            parts.append(label(0, top + 17, row.name, HEADING))
            continue
        parts += [
            label(_LABEL - 8, top + 15, display_line(row.name, _LABEL_CHARACTERS), anchor="end"),
            box(_LABEL, top + 4, row.share * room, _LINE - 8, row.kind),
            label(_LABEL + max(row.share, row.high or 0) * room + 6, top + 15, row.figures, "quiet"),
        ]
        if row.low is not None and row.high is not None:
            left, right, middle = _LABEL + row.low * room, _LABEL + row.high * room, top + _LINE / 2
            parts += [line(left, middle, right, middle, "interval")]
            parts += [line(end, middle - 4, end, middle + 4, "interval") for end in (left, right)]
    return Chart(title, len(rows) * _LINE + 2, parts)


def columns(title: str, names: Sequence[str], counts: Sequence[int]) -> Chart:
    """Return upright bars of counts, each with its count above and its name below; the highest fills the height."""
    height = 150
    most = max(counts, default=0) or 1
    step = WIDTH / max(len(counts), 1)
    wide = min(step * 0.8, _WIDEST)
    parts = [line(0, height + 18, WIDTH, height + 18, "axis")]
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        tall, middle = count / most * height, (place + 0.5) * step
        parts += [
            box(middle - wide / 2, height + 18 - tall, wide, tall, "bar"),
            label(middle, height + 12 - tall, f"{count:,}", "quiet", "middle"),
            label(middle, height + 35, name, "", "middle"),
        ]
    return Chart(title, height + 42, parts)


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar of parts: what it is of, and the count of each part."""

    name: str
    counts: tuple[int, ...]


def stacks(title: str, names: Sequence[str], rows: Sequence[Stack]) -> Chart:
    """Return stacked bars of full width, one a line, each part with its share; parts have the classes part0, part1 and so on."""
    room, tall = WIDTH - _STACK_LABEL - 60, 30
    parts = []
    for place, row in enumerate(rows):
        total, top, left = sum(row.counts), place * tall, float(_STACK_LABEL)
        name = display_line(row.name, _LABEL_CHARACTERS * _STACK_LABEL // _LABEL)
        parts += [label(_STACK_LABEL - 8, top + 19, name, anchor="end"), label(WIDTH - 54, top + 19, f"n = {total:,}", "quiet")]
        for number, count in enumerate(row.counts):
            wide = count / total * room if total else 0.0
            parts.append(box(left, top + 3, wide, tall - 6, f"part{number}"))
            if wide > 56:
                parts.append(label(left + wide / 2, top + 19, f"{names[number]} {count / total:.0%}", f"on{number}", "middle"))
            elif wide > 14:
                parts.append(label(left + wide / 2, top + 19, names[number], f"on{number}", "middle"))
            left += wide
    return Chart(title, len(rows) * tall + 2, parts)


@dataclass(frozen=True, slots=True)
class Series:
    """Points of a curve, in the order of their abscissae; `kind` is its class: curve0 or curve1."""

    name: str
    points: tuple[tuple[float, float], ...]
    kind: str


def curves(title: str, series: Sequence[Series], across: str, *, figures: str = "{:.2f}") -> Chart:
    """Return curves over one axis from the least to the greatest abscissa, the ordinate from 0; a legend names each.

    `figures` is the format of the numbers at the ordinate.
    """
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    height = 220
    low, high, top = min(xs, default=0.0), max(xs, default=1.0), max(ys, default=1.0) or 1.0
    left, bottom = 52.0, height + 14.0

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (x - low) / ((high - low) or 1.0) * (WIDTH - left - 12), bottom - y / top * height

    parts = [*_grid(left, bottom, height, top, figures), *_across(left, bottom + 18, low, high, across)]
    for number, each in enumerate(series):
        corners = [at(*point) for point in each.points]
        parts.append(Shape("polyline", {"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in corners), "class": each.kind}))
        if len(corners) <= _DOTS:
            parts += [Shape("circle", _at(cx=x, cy=y, r=3) | {"class": each.kind}) for x, y in corners]
        # Below right, where a curve that rises or falls leaves room.
        y = bottom - 14 - 18 * (len(series) - 1 - number)
        parts += [line(WIDTH - 200, y, WIDTH - 176, y, each.kind), label(WIDTH - 170, y + 4, each.name)]
    return Chart(title, bottom + 26, parts)


def _grid(left: float, bottom: float, height: float, top: float, figures: str) -> list[Shape]:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - share * height
        parts += [line(left, y, WIDTH - 12, y, "grid"), label(left - 8, y + 4, figures.format(share * top), "quiet", "end")]
    return parts


def _across(left: float, y: float, low: float, high: float, words: str) -> list[Shape]:
    ends = [label(left, y, f"{low:,.10g}", "quiet", "middle"), label(WIDTH - 12, y, f"{high:,.10g}", "quiet", "end")]
    return [*ends, label((left + WIDTH) / 2, y, words, "quiet", "middle")]

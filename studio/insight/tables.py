"""What all reports share: plain tables, rounds or generations summed up, bars that need no colour, and how long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from rich.table import Table
from rich.text import Text

WIDTH = 30
GROUPS = 12
"""Lines for the rounds or generations of a pool; of more of them, neighbours are summed up."""
_EIGHTHS = " ▏▎▍▌▋▊▉"

Row = TypeVar("Row")


def plain_table(*headings: str, rows: Iterable[Sequence[str | Text]] = (), left: Collection[int] = (0,), caption: str = "") -> Table:
    """Return a table without lines, its columns to the right but for those at the places `left`. None of its words are markup."""
    table = Table(
        box=None, pad_edge=False, header_style="bold", caption=Text(caption, "table.caption") if caption else None, caption_justify="left"
    )
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="left" if place in left else "right")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def grouped(rows: Sequence[Row], number: Callable[[Row], int], most: int = GROUPS) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield at most `most` groups of neighbours, each under the numbers of its first and last row."""
    size = max(-(-len(rows) // most), 1)
    for start in range(0, len(rows), size):
        group = rows[start : start + size]
        first, last = number(group[0]), number(group[-1])
        yield (f"{first:,}" if len(group) == 1 else f"{first:,} to {last:,}"), group


def bar(share: float, width: int = WIDTH) -> str:
    """Return a bar for a share of 0 to 1, exact to an eighth of a character; anything above 0 shows at least that."""
    eighths = max(round(share * width * 8), 1) if share > 0 else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def counted_bins(counts: Sequence[int]) -> Iterator[Text]:
    """Yield a line for each of some equal bins from 0 to 1: its edges, its count, its share of all, and a bar; the fullest is widest."""
    most, total = max(counts, default=0), sum(counts)
    figures = len(f"{most:,}")
    for edges, count in zip(bin_edges(len(counts)), counts, strict=True):
        share = count / total if total else 0.0
        yield Text(f"{edges}  {count:>{figures},}  {share:>6.1%}  {bar(count / most if most else 0.0)}")


def bin_edges(number: int) -> list[str]:
    """Return what that many equal bins from 0 to 1 are called."""
    return [f"{place / number:.1f} to {(place + 1) / number:.1f}" for place in range(number)]


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many of how many are done; may raise to give up. A total of 0: nobody knows."""

_EVERY = 256

Item = TypeVar("Item")


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


def told(items: Iterable[Item], progress: Progress, what: str, total: int, every: int = _EVERY) -> Iterator[Item]:
    """Yield `items`, and say so after each `every` of them and at the end."""
    done = 0
    progress(what, 0, total)
    for done, item in enumerate(items, 1):
        yield item
        if done % every == 0:
            progress(what, done, total)
    progress(what, done, total)

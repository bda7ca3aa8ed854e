"""What all reports for a terminal are made of: plain tables, and bars that need no colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text


def plain_table(*headings: str) -> Table:
    """A table without lines: the first column to the left, the others to the right. Headings are no markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="left" if place == 0 else "right")
    return table


WIDTH = 30
_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int = WIDTH) -> str:
    """Return a bar for a share of 0 to 1, exact to an eighth of a character; anything above 0 shows at least that."""
    eighths = max(round(share * width * 8), 1) if share > 0 else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def counted_bins(counts: Sequence[int], width: int = WIDTH) -> Iterator[Text]:
    """Yield a line for each of some equal bins from 0 to 1: its edges, its count, its share of all, and a bar; the fullest is widest."""
    labels = [f"{place / len(counts):.1f} to {(place + 1) / len(counts):.1f}" for place in range(len(counts))]
    yield from labelled_bars(labels, counts, width)


def labelled_bars(labels: Sequence[str], counts: Sequence[int], width: int = WIDTH) -> Iterator[Text]:
    """Yield a line for each count: label, count, share of all, and a bar; the fullest is widest."""
    most, total = max(counts, default=0), sum(counts)
    column = max(map(len, labels), default=0)
    figures = len(f"{most:,}")
    for label, count in zip(labels, counts, strict=True):
        share = count / total if total else 0.0
        yield Text(f"{label:>{column}}  {count:>{figures},}  {share:>6.1%}  {bar(count / most if most else 0.0, width)}")

"""The plain kind of table that all reports use."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text


def plain_table(*headings: str) -> Table:
    """A table without lines: the first column to the left, the others to the right. Headings are no markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="left" if place == 0 else "right")
    return table

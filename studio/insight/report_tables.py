"""The plain kind of table that all reports use."""

from __future__ import annotations

from rich.table import Table


def plain_table(*headings: str) -> Table:
    """A table without lines: the first column to the left, the others to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right")
    return table

"""Tables in one JSON object: columns, pandas' `columns` and `split`, objects by their ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from studio.seeds.fields import kind_of


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row of a table that does not fit its columns."""

    row: object
    fault: str


def _rows(names: list[str], rows: list[object]) -> list[object]:
    """Return the records of a table whose rows are lists, in the order of `names`."""
    twice = next((name for name in names if names.count(name) > 1), None)

    def record(row: object) -> object:
        if not isinstance(row, list):
            return OddRow(row, f"{kind_of(row)} where a row is needed, which is a list")
        if len(row) != len(names):
            return OddRow(row, f"a row of {len(row):,} values where there are {len(names):,} columns")
        return OddRow(row, f"there are two columns {twice!r}") if twice is not None else dict(zip(names, row, strict=True))

    return [record(row) for row in rows]


def table_in(value: Mapping[str, object]) -> list[object] | None:
    """Return the records of a table: columns of lists or of objects by row, pandas' `split`, or objects by their ids. Else None."""
    columns = list(value.values())
    if {"columns", "data"} <= value.keys() and isinstance(value["columns"], list) and isinstance(value["data"], list):
        return _rows([str(name) for name in value["columns"]], value["data"])
    if columns and all(isinstance(column, list) for column in columns) and not any(holds_objects(column) for column in columns):
        # Without rows it is no table: a line with an empty conversation is a record, and a faulty one.
        if columns[0] and len({len(column) for column in columns if isinstance(column, list)}) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
        return None
    if columns and all(isinstance(column, dict) and column for column in columns):
        rows = [column for column in columns if isinstance(column, dict)]
        if all(isinstance(each, dict) for each in rows[0].values()):
            return None
        if "instruction" in value or all(key.isdigit() for key in rows[0]):
            keys = dict.fromkeys(key for column in rows for key in column)
            return [{name: column.get(key) for name, column in zip(value, rows, strict=True)} for key in keys]
        return [{"id": name, **row} for name, row in zip(value, rows, strict=True)]
    return None


def holds_objects(column: object) -> bool:
    """Return whether a value is a list that has objects."""
    return isinstance(column, list) and any(isinstance(each, dict) for each in column)

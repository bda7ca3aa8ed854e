"""Exports as Parquet: the same records as JSON lines, in columns whose types are those of the format and not of the data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, BinaryIO, Union, get_args, get_origin, get_type_hints

from studio.errors import PoolError, missing_extra
from studio.pool.exchange.formats import Format, Record, find_format
from studio.pool.stream import ExportTask
from studio.records import Turn
from studio.text import storable

SUFFIX = ".parquet"
_RECORDS = 200
"""Records that are held as objects."""
_GROUP = 32 << 20
"""Bytes of a row group, before they are packed: what is held at the most."""


def require_parquet() -> None:
    """Raise UsageError, with how to install it, when Parquet cannot be written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise missing_extra("Parquet is written", "data") from error


class ParquetFile:
    """A Parquet file of records of one format, written a row group at a time. Equal records give equal bytes with the same pyarrow.

    Close it at the end, or nothing is there that can be read.
    """

    def __init__(self, file: BinaryIO, format_name: str) -> None:
        from pyarrow.parquet import ParquetWriter

        self._schema = schema_of(format_name)
        self._keys = _keys_of(self._schema)
        self._name = format_name
        self._free = find_format(format_name).free
        self._writer = ParquetWriter(file, self._schema, compression="zstd")
        self._records: list[Any] = []
        self._batches: list[Any] = []

    def write(self, record: Record) -> None:
        """Take one record. Raises PoolError for one that holds what the columns have no place for."""
        # What is of no fixed kind stands in a column as JSON.
        free = {name: json.dumps(record[name], ensure_ascii=False) for name in self._free if name in record}
        self._records.append(self._fitting({**record, **free}, self._keys, ""))
        if len(self._records) == _RECORDS:
            self._to_columns()
            if sum(batch.nbytes for batch in self._batches) >= _GROUP:
                self._to_file()

    def close(self) -> None:
        """Write what is held, and what makes the file one."""
        self._to_columns()
        self._to_file()
        self._writer.close()

    def give_up(self) -> None:
        """End a file that will not stay, while there is something to write to: pyarrow would do it later."""
        with suppress(OSError, ValueError):
            self._writer.close()

    def _to_columns(self) -> None:
        import pyarrow as pa

        try:
            self._batches.append(pa.RecordBatch.from_pylist(self._records, self._schema))
        except pa.ArrowException as error:
            raise self._no_place(" ".join(str(error).split())) from error
        self._records.clear()

    def _to_file(self) -> None:
        import pyarrow as pa

        table = pa.Table.from_batches(self._batches, self._schema)
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._batches.clear()

    def _fitting(self, value: Any, keys: Any, at: str) -> Any:
        """Return a value with texts that UTF-8 can hold; a key that the columns do not have would vanish without a word."""
        if isinstance(value, str):
            return storable(value)
        if isinstance(value, Mapping) and isinstance(keys, dict):
            if unknown := next((key for key in value if key not in keys), None):
                raise self._no_place(f"{at}{unknown}")
            return {key: self._fitting(each, keys[key], f"{at}{key}.") for key, each in value.items()}
        if isinstance(value, Sequence) and isinstance(keys, list):
            return [self._fitting(each, keys[0], at) for each in value]
        return value

    def _no_place(self, what: str) -> PoolError:
        return PoolError(
            f"the columns of the format {self._name} have no place for what a task holds: {what}", "name a .jsonl file with -o"
        )


@cache
def schema_of(format_name: str) -> Any:
    """Return the columns of a format as a schema of pyarrow: those of what it makes of a task that has everything a task can have.

    So they are the same for each pool, whatever its tasks have. Raises UsageError for an unknown format.
    """
    import pyarrow as pa

    chosen: Format = find_format(format_name)
    task = replace(example(ExportTask), provenance='""')
    # In the usual order, for formats that know exchanges alone.
    turns = (Turn("user", "x", "x"), Turn("assistant", "x", "x"))
    task = replace(task, instances=tuple(replace(each, turns=turns) for each in task.instances))
    records = [dict(record) for _, record in chosen.records(task)]
    return pa.unify_schemas([pa.RecordBatch.from_pylist([each]).schema for each in records])


def example(kind: Any) -> Any:
    """Return a value of a type in which nothing is missing, empty or null."""
    of = get_origin(kind)
    if of in (Union, UnionType):
        return example(next(each for each in get_args(kind) if each is not type(None)))
    if of is tuple:
        return (example(get_args(kind)[0]),)
    if of is dict:
        return {example(get_args(kind)[0]): example(get_args(kind)[1])}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    names = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "_fields", None)
    if names:
        return kind(**{name: example(hint) for name, hint in get_type_hints(kind).items() if name in names})
    return {str: "x", int: 1, float: 0.5, bool: True}.get(kind)


def _keys_of(schema: Any) -> dict[str, Any]:
    """Return the names of columns and fields, lists in lists: what a record may have."""

    def inner(of: Any) -> Any:
        import pyarrow as pa

        if pa.types.is_struct(of):
            return {each.name: inner(each.type) for each in of.fields}
        return [inner(of.value_type)] if pa.types.is_list(of) else None

    return {field.name: inner(field.type) for field in schema}

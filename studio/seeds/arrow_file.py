"""Parquet and Arrow files: their rows as the values that JSON would have, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from studio.errors import UsageError, missing_extra
from studio.seeds.conversations import are_turns
from studio.seeds.fields import NotANumber, Number
from studio.seeds.inputs import Input
from studio.seeds.json_file import RawRecord
from studio.seeds.kinds import PARQUET

_ROWS = 100
"""Rows that are held at once, unless a batch of an Arrow file has more."""
_INDEX = "__index_level_"
_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def parse_arrow(source: Input) -> Iterator[RawRecord]:
    """Yield the rows of a Parquet file, or of an Arrow file or stream, as they come; `index` is the number of the row, from 0.

    Numbers, dates and decimals are as pyarrow writes them, lists and structs as JSON has them, columns of bytes are left out and noted.
    Raises UsageError when the extra is not installed or the file is damaged.
    """
    what = "Parquet" if source.kind == PARQUET else "Arrow"
    try:
        import pyarrow
    except ImportError as error:
        raise missing_extra(f"{source.path} is a file of {what}, and these are read", "data") from error
    index = 0
    with _sound(source, what, pyarrow):
        schema, batches = _opened(source)
        columns = _columns(schema, source, pyarrow)
        for batch in batches(list(columns)):
            # Of a file that somebody made on purpose the places of texts may point anywhere.
            batch.validate(full=True)
            for start in range(0, batch.num_rows, _ROWS):
                for values in _rows(batch.slice(start, _ROWS), columns):
                    yield RawRecord(0, index, values, raw=values)
                    index += 1


@contextmanager
def _sound(source: Input, what: str, pyarrow: Any) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowException, ValueError, KeyError, OverflowError, MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(f"{source.path} is {what}, and damaged: {reason}", "download it or write it anew") from error


def _opened(source: Input) -> tuple[Any, Callable[[list[str]], Iterator[Any]]]:
    """Return the schema of an open file, and what gives its batches with the columns of these names at least."""
    import pyarrow as pa

    file = source.whole()
    if source.kind == PARQUET:
        from pyarrow.parquet import ParquetFile

        found = ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        return found.schema_arrow, lambda names: found.iter_batches(batch_size=_ROWS, columns=names, use_threads=False)
    if source.head.startswith(b"ARROW1"):
        reader = pa.ipc.open_file(file)
        return reader.schema, lambda _names: map(reader.get_batch, range(reader.num_record_batches))
    stream = pa.ipc.open_stream(file)
    return stream.schema, lambda _names: iter(stream)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of one type are read: cast to `cast`, a type of pyarrow, and then, where it is not None, made by `value`."""

    cast: Any
    value: Callable[[Any], object] | None = None

    def made(self, value: Any) -> object:
        return value if value is None or self.value is None else self.value(value)


def _columns(schema: Any, source: Input, pa: Any) -> dict[str, _Kind]:
    """Return how each column is read that is, and note which are not. Raises UsageError for two of the same name."""
    if twice := next((name for name in schema.names if schema.names.count(name) > 1), ""):
        raise UsageError(f"{source.path} has the column {twice} twice", "rename one of them")
    columns, bytes_left, classes = {}, [], _classes(schema)
    for field in schema:
        kind = _kind(field.type, pa)
        if field.name.startswith(_INDEX):
            source.note("the index that pandas wrote is not taken")
        elif kind is None or _is_picture(field.type, pa):
            bytes_left.append(field.name)
        elif (names := classes.get(field.name)) and pa.types.is_integer(field.type):
            source.note(f"the numbers of {field.name} are read as the names of classes that the file has for them")
            columns[field.name] = _Kind(kind.cast, partial(_class_name, names))
        else:
            columns[field.name] = kind
    if bytes_left:
        source.note(f"not taken, for they hold bytes: {', '.join(bytes_left)}")
    return columns


def _classes(schema: Any) -> dict[str, list[str]]:
    """Return the names of classes for the columns whose numbers stand for them, as the `datasets` library notes it in the schema."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        given = {str(column): feature["names"] for column, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {column: names for column, names in given.items() if isinstance(names, list) and all(isinstance(each, str) for each in names)}


def _class_name(names: list[str], value: int) -> object:
    return names[value] if 0 <= value < len(names) else Number(value)


def _is_picture(of: Any, pa: Any) -> bool:
    """Return whether values of the type `of` are pictures or sounds as the `datasets` library has them."""
    inner = {each.name: each.type for each in of.fields} if pa.types.is_struct(of) else {}
    return set(inner) == {"bytes", "path"} and _kind(inner["bytes"], pa) is None


def _kind(of: Any, pa: Any) -> _Kind | None:
    """Return how values of the type `of` are read; None for bytes, which no text holds."""
    types = pa.types
    if types.is_dictionary(of) or types.is_run_end_encoded(of):
        return _kind(of.value_type, pa)
    if isinstance(of, pa.BaseExtensionType):
        return _kind(of.storage_type, pa)
    if types.is_binary(of) or types.is_large_binary(of) or types.is_fixed_size_binary(of) or types.is_binary_view(of):
        return None
    if types.is_struct(of):
        return _struct(of, pa)
    if types.is_map(of):
        inner = _kind(of.item_type, pa)
        return inner and _Kind(pa.map_(pa.string(), inner.cast), _each_pair(inner))
    if any(is_kind(of) for is_kind in (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view)):
        inner = _kind(of.value_type, pa)
        return inner and _Kind(pa.list_(inner.cast), _each(inner))
    if types.is_boolean(of) or types.is_null(of) or types.is_string(of) or types.is_large_string(of):
        return _Kind(of)
    if types.is_integer(of):
        return _Kind(of, lambda value: Number(value))
    if types.is_floating(of) and of.bit_width == 64:
        return _Kind(of, lambda value: _number(repr(value)))
    if types.is_floating(of) or types.is_decimal(of):
        return _Kind(pa.string(), _number)
    return _Kind(pa.string())


def _struct(of: Any, pa: Any) -> _Kind | None:
    kinds = {each.name: kind for each in of.fields if (kind := _kind(each.type, pa))}
    if not kinds:
        return None

    def value(found: dict[str, Any]) -> object:
        made = {name: kind.made(found[name]) for name, kind in kinds.items()}
        return _turns(made) or made

    return _Kind(pa.struct([(name, kind.cast) for name, kind in kinds.items()]), value)


def _turns(values: dict[str, object]) -> list[dict[str, object]] | None:
    """Return the turns of a conversation that stands as one struct of lists, as the `datasets` library writes a sequence of structs."""
    columns = [value for value in values.values() if isinstance(value, list)]
    if len(columns) < max(len(values), 2) or len({len(each) for each in columns}) > 1:
        return None
    turns = [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
    return turns if are_turns(turns) else None


def _number(text: str) -> object:
    return NotANumber(_NO_NUMBERS[text]) if text in _NO_NUMBERS else Number(text)


def _each(kind: _Kind) -> Callable[[Any], object]:
    return lambda found: [kind.made(each) for each in found]


def _each_pair(kind: _Kind) -> Callable[[Any], object]:
    return lambda found: {str(key): kind.made(each) for key, each in found}


def _rows(batch: Any, columns: dict[str, _Kind]) -> Iterator[dict[str, object]]:
    values: list[Sequence[object]] = []
    for name, kind in columns.items():
        column = batch.column(batch.schema.get_field_index(name))
        if hasattr(column, "storage"):
            column = column.storage
        cast = column if column.type.equals(kind.cast) else column.cast(kind.cast)
        values.append([kind.made(each) for each in cast.to_pylist()])
    yield from (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))

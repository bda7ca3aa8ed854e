"""JSON, however the objects stand in it: one a line, in an array, over several lines, under a key, or as a table.

One object a line is read line by line, and an array or objects over several lines record by record, both in constant memory. A table in
one object (columns, pandas' `columns` and `split`, objects by their ids) is held whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from typing import cast

from studio.seeds.conversations import are_turns
from studio.seeds.fields import DECODER, JsonObject, NotTaken, decoded, kind_of
from studio.seeds.inputs import HEAD, LONGEST, FileFault, Input, text_faults
from studio.seeds.shapes import is_record

_SPACE = re.compile(r"[\s,\ufeff\x1a]*")
_MARKS = re.compile(r"[\s,:]*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_PYTHON = re.compile(r"True|False|None|nan|undefined")
_TURNS = re.compile(r'\[\s*\{[^{}\[\]]*"(role|from)"\s*:\s*"(system|user|human|assistant|gpt|prompter)"')
_AROUND = ("record", "row")
"""Keys under which a record stands alone: in the studio's file of faulty ones, and in what Hugging Face's viewer gives."""
_NEAR_THE_END = 12
"""An error this near to the end of what has been read may be no error: `-Infinity` and `\\ud83d` can be cut."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record of a file as it stands there: an object, or the text of a line of which nothing could be made, and why.

    `text` is that of an object that stands alone in a document: its records have lines of their own.
    """

    line: int
    index: int | None
    values: JsonObject | None
    faults: tuple[FileFault, ...] = ()
    raw: object = None
    text: str = ""


def faulty(line: int, words: str, raw: object, index: int | None = None) -> RawRecord:
    """Return the record that begins at `line` as one that has no values, for the reason that the words say."""
    return RawRecord(line, index, None, (FileFault(line, "", words, index),), raw)


def parse_json(source: Input, is_record: Callable[[JsonObject], bool] = is_record) -> Iterator[RawRecord]:
    """Yield the records of `source` as they come; what `is_record` says of an object, no records are looked for in it.

    Raises UsageError when it cannot be read to its end.
    """
    for record in _document(source) if _is_document(source.head_text) else _lines(source):
        if record.values is None or (record.index is not None and not record.values.keys() & set(_AROUND)):
            yield record
        else:
            yield from _expanded(record, source, is_record)


def is_json(head: str) -> bool:
    """Return whether a text that begins with `head` is meant as JSON."""
    start = head.lstrip("\ufeff \t\r\n")
    if start[:1] == "[":
        return start[1:].lstrip()[:1] in ("{", "[", "]", "")
    return start[:1] == "{" and start[1:].lstrip()[:1] in ('"', "'", "}", "")


def _is_document(head: str) -> bool:
    """Return whether records stand in an array or over several lines, seen at the first line."""
    start = _SPACE.sub("", head, count=1)
    if not start.startswith("{"):
        return start.startswith("[")
    first = _LINE_END.split(start, maxsplit=1)[0].rstrip()
    if len(first) >= HEAD // 4:
        return False
    try:
        decoded(first)
    except json.JSONDecodeError as error:
        return error.pos >= len(first) and not error.msg.startswith("Unterminated string")
    except ValueError:
        return False
    return False


def _lines(source: Input) -> Iterator[RawRecord]:
    for line in source.lines():
        text = line.text.removeprefix("\ufeff")
        if not text.strip() and not line.faults:
            continue
        if line.faults:
            yield RawRecord(line.number, None, None, line.faults, text)
            continue
        body = text.strip()
        try:
            value, end = decoded(body)
            if body[end:].strip(" \t,"):
                raise json.JSONDecodeError("Extra data", body, end)
        except ValueError as error:
            fault = _fault(error, len(text) - len(text.lstrip()))
            if not line.end and isinstance(error, json.JSONDecodeError):
                fault = f"half-written last line: no line end and {fault}"
            yield faulty(line.number, fault, text)
            continue
        yield from _records(line.number, None, value)


def _fault(error: Exception, offset: int = 0) -> str:
    """Return in words why a text is no JSON; it stands `offset` characters behind the beginning of its line."""
    if not isinstance(error, json.JSONDecodeError):
        return str(error) if isinstance(error, NotTaken) else f"JSON that cannot be read: {error}"
    column = error.colno + offset
    rest = error.doc[error.pos :]
    if rest.startswith("'") or (error.msg == "Expecting value" and error.doc[:1] == "'"):
        return f"invalid JSON: a single quote at column {column} where JSON has double ones (Python's print? write it with json.dumps)"
    if rest[:1] in ("}", "]") and error.doc[: error.pos].rstrip().endswith(","):
        return f"invalid JSON: a comma before the closing bracket at column {column}"
    if rest.startswith(("//", "/*", "#")):
        return f"invalid JSON: a comment at column {column}, which JSON does not have"
    if word := _PYTHON.match(rest):
        return f"invalid JSON: {word[0]} at column {column} (JSON has true, false and null; write it with json.dumps)"
    return f"invalid JSON: {error.msg.removesuffix(' starting at')} at column {column}"


class _Document:
    """The text of a document, read on as it is needed.

    `at` is the place reached in `text`, `line` the number of its line, `lead` what stands before it on that line, the end of it where it is
    long.
    """

    def __init__(self, source: Input) -> None:
        self._chunks = source.chunks()
        self.text = ""
        self.at = 0
        self.line = 1
        self.lead = ""
        self.ended = False

    def more(self) -> bool:
        """Read on, twice as much each time while nothing is taken; False at the end. Raises ValueError where a record is too long."""
        if len(self.text) - self.at > LONGEST:
            hint = "records under a key? one on each line: jq -c '.KEY[]'"
            raise NotTaken(f"a record of more than {LONGEST:,} characters ({hint})")
        pieces = [self.text[self.at :]]
        self.at = 0
        wanted = max(HEAD, len(pieces[0]))
        while wanted > 0 and not self.ended:
            chunk = next(self._chunks, "")
            self.ended = not chunk
            pieces.append(chunk)
            wanted -= len(chunk)
        self.text = "".join(pieces)
        return len(pieces) > 1

    def move(self, to: int) -> None:
        """Go on to the place `to`."""
        passed = self.text[self.at : to]
        self.line += passed.count("\n")
        self.lead = passed[-200:].rpartition("\n")[2] if "\n" in passed else (self.lead + passed)[-200:]
        self.at = to

    def next_character(self) -> str:
        """Go to the next character that is neither white space nor a comma, and return it; empty at the end."""
        while True:
            found = _SPACE.match(self.text, self.at)
            self.move(found.end() if found else self.at)
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def value(self) -> tuple[object, str]:
        """Take the JSON value that begins here; return it and its text. Raises ValueError."""
        while True:
            try:
                value, end = decoded(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self.text) - _NEAR_THE_END or error.msg.startswith("Unterminated string")
                if not cut or not self.more():
                    raise
                continue
            if end == len(self.text) and not isinstance(value, dict | list) and self.more():
                continue
            taken = self.text[self.at : end]
            self.move(end)
            return value, taken

    def skip_broken(self) -> str | None:
        """Go to the next object that begins a line as the one here does; return what was passed, None where there is no such line."""
        if self.lead.strip(" \t[,"):
            return None
        start = "\n" + "".join(each for each in self.lead if each in " \t") + "{"
        passed = ""
        while (found := self.text.find(start, self.at)) < 0:
            to = max(self.at, len(self.text) - len(start))
            passed = (passed + self.text[self.at : to])[:HEAD]
            self.move(to)
            if not self.more():
                return None
        passed = (passed + self.text[self.at : found])[:HEAD]
        self.move(found + len(start) - 1)
        return passed


def _document(source: Input) -> Iterator[RawRecord]:
    document, index = _Document(source), -1
    in_array = False
    while character := document.next_character():
        line = document.line
        if character == "[" and not in_array and not _TURNS.match(document.text, document.at):
            document.move(document.at + 1)
            in_array = True
            continue
        if character == "]" and in_array:
            document.move(document.at + 1)
            in_array = False
            continue
        index += in_array
        place = index if in_array else None
        try:
            value, text = document.value()
        except ValueError as error:
            words = _document_fault(error)
            raw = document.text[document.at :][:HEAD]
            passed = document.skip_broken()
            more = "" if passed is not None else "; what follows was not read"
            yield faulty(line, words + more, raw if passed is None else passed, place)
            if passed is None:
                return
            continue
        faults, _ = text_faults(text, line)
        if faults:
            yield RawRecord(line, place, None, tuple(FileFault(line, "", each.fault, place) for each in faults), text[:HEAD])
        else:
            yield from (replace(record, text=text) if place is None else record for record in _records(line, place, value))
    if in_array:
        yield faulty(document.line, "invalid JSON: the file ends within an array; is a part of it missing?", None)


def _document_fault(error: Exception) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return _fault(error)
    # Lines are counted from where the text in memory begins: the words around the place say more.
    beginning = error.doc.rfind("\n", 0, error.pos) + 1
    near = error.doc[max(beginning, error.pos - 20) : error.pos + 20].split("\n", 1)[0].strip()
    words = re.sub(r" at column \d+", "", _fault(error))
    return f"{words}, near {near!r}" if near else words


def _records(line: int, index: int | None, value: object) -> Iterator[RawRecord]:
    """Yield what a JSON value is: an object is a record, a list of objects one for each, or the turns of a conversation."""
    if index is None and isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        if not are_turns(value):
            yield from (RawRecord(line, place, each, raw=each) for place, each in enumerate(value))
            return
        value = {"messages": value}
    if isinstance(value, dict):
        yield RawRecord(line, index, value, raw=value)
        return
    hint = "; write one object on each line" if isinstance(value, list) else ""
    yield faulty(line, f"{kind_of(value)} where an object is needed{hint}", value, index)


def _expanded(record: RawRecord, source: Input, is_record: Callable[[JsonObject], bool]) -> Iterator[RawRecord]:
    """Yield the records that an object holds: itself, unless it is a table, or something around a list of records."""
    value = record.values or {}
    if is_record(value):
        yield record
        return
    key = next((key for key in _AROUND if isinstance(value.get(key), dict)), "")
    inner = value.get(key)
    if isinstance(inner, dict) and is_record(inner):
        source.note(f"each record stands under {key}, what stands beside it is not taken")
        yield RawRecord(record.line, record.index, inner, raw=inner)
        return
    table, lists = _table_in(value, record.line), list[str]()
    if table is None or not any(isinstance(row, dict) and is_record(row) for row in table):
        deeper = [] if any(map(_holds_objects, value.values())) else list(_deeper(value))
        if len(deeper) == 1:
            [(path, around)] = deeper
            source.note(f"the records stand in {path}; nothing else of the document is taken")
            yield from _expanded(RawRecord(record.line, None, around, raw=around), source, is_record)
            return
    if table is None:
        lists = [key for key, each in value.items() if isinstance(each, list) and each and _holds_objects(each)]
        if len(lists) > 1:
            names = " and ".join(lists)
            words = f"records stand under {names}: write one of these lists to a file of its own, for example with jq '.{lists[0]}'"
            yield faulty(record.line, words, value)
            return
        if not lists:
            yield record
            return
        table = cast("list[object]", value[lists[0]])
        others = ", ".join(key for key in value if key != lists[0])
        if others or not any(note.startswith("the records stand in") for note in source.notes):
            source.note(f"the records stand under {lists[0]}" + (f"; not taken beside them: {others}" if others else ""))
    lines = _element_lines(record, lists[0]) if lists and record.text else repeat(record.line)
    for place, (line, each) in enumerate(zip(lines, table, strict=False)):
        if isinstance(each, RawRecord):
            yield each
        elif isinstance(each, dict):
            yield from _expanded(RawRecord(line, place, each, raw=each), source, is_record)
        else:
            yield from _records(line, place, each)


def _element_lines(record: RawRecord, key: str) -> Iterator[int]:
    """Yield the lines on which the elements of the list under `key` begin."""
    text, line, at = record.text, record.line, 0

    def skip(begin: int) -> int:
        found = _MARKS.match(text, begin)
        return found.end() if found else begin

    name: object = None
    while name != key:
        name, at = DECODER.raw_decode(text, skip(at + 1))
        at = skip(at)
        if name != key:
            at = DECODER.raw_decode(text, at)[1] - 1
    counted, at = 0, skip(at + 1)
    while text[at] != "]":
        line += text.count("\n", counted, at)
        counted = at
        yield line
        at = skip(DECODER.raw_decode(text, at)[1])


def _deeper(value: JsonObject, prefix: str = "", depth: int = 5) -> Iterator[tuple[str, JsonObject]]:
    """Yield the objects within an object that have a list of objects, each with the path to that."""
    for key, each in value.items():
        if isinstance(each, dict) and depth:
            if names := [name for name, held in each.items() if _holds_objects(held)]:
                yield f"{prefix}{key}.{' and '.join(names)}", each
            else:
                yield from _deeper(each, f"{prefix}{key}.", depth - 1)


def _rows(names: list[str], rows: list[object], line: int) -> Iterator[object]:
    """Yield the records of a table whose rows are lists, in the order of `names`; a row that does not fit them is a faulty one."""
    twice = next((name for name in names if names.count(name) > 1), None)
    for place, row in enumerate(rows):
        if not isinstance(row, list):
            yield faulty(line, f"{kind_of(row)} where a row is needed, which is a list", row, place)
        elif len(row) != len(names):
            yield faulty(line, f"a row of {len(row):,} values where there are {len(names):,} columns", row, place)
        else:
            yield faulty(line, f"there are two columns {twice!r}", row, place) if twice is not None else dict(zip(names, row, strict=True))


def _table_in(value: JsonObject, line: int) -> list[object] | None:
    """Return the records of a table: columns of lists or of objects by row, pandas' `split`, or objects by their ids. Else None."""
    columns = list(value.values())
    if {"columns", "data"} <= value.keys() and isinstance(value["columns"], list) and isinstance(value["data"], list):
        return list(_rows([str(name) for name in value["columns"]], value["data"], line))
    if columns and all(isinstance(column, list) for column in columns) and not any(_holds_objects(column) for column in columns):
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


def _holds_objects(column: object) -> bool:
    """Return whether a value is a list that has objects."""
    return isinstance(column, list) and any(isinstance(each, dict) for each in column)

"""The fields of one record, however a file names them, and which of them have been taken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from studio.text import storable

JsonObject = Mapping[str, object]

INSTRUCTION = ("instruction", "instructions", "prompt", "question", "query", "user", "human", "problem", "task")
INPUT = ("input", "context", "inputs")
OUTPUT = (
    *("output", "response", "answer", "target", "completion", "assistant", "gpt", "solution", "reply", "outputs", "targets", "answers"),
    *("responses", "expected_output", "reference", "ideal", "label"),
)
"""Names under which files have what a task is made of, the likeliest first."""

_DEEPEST = 200
"""Levels of lists and objects in a record: what goes deeper could be read here, and not be written or shown later."""
_TOO_DEEP = f"lists and objects nested more than {_DEEPEST} levels deep"
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Number(str):
    """A number as it is written in the file: `0.30` and twenty digits survive."""

    __slots__ = ()


class NotANumber(str):
    """`NaN`, `Infinity` or `-Infinity`: what pandas writes where nothing is."""

    __slots__ = ()


class NotTaken(ValueError):
    """JSON that is not taken for the reason that the message says, though it can be read."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        # The reader would keep one of the values and drop the other.
        raise NotTaken(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=NotANumber)


def decoded(text: str, at: int = 0) -> tuple[object, int]:
    """Return the value that begins at `at`, and where it ends. Raises ValueError."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except RecursionError as error:
        raise NotTaken(_TOO_DEEP) from error
    if text.count("{", at, end) + text.count("[", at, end) > _DEEPEST and _is_deep(value):
        raise NotTaken(_TOO_DEEP)
    return value, end


def _is_deep(value: object) -> bool:
    level, deep = [value], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        if (deep := deep + 1) > _DEEPEST:
            return True
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return False


def written(value: object) -> str:
    """Return a value that was read as JSON once more, each number as it was written; what no reader of JSON makes is null."""
    if isinstance(value, Number | NotANumber):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value) if isinstance(value, str | bool) else "null"


def plain(value: object, depth: int = 20) -> Any:
    """Return a value that was read as JSON as Python has it, null for NaN. Raises ValueError for what cannot be written as JSON again.

    That is a number beyond what Python counts with, and what is nested deeper than `depth`.
    """
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, Mapping):
        return {str(name): plain(each, depth - 1) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each, depth - 1) for each in value]
    if isinstance(value, Number):
        number = float(value) if set(value) & set(".eE") else int(value)
        if abs(number) == math.inf:
            raise ValueError("a number beyond all bounds")
        return number
    return None if isinstance(value, NotANumber) else value


def kind_of(value: object) -> str:
    """Return in words what kind of JSON value this is."""
    if isinstance(value, NotANumber):
        return str(value)
    if isinstance(value, bool):
        return "true or false"
    kinds = ((Number, "a number"), (str, "text"), (list, "a list"), (Mapping, "an object"), (type(None), "null"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number")


def holds(value: object) -> bool:
    """Return whether there is anything in a value: null, NaN, blank text and empty lists are nothing."""
    if value is None or (value == "NaN" and isinstance(value, NotANumber)):
        return False
    if isinstance(value, str):
        return bool(value.strip())
    return bool(value) if isinstance(value, list | Mapping) else True


class Fields:
    """The fields of one record by their names, capitals, and blanks and marks around them, aside, and which of them have been taken.

    What is wrong with them gathers in `faults`; `prefix` stands before the names of nested ones.
    """

    def __init__(self, values: JsonObject, parent: Fields | None = None, prefix: str = "") -> None:
        self.values = values
        self.names = {name.strip("\ufeff \t\r\n").lower(): name for name in reversed(tuple(values))}
        self.prefix = prefix
        self.taken: set[str] = set()
        self.faults: list[tuple[str, str]] = parent.faults if parent else []
        self.hollow: list[tuple[str, str]] = parent.hollow if parent else []
        self.as_text: list[str] = parent.as_text if parent else []
        self.lost: list[str] = parent.lost if parent else []
        self.renamed: list[str] = parent.renamed if parent else []
        self.mended: list[str] = parent.mended if parent else []

    def get(self, name: str) -> object:
        """Return the value of a field, None where it is missing, without taking it."""
        return self.values[self.names[name]] if name in self.names else None

    def holding(self, names: Sequence[str]) -> str | None:
        """Return the first of `names` whose field holds something."""
        return next((name for name in names if name in self.names and holds(self.values[self.names[name]])), None)

    def take(self, name: str) -> object:
        """Return the value of a field, None where it is missing, as one that is taken."""
        if name in self.names:
            self.taken.add(self.names[name])
        return self.get(name)

    def fault(self, name: str, text: str) -> None:
        """Note that the field `name` has the fault `text`."""
        self.faults.append((self.prefix + self.names.get(name, name), text))

    def storable(self, name: str, value: str) -> str:
        """Return a text of the field `name` as a pool can hold it: halves of characters cannot be, and the field is noted."""
        text = storable(value)
        if text != value:
            self.mended.append(self.prefix + self.names.get(name, name))
        return text

    def text(self, name: str, *, numbers: bool = False, required: bool = False) -> str:
        """Take a field as text; missing, null and NaN are empty text. With `numbers` a number or a truth value is text as it is written."""
        value = self.take(name)
        if type(value) is str:
            if required and not value.strip():
                self.fault(name, "empty")
            return self.storable(name, value)
        if numbers and (isinstance(value, bool | int | float) or type(value) is Number):
            self.as_text.append(self.names[name])
            return str(value).lower() if isinstance(value, bool) else str(value)
        if not holds(value):
            if required:
                self.fault(name, "missing" if name not in self.names else f"{kind_of(value)} where text is needed")
            return ""
        self.fault(name, f"{kind_of(value)} where text is needed")
        return ""

    def flag(self, name: str) -> bool | None:
        """Take a field that is true or false, as JSON has it or as the words of a table; None where it is missing or empty."""
        value = self.take(name)
        if isinstance(value, bool) or not holds(value):
            return value if isinstance(value, bool) else None
        known = _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
        if known is None:
            self.fault(name, "neither true nor false" if type(value) is str else f"{kind_of(value)} where true or false is needed")
        return known

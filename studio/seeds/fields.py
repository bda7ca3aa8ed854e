"""Taking a task out of a JSON object, with a fault for every field that is not as it must be."""

from __future__ import annotations

import json
from collections.abc import Mapping

from studio.records import Instance, SeedTask
from studio.seeds.faults import FileFault, ParsedTask
from studio.seeds.lines import Line
from studio.text import storable

_TYPES = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object", type(None): "null"}

JsonObject = Mapping[str, object]


class Fields:
    """The fields of one JSON object; what is wrong with them gathers in `faults`. `prefix` stands before the names of nested ones."""

    def __init__(self, values: JsonObject, line: int, prefix: str = "", faults: list[FileFault] | None = None) -> None:
        self._values = values
        self._line = line
        self._prefix = prefix
        self.faults: list[FileFault] = [] if faults is None else faults

    def fault(self, name: str, text: str) -> None:
        """Note that the field `name` has the fault `text`."""
        self.faults.append(FileFault(self._line, self._prefix + name, text))

    def text(self, name: str, *, required: bool = True, empty: bool = False) -> str:
        """Return the field as text; `empty` allows text of white space only. A faulty or absent field gives empty text."""
        value = self._values.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str):
            self._wrong(name, value, "text")
            return ""
        if not empty and not value.strip():
            self.fault(name, "empty")
        return storable(value)

    def label(self, name: str) -> str:
        """Return an optional field that may be text or a whole number, as text."""
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(name, required=False, empty=True)

    def flag(self, name: str, *, required: bool = True) -> bool:
        """Return a boolean field; the texts "true" and "false" are none."""
        value = self._values.get(name)
        if value is None and not required:
            return False
        if not isinstance(value, bool):
            self._wrong(name, value, "true or false")
            return False
        return value

    def instances(self, name: str, *, required: bool = True) -> tuple[Instance, ...]:
        """Return a list of objects with `input` and `output`; the input may be empty, the output not."""
        value = self._values.get(name)
        if value is None and not required:
            return ()
        if not isinstance(value, list):
            self._wrong(name, value, "a list of objects with input and output")
            return ()
        if not value:
            self.fault(name, "empty: at least one instance is needed")
        found = []
        for index, item in enumerate(value):
            inner = f"{name}[{index}]"
            if isinstance(item, dict):
                nested = Fields(item, self._line, f"{self._prefix}{inner}.", self.faults)
                found.append(Instance(nested.text("input", empty=True), nested.text("output")))
            else:
                self._wrong(inner, item, "an object with input and output")
        return tuple(found)

    def _wrong(self, name: str, value: object, wanted: str) -> None:
        if value is None and name not in self._values:
            self.fault(name, "missing")
        else:
            self.fault(name, f"{_TYPES.get(type(value), 'something else')} where {wanted} is needed")


def parse_object(line: Line) -> tuple[JsonObject | None, tuple[FileFault, ...]]:
    """Return the JSON object that stands on `line`, or None and why there is none. Never raises."""
    if line.faults:
        return None, line.faults
    try:
        value = json.loads(line.text)
    except json.JSONDecodeError as error:
        what = "invalid JSON" if line.ended else "half-written last line: no line end and invalid JSON"
        return None, (FileFault(line.number, "", f"{what}: {error.msg} at column {error.colno}"),)
    except (ValueError, RecursionError) as error:
        return None, (FileFault(line.number, "", f"JSON that cannot be read: {error}"),)
    if isinstance(value, dict):
        return value, ()
    hint = "; write one object on each line" if isinstance(value, list) else ""
    return None, (FileFault(line.number, "", f"{_TYPES.get(type(value), 'something')} where an object is needed{hint}"),)


def seed_task(values: JsonObject, line: int) -> ParsedTask:
    """Return the task of an object in the original's seed schema; keys it does not know are ignored."""
    fields = Fields(values, line)
    task = SeedTask(
        key=fields.label("id"),
        name=fields.label("name"),
        instruction=fields.text("instruction"),
        instances=fields.instances("instances"),
        is_classification=fields.flag("is_classification"),
    )
    return ParsedTask(line, None if fields.faults else task, tuple(fields.faults))

"""Objects with an instruction and whatever else they bring: the formats of other people's tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from studio.records import Instance, SeedTask
from studio.seeds.faults import ParsedTask
from studio.seeds.fields import Fields, JsonObject, parse_object
from studio.seeds.lines import read_lines

Convert = Callable[[JsonObject, int, str], ParsedTask]


def flexible_task(values: JsonObject, line: int, prefix: str = "") -> ParsedTask:
    """Return the task of an object that has an `instruction`, and perhaps `instances`, or an `output` with or without `input`.

    An empty output gives a task without instances, as the method keeps them. `prefix` stands before the names of faulty fields.
    """
    fields = Fields(values, line, prefix)
    instruction = fields.text("instruction")
    if values.get("instances"):
        instances = fields.instances("instances")
    else:
        given = fields.text("input", required=False, empty=True)
        output = fields.text("output", required=False, empty=True)
        instances = (Instance(given, output),) if output.strip() else ()
    flag = fields.flag("is_classification", required=False)
    task = SeedTask(fields.label("id"), fields.label("name"), instruction, instances, flag)
    return ParsedTask(line, None if fields.faults else task, tuple(fields.faults))


def instruction_only(values: JsonObject, line: int, prefix: str = "") -> ParsedTask:
    """Return the task of an object of which only the `instruction` counts."""
    fields = Fields(values, line, prefix)
    task = SeedTask("", "", fields.text("instruction"), (), is_classification=False)
    return ParsedTask(line, None if fields.faults else task, tuple(fields.faults))


def parse_lines(path: Path, convert: Convert) -> Iterator[ParsedTask]:
    """Yield a task for each line of JSON in `path`, as they come; blank lines are skipped. Raises OSError."""
    for line in read_lines(path):
        if not line.text.strip() and not line.faults:
            continue
        values, faults = parse_object(line)
        yield ParsedTask(line.number, None, faults) if values is None else convert(values, line.number, "")

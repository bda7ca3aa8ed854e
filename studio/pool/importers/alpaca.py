"""Stanford Alpaca's `alpaca_data.json`, and the same objects one a line: instances of equal instructions become one task."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from studio.pool.importers.api import Importer
from studio.pool.importers.flexible import flexible_task, parse_lines
from studio.seeds.faults import FileFault, ParsedTask
from studio.seeds.lines import read_lines


def _parse(path: Path) -> Iterator[ParsedTask]:
    """Yield the tasks in the order of their first instances, all of them at the end: a later line may belong to an earlier task."""
    tasks: dict[str, ParsedTask] = {}
    for parsed in _array(path) if _is_array(path) else parse_lines(path, flexible_task):
        if parsed.task is None:
            yield parsed
            continue
        same = " ".join(parsed.task.instruction.split())
        first = tasks.get(same)
        if first is None or first.task is None:
            tasks[same] = parsed
        else:
            new = tuple(instance for instance in parsed.task.instances if instance not in first.task.instances)
            merged = replace(first.task, instances=first.task.instances + new)
            tasks[same] = replace(first, task=merged)
    yield from tasks.values()


def _is_array(path: Path) -> bool:
    return next((line.text.lstrip()[:1] for line in read_lines(path) if line.text.strip()), "") == "["


def _array(path: Path) -> Iterator[ParsedTask]:
    lines = list(read_lines(path))
    if faults := tuple(fault for line in lines for fault in line.faults):
        yield ParsedTask(faults[0].line, None, faults)
        return
    try:
        values = json.loads("\n".join(line.text for line in lines))
    except json.JSONDecodeError as error:
        yield ParsedTask(error.lineno, None, (FileFault(error.lineno, "", f"invalid JSON: {error.msg} at column {error.colno}"),))
        return
    except (ValueError, RecursionError) as error:
        yield ParsedTask(0, None, (FileFault(0, "", f"JSON that cannot be read: {error}"),))
        return
    for index, value in enumerate(values):
        if isinstance(value, dict):
            yield flexible_task(value, 0, f"[{index}].")
        else:
            yield ParsedTask(0, None, (FileFault(0, f"[{index}]", "not an object"),))


IMPORTER: Importer = Importer("alpaca", "alpaca_data.json, or its objects one a line: instruction, input, output", _parse)

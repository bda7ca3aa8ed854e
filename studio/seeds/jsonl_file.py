"""Seed files in the original's schema: one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from studio.seeds.faults import ParsedTask
from studio.seeds.fields import parse_object, seed_task
from studio.seeds.lines import read_lines


def parse_jsonl(path: Path) -> Iterator[ParsedTask]:
    """Yield the tasks of `path` as they come; blank lines are skipped. Raises OSError."""
    for line in read_lines(path):
        if not line.text.strip() and not line.faults:
            continue
        values, faults = parse_object(line)
        yield ParsedTask(line.number, None, faults) if values is None else seed_task(values, line.number)

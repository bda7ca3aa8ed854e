"""The original's `machine_generated_instructions.jsonl` and `machine_generated_instances.jsonl`.

They hold what the model wrote, not what was kept of it, so the instruction alone is taken: the studio's own `self-instruct` export, which
adds the accepted `instances` to the second file, is the exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from studio.pool.importers.api import Importer
from studio.pool.importers.flexible import flexible_task, instruction_only, parse_lines
from studio.seeds.faults import ParsedTask
from studio.seeds.fields import JsonObject


def _convert(values: JsonObject, line: int, prefix: str) -> ParsedTask:
    return flexible_task(values, line, prefix) if "instances" in values else instruction_only(values, line, prefix)


def _parse(path: Path) -> Iterator[ParsedTask]:
    return parse_lines(path, _convert)


IMPORTER: Importer = Importer("machine-generated", "the original's machine_generated_instructions.jsonl: instructions only", _parse)

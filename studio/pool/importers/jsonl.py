"""JSON Lines with an instruction on each line, whatever else there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from studio.pool.importers.api import Importer
from studio.pool.importers.flexible import flexible_task, parse_lines
from studio.seeds.faults import ParsedTask


def _parse(path: Path) -> Iterator[ParsedTask]:
    return parse_lines(path, flexible_task)


IMPORTER: Importer = Importer(
    "jsonl", "an object with an instruction on each line; instances, or input and output, where it has them", _parse
)

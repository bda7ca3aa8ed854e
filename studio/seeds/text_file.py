"""Plain text files: one instruction a line, no instances."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from studio.records import SeedTask
from studio.seeds.faults import ParsedTask
from studio.seeds.lines import read_lines


def parse_text(path: Path) -> Iterator[ParsedTask]:
    """Yield the instructions of `path` as they come, white space at their ends removed; blank lines are skipped. Raises OSError."""
    for line in read_lines(path):
        instruction = line.text.strip()
        if line.faults:
            yield ParsedTask(line.number, None, line.faults)
        elif instruction:
            yield ParsedTask(line.number, SeedTask("", "", instruction, (), is_classification=False))

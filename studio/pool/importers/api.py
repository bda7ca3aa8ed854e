"""What an import format is: a name, and a reader of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.seeds.faults import ParsedTask


@dataclass(frozen=True, slots=True)
class Importer:
    """An import format. `parse` yields the tasks of a file, and the faults of records that are none; it raises OSError only."""

    name: str
    summary: str
    parse: Callable[[Path], Iterator[ParsedTask]]

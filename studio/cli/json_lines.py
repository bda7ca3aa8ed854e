"""JSON lines as a command writes them: to stdout, or to a file that appears complete or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_lines(lines: Iterable[Mapping[str, Any]], target: str) -> int:
    """Write `lines` to `target`, `-` being stdout, and return how many they were. Raises PoolError when the file cannot be written."""
    from studio.pool.jsonl import encode_line
    from studio.pool.outputs import complete_files, writing

    count = 0
    if target == "-":
        for line in lines:
            sys.stdout.buffer.write(encode_line(line))
            count += 1
        sys.stdout.buffer.flush()
        return count
    path = Path(target)
    with complete_files([path]) as (file,), writing(path):
        for line in lines:
            file.write(encode_line(line))
            count += 1
    return count

"""How long the pool screen takes to list a pool, and to show another part of it: the real program, in a terminal of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from studio.bench.first_frame import HEADER, screen_environment
from studio.bench.keys import Pair, press_pair, spread
from studio.bench.terminal import in_terminal
from studio.pool.pool import Queries

JUMPS = 20
_LOOKS = b"next: sample"


def measure_pages(pool: Path) -> dict[str, Any] | None:
    """Go to the pool screen of the pool at `pool`, whose tasks have the ids from 1 on, and jump between its ends.

    `first_rows_ms` is the time from the key to the screen, `list_s` to the line that counts all tasks, which ends the reading of the ids;
    `jumps_ms` tells of keys whose rows were not in sight before. None where there are no pseudo-terminals. Raises StudioError when the
    studio does not answer.
    """
    if os.name != "posix":
        return None
    with Queries.open(pool) as reader:
        first, count = reader.tasks([1])[0].instruction, sum(1 for _ in reader.instructions())
    command = (sys.executable, "-m", "studio", "run", str(pool), "--model", "scripted")
    begins, ends = first.split()[0].encode() + b" ", str(count).encode()
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as state, in_terminal(command, screen_environment(state)) as terminal:
        terminal.until(_LOOKS)
        pressed = terminal.press(b"2")
        first_rows = terminal.until(HEADER) - pressed
        listed = terminal.until(f"{count:,} tasks".encode()) - pressed
        terminal.press(b"g")
        jumps = press_pair(terminal, Pair("ends", b"", ((b"G", ends), (b"g", begins))), JUMPS)
        terminal.leave()
    return {"first_rows_ms": 1000 * first_rows, "list_s": listed, "jumps_ms": spread(jumps)}

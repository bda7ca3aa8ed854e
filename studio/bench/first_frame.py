"""How long the terminal studio takes from the start of its process to its first frame, in a terminal of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from studio.bench.terminal import in_terminal

HEADER = b"Insight"
"""The header's last label: a frame that has it was drawn whole."""
RUNS = 5


def measure_first_frame(pool: Path, model: str = "scripted", runs: int = RUNS) -> float | None:
    """Return the median of `runs` starts, in seconds, on the pool at `pool`.

    None where there are no pseudo-terminals. One start before them reads the files from the disk. Raises StudioError when the studio
    ends before it has drawn anything.
    """
    if os.name != "posix":
        return None
    command = (sys.executable, "-m", "studio", "run", str(pool), "--model", model)
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as state:
        environment = screen_environment(state)
        return median([time_to(HEADER, command, environment) for _ in range(runs + 1)][1:])


def screen_environment(state: str) -> dict[str, str]:
    """The environment of a studio that is measured: the list of recent pools is the user's own, so it has another in `state`."""
    return {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": state}


def time_to(awaited: bytes, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the seconds from the start of `command` until it has written `awaited` to its terminal; it is ended then.

    Raises StudioError when it ends first, with the end of what it wrote.
    """
    began = time.perf_counter()
    with in_terminal(command, environment) as terminal:
        seconds = terminal.until(awaited) - began
        terminal.leave()
    return seconds

"""Runs one measurement in a process of its own: a clean memory, a cold cache, and llama.cpp's chatter away from the terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from studio.errors import StudioError

_LOG_LINES = 3
_JOBS = {
    "novelty": "studio.bench.novelty_job",
    "sequential": "studio.bench.sequential_job",
    "raw": "studio.bench.raw_job",
    "port": "studio.bench.port_job",
    "open": "studio.bench.open_job",
}
"""Job name -> module with `run(**values) -> dict`."""


def in_worker(job: str, **values: Any) -> dict[str, Any]:
    """Run a job in a process of its own and return its figures. An interruption ends the process, too.

    Raises StudioError when it fails, with the last lines it wrote.
    """
    command = [sys.executable, "-P", "-m", "studio.bench.worker", job]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        try:
            output, _ = process.communicate(json.dumps(values).encode("ascii"))
        finally:
            # Ctrl-C reaches this process alone: the worker has a session of its own.
            process.kill()
            process.wait()
        if process.returncode != 0:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
            last = " / ".join(line.strip() for line in lines[-_LOG_LINES:])
            raise StudioError(f"the measurement {job!r} failed (exit code {process.returncode})", last)
    result: dict[str, Any] = json.loads(output)
    return result


def main() -> None:
    """Read the job's values as JSON from standard input, and write its figures to standard output."""
    values: Mapping[str, Any] = json.load(sys.stdin)
    out = os.dup(1)
    os.dup2(2, 1)
    figures = import_module(_JOBS[sys.argv[1]]).run(**values)
    with os.fdopen(out, "w", encoding="ascii") as pipe:
        json.dump(figures, pipe)


if __name__ == "__main__":
    main()

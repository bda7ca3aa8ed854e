"""What a measurement is made on, and whether the machine had other work meanwhile; and a process of its own for each.

That is a clean memory, a cold cache, and llama.cpp's chatter away from the terminal.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import psutil

from studio import __version__
from studio.engine.options import usable_cores
from studio.errors import StudioError

BUSY_SHARE = 0.15
"""Share of the whole machine's CPU time from which on other work counts as a disturbance."""
_LOOK_S = 1.0
_PACKAGES = ("llama-cpp-python", "rapidfuzz", "rouge-score", "numpy")


@dataclass
class Machine:
    """Watches what others take of the machine. Shares are of the CPU time of all CPUs, 0 to 1."""

    cpu_before: float = 0.0
    load_before: float = 0.0
    others: list[float] = field(default_factory=list)
    """What other programs took during each measurement, in its order."""

    @classmethod
    def look(cls) -> Machine:
        """Watch the idle machine for a second."""
        share = psutil.cpu_percent(interval=_LOOK_S) / 100
        return cls(round(share, 3), round(psutil.getloadavg()[0], 2))

    @property
    def busy_before(self) -> bool:
        """Whether it had work before the first measurement. The load average tells of the last minute, the CPU share of this second."""
        return self.cpu_before > BUSY_SHARE or self.load_before > 0.75 * (os.cpu_count() or 1)

    @property
    def busy(self) -> bool:
        """Whether other programs were at work before or during any measurement."""
        return self.busy_before or any(share > BUSY_SHARE for share in self.others)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note what others take while the block runs. Processes the block starts must have ended with it, to count as its own."""
        machine, own = _machine_seconds(), _own_seconds()
        yield
        all_now, busy_now = _machine_seconds()
        spent = all_now - machine[0]
        foreign = busy_now - machine[1] - (_own_seconds() - own)
        self.others.append(round(min(max(foreign / spent, 0.0), 1.0), 3) if spent > 0 else 0.0)

    def facts(self) -> dict[str, Any]:
        return {
            "cpu": cpu_name(),
            "cpus": os.cpu_count(),
            "cores": usable_cores(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.machine()}",
            "cpu_share_before": self.cpu_before,
            "load_average_before": self.load_before,
            "others_cpu_share": self.others,
            "versions": {"studio": __version__, "python": platform.python_version()} | versions(_PACKAGES),
        }


def cpu_name() -> str:
    """The processor's name as the system gives it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _machine_seconds() -> tuple[float, float]:
    """CPU seconds of all CPUs since the start: all of them, and those in which something ran or a neighbour of this guest took them."""
    times = psutil.cpu_times()._asdict()
    # Guest time is part of user time already.
    counted = {name: seconds for name, seconds in times.items() if not name.startswith("guest")}
    total = float(sum(counted.values()))
    return total, total - counted["idle"] - counted.get("iowait", 0.0)


def _own_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return which version of each package is installed, in words where none is."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


_LOG_LINES = 3
_JOBS = {
    "novelty": "studio.bench.pools:measure_size",
    "sequential": "studio.bench.alternatives:complete_in_turn",
    "raw": "studio.bench.alternatives:complete_bare",
    "port": "studio.bench.alternatives:play_rounds_plainly",
    "open": "studio.bench.pools:open_and_index",
}
"""Job name -> module and the function in it that does the job: `function(**values) -> dict`."""


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
            raise StudioError(f"the measurement {job!r} failed (exit code {process.returncode})", last_lines(log))
    result: dict[str, Any] = json.loads(output)
    return result


def last_lines(log: IO[bytes]) -> str:
    """What a process wrote last into its log, in one line."""
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-_LOG_LINES:])


def main() -> None:
    """Read the job's values as JSON from standard input, and write its figures to standard output."""
    values: Mapping[str, Any] = json.load(sys.stdin)
    out = os.dup(1)
    os.dup2(2, 1)
    module, _, name = _JOBS[sys.argv[1]].partition(":")
    figures = getattr(import_module(module), name)(**values)
    with os.fdopen(out, "w", encoding="ascii") as pipe:
        json.dump(figures, pipe)


if __name__ == "__main__":
    main()

"""How many threads llama.cpp should have: one for each fast core that is there for this process."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

_LEAST_CAPACITY = 0.5
"""Of the fastest core's: of a processor with three kinds the two larger ones are used."""


def usable_cores(root: Path = Path("/")) -> int:
    """Return the physical cores this process may use: its CPU affinity and its cgroup's quota counted in, at least 1.

    llama.cpp's threads spin at barriers, so one thread more than there are cores costs more than it brings, and so does one on an
    efficiency core, which all others wait for: where there are such, only the others count. `root` is the folder of the system's files.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    if affinity is not None:
        fast = fast_cpus(affinity(0), root)
        cores = len({_core_of(cpu, root) for cpu in fast})
    else:
        import psutil

        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
        if sys.platform == "darwin":
            cores = mac_performance_cores(_sysctl) or cores
    return max(1, min(cores, math.ceil(_cgroup_quota(root) or cores)))


def fast_cpus(allowed: Collection[int], root: Path) -> set[int]:
    """Return the CPUs of `allowed` that are performance cores, all where Linux tells of no others or none of those may be used."""
    named = set(allowed) & _cpu_list(root / "sys/devices/cpu_core/cpus")  # Intel's, beside cpu_atom
    if named:
        return named
    capacities = {cpu: _capacity(cpu, root) for cpu in allowed}
    most = max(capacities.values(), default=0)
    return {cpu for cpu, capacity in capacities.items() if capacity >= _LEAST_CAPACITY * most}


def mac_performance_cores(ask: Callable[[str], str]) -> int:
    """Return how many performance cores a Mac has; 0 where `ask`, which looks a name up, knows of no such kind."""
    with contextlib.suppress(OSError, ValueError):
        if int(ask("hw.nperflevels")) > 1:
            return int(ask("hw.perflevel0.physicalcpu"))
    return 0


def _sysctl(name: str) -> str:
    return subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False).stdout


def _cpu_list(path: Path) -> set[int]:
    """Return the numbers in a list such as `0-7,16`; none where it cannot be read."""
    try:
        parts = [part.partition("-") for part in path.read_text("ascii").strip().split(",") if part]
        return {cpu for first, _, last in parts for cpu in range(int(first), int(last or first) + 1)}
    except (OSError, ValueError):
        return set()


def _capacity(cpu: int, root: Path) -> int:
    """Return how much a CPU does beside others, of 1,024; 0 where Linux does not tell, as for equal ones."""
    with contextlib.suppress(OSError, ValueError):
        return int((root / f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity").read_text("ascii"))
    return 0


def _core_of(cpu: int, root: Path) -> str:
    """Return what hyperthreads of one core share; the CPU's own number where the system does not tell."""
    try:
        return (root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text("ascii").strip()
    except (OSError, ValueError):
        return str(cpu)


def _cgroup_quota(root: Path) -> float:
    """Return the CPUs that the control group grants (version 2, then 1), 0 for no limit."""
    group = root / "sys/fs/cgroup"
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = (float(part) for name in files for part in (group / name).read_text("ascii").split())
        except (OSError, ValueError):
            continue  # no such group, or its quota is the word "max"
        return max(0.0, quota / period)
    return 0.0

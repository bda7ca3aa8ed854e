"""How long the studio takes to be there: its help, and a pool of many tasks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from studio.bench.novelty import instructions
from studio.bench.worker import Machine, in_worker
from studio.errors import StudioError
from studio.loop.novelty import NoveltyIndex
from studio.loop.settings import DEFAULT_PROFILE, profile
from studio.loop.tokens import TOKENIZERS
from studio.pool.pool import Pool
from studio.records import Instance, Origin, SeedTask
from studio.seeds.reading import bundled_seeds, read_tasks

_HELP_RUNS = 9
_HELP = (sys.executable, "-m", "studio", "--help")
_MIB = 1 << 20


def open_and_index(path: str) -> dict[str, Any]:
    """Return the seconds until the pool is open and until the index is filled, and the memory that both took, in bytes."""
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    with Pool.open(Path(path)) as pool:
        open_s = time.perf_counter() - began
        index = NoveltyIndex(TOKENIZERS[profile(DEFAULT_PROFILE).tokenizer])
        index.extend(pool.tasks.instructions())
        index_s = time.perf_counter() - began - open_s
        memory = psutil.Process().memory_info().rss
        return {"tasks": len(index), "open_s": open_s, "index_s": index_s, "memory_bytes": memory - before, "peak_rss_bytes": _peak(memory)}


def _peak(now: int) -> int:
    """The most memory this process has had, in bytes; `now` where the system does not keep count."""
    try:
        import resource
    except ImportError:
        return now
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(tasks: int, machine: Machine, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure `studio --help`, and opening a pool of `tasks` tasks beside the bundled seeds. Raises PoolError."""
    say("studio --help ...")
    with machine.watch():
        help_figures = _help()
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        path = Path(folder) / "pool.db"
        say(f"making a pool of {tasks:,} tasks ...")
        with machine.watch():
            fill_s = make_pool(path, tasks)
        size = path.stat().st_size
        say("opening it ...")
        with machine.watch():
            opened = in_worker("open", path=str(path))
    return {
        **help_figures,
        "pool": {"asked_tasks": tasks, "make_s": fill_s, "file_bytes": size, **opened, "ready_s": opened["open_s"] + opened["index_s"]},
    }


def make_pool(path: Path, tasks: int) -> float:
    """Make a pool of made-up tasks, with an instance each, and return the seconds it took."""
    began = time.perf_counter()
    with Pool.create(path, read_tasks(bundled_seeds())) as pool:
        made = enumerate(instructions(tasks))
        pool.tasks.add((SeedTask(f"t{n}", "", text, (Instance("", "An answer."),), False) for n, text in made), Origin.IMPORTED)
    return time.perf_counter() - began


def _help() -> dict[str, Any]:
    wall: list[float] = []
    cpu: list[float] = []
    for run in range(_HELP_RUNS + 1):
        began, spent = time.perf_counter(), _children_cpu()
        done = subprocess.run(_HELP, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StudioError("`studio --help` failed", done.stderr.strip()[-200:])
        if run:  # The first one reads the files from the disk.
            wall.append(time.perf_counter() - began)
            cpu.append(_children_cpu() - spent)
    return {"help_cpu_s": median(cpu), "help_wall_s": median(wall), "help_runs": _HELP_RUNS}


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def print_start(console: Console, figures: dict[str, Any]) -> None:
    """One line a figure."""
    pool = figures["pool"]
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("studio --help", f"{figures['help_cpu_s']:.3f} s of CPU, {figures['help_wall_s']:.3f} s")
    table.add_row(f"pool of {pool['tasks']:,} tasks, {pool['file_bytes'] / _MIB:.0f} MiB", f"made in {pool['make_s']:.1f} s")
    table.add_row("opened", f"{pool['open_s']:.3f} s")
    table.add_row("ready: novelty index filled", f"{pool['ready_s']:.2f} s, {pool['memory_bytes'] / _MIB:.0f} MiB")
    console.print(table)

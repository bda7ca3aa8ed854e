"""How long the studio takes to be there: its help, its first frame, and a pool of many tasks."""

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

from studio.bench.first_frame import RUNS, measure_first_frame
from studio.bench.machine import Machine
from studio.bench.pool_pages import measure_pages
from studio.bench.texts import instructions
from studio.bench.worker import in_worker
from studio.errors import StudioError
from studio.pool.pool import Pool
from studio.records import Instance, Origin, SeedTask
from studio.seeds.bundled import bundled_seeds
from studio.seeds.reading import read_tasks

_HELP_RUNS = 9
_HELP = (sys.executable, "-m", "studio", "--help")


def measure(tasks: int, machine: Machine, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure `studio --help`, the first frame, and opening a pool of `tasks` tasks beside the bundled seeds. Raises PoolError."""
    say("studio --help ...")
    with machine.watch():
        help_figures = _help()
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        say("the terminal studio ...")
        seeds = Path(folder) / "seeds.db"
        make_pool(seeds, 0)
        with machine.watch():
            first_frame = measure_first_frame(seeds)
        path = Path(folder) / "pool.db"
        say(f"making a pool of {tasks:,} tasks ...")
        with machine.watch():
            fill_s = make_pool(path, tasks)
        size = path.stat().st_size
        say("opening it ...")
        with machine.watch():
            opened = in_worker("open", path=str(path))
        say("the pool screen on it ...")
        with machine.watch():
            pages = measure_pages(path)
    return {
        **help_figures,
        "first_frame_s": first_frame,
        "first_frame_runs": RUNS,
        "pool": {"asked_tasks": tasks, "make_s": fill_s, "file_bytes": size, **opened, "ready_s": opened["open_s"] + opened["index_s"]},
        "pool_screen": pages,
    }


def make_pool(path: Path, tasks: int) -> float:
    """Make a pool of made-up tasks, with an instance each, and return the seconds it took."""
    began = time.perf_counter()
    with Pool.create(path, read_tasks(bundled_seeds())) as pool:
        made = enumerate(instructions(tasks))
        pool.add_tasks((SeedTask(f"t{n}", "", text, (Instance("", "An answer."),), False) for n, text in made), Origin.IMPORTED)
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

"""Novelty against pools of several sizes, beside `rouge_score`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from studio.bench.machine import Machine
from studio.bench.worker import in_worker

REPEATS = 5


def measure(sizes: Sequence[int], batch: int, machine: Machine, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the figures of each size in turn."""
    figures = []
    for size in sizes:
        say(f"{size:,} tasks ...")
        with machine.watch():
            figures.append(in_worker("novelty", size=size, batch=batch, repeats=REPEATS))
    return figures

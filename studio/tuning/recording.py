"""Keeps the pool's record of a training without keeping the pool.

The right to write a pool is one process's at a time, and a training takes minutes to hours. So it is taken for single transactions only: to
begin, after checkpoints, and to finish. When another process has it in between, losses wait for the next occasion; a `studio run` can start
at any time meanwhile. The training's own folder has all of it, so nothing depends on the record being up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from studio.errors import PoolInUse
from studio.pool.pool import Pool
from studio.pool.studies.trainings import LossPoint


class Recorder:
    """The losses of training `number` of the pool at `path`, on their way there."""

    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._number = number
        self._pending: list[LossPoint] = []

    def add(self, *points: LossPoint) -> None:
        """Take losses in."""
        self._pending.extend(points)

    def flush(self) -> bool:
        """Store what waits, unless another process writes the pool. Raises PoolError for any other reason why it cannot be written."""
        if not self._pending:
            return True
        return self._write(lambda pool: pool.trainings.add_losses(self._number, self._pending))

    def finish(self, ended: str, adapter: str, adapter_sha256: str) -> str:
        """Store all that waits and the outcome; returns who writes the pool when that keeps it from being stored, else empty text."""
        try:
            with Pool.open(self._path) as pool:
                pool.trainings.finish(self._number, self._pending, ended, adapter, adapter_sha256)
        except PoolInUse as error:
            return error.message
        self._pending.clear()
        return ""

    def _write(self, change: Callable[[Pool], None]) -> bool:
        try:
            with Pool.open(self._path) as pool:
                change(pool)
        except PoolInUse:
            return False
        self._pending.clear()
        return True

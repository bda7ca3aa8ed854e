"""A pool to train on: `python -m gpu.lessons POOL COUNT` makes it of the bundled seed tasks, which come again with a number."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

from studio.pool.pool import Pool
from studio.seeds.reading import bundled_seeds, read_tasks

if __name__ == "__main__":
    seeds = read_tasks(bundled_seeds())
    again = (
        replace(task, key=f"{task.key}_{turn}", instruction=f"{task.instruction} ({turn + 1})" if turn else task.instruction)
        for turn in count()
        for task in seeds
    )
    Pool.create(Path(sys.argv[1]), list(islice(again, int(sys.argv[2])))).close()

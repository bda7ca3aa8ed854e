"""Pools that tests of insight begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.pool.pool import Pool
from support.pools import make_pool, walk_round


@pytest.fixture
def walked(tmp_path: Path) -> Path:
    """A pool after one round: tasks 11 and 12 from candidates 1 and 2, candidate 3 rejected."""
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        walk_round(pool)
    return path

"""Places and pools for the tests of the pool."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.pool.pool import Pool
from support.pools import seed_tasks, walk_round


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own admit only the user who runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="studio-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    """A pool with ten seeds, open for writing."""
    with Pool.create(tmp_path / "pool.db", seed_tasks()) as made:
        yield made


@pytest.fixture
def walked(pool: Pool) -> Pool:
    """The pool after one round: tasks 11 and 12, candidates 1 to 3, requests 1 to 4."""
    walk_round(pool)
    return pool

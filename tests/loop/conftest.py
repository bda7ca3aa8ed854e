"""A pool and a session to steer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.loop.session import Session
from studio.pool.pool import Pool
from support.pools import assert_sound
from support.sessions import all_seeds, session_in
from support.steering import ASKED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test may have its pool."""
    return tmp_path / "pool.db"


@pytest.fixture
def pool(path: Path) -> Iterator[Pool]:
    with Pool.create(path, all_seeds()[:40]) as made:
        yield made
        assert_sound(made.path)


@pytest.fixture
def session(pool: Pool) -> Session:
    return session_in(pool, asked=ASKED)

"""`studio bench start`."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from studio.bench.pools import make_pool, print_start
from studio.pool.pool import Queries
from support.command import studio
from support.pools import assert_sound


@pytest.mark.slow
def test_every_figure(tmp_path: Path) -> None:
    done = studio("bench", "start", "--tasks", "200", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["help_wall_s"] > 0 and report["help_cpu_s"] > 0
    pool = report["pool"]
    assert pool["asked_tasks"] == 200 and pool["tasks"] > 200
    assert pool["ready_s"] == pool["open_s"] + pool["index_s"]
    assert pool["peak_rss_bytes"] > 0 and pool["file_bytes"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_pool_is_a_real_one(tmp_path: Path) -> None:
    make_pool(tmp_path / "pool.db", 30)
    assert_sound(tmp_path / "pool.db")
    with Queries.open(tmp_path / "pool.db") as reader:
        assert reader.figures.counts().imported == 30
        assert sum(not is_seed for _, _, is_seed in reader.tasks.instructions()) == 30


def test_a_table_for_people() -> None:
    pool = {"tasks": 1_175, "file_bytes": 1 << 21, "make_s": 0.5, "open_s": 0.004, "ready_s": 0.3, "memory_bytes": 1 << 26}
    console = Console(file=StringIO(), width=100)
    print_start(console, {"help_cpu_s": 0.1, "help_wall_s": 0.2, "pool": pool})
    assert isinstance(console.file, StringIO)
    table = console.file.getvalue()
    assert "0.100 s of CPU" in table and "pool of 1,175 tasks, 2 MiB" in table and "novelty index filled" in table

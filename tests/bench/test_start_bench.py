"""`studio bench start`."""

from __future__ import annotations

import json
from pathlib import Path

from studio.bench.start import make_pool
from studio.pool.queries import Queries
from support.command import studio
from support.pools import assert_sound


def test_every_figure(tmp_path: Path) -> None:
    done = studio("bench", "start", "--tasks", "200", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["help_wall_s"] > 0 and report["help_cpu_s"] > 0
    assert report["first_frame_s"] is None and report["first_frame_note"]
    pool = report["pool"]
    assert pool["asked_tasks"] == 200 and pool["tasks"] > 200
    assert pool["ready_s"] == pool["open_s"] + pool["index_s"]
    assert pool["peak_rss_bytes"] > 0 and pool["file_bytes"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_pool_is_a_real_one(tmp_path: Path) -> None:
    make_pool(tmp_path / "pool.db", 30)
    assert_sound(tmp_path / "pool.db")
    with Queries.open(tmp_path / "pool.db") as reader:
        assert reader.counts().imported == 30
        assert sum(not is_seed for _, _, is_seed in reader.instructions()) == 30


def test_a_table_for_people() -> None:
    done = studio("bench", "start", "--tasks", "10")
    assert done.returncode == 0
    assert "s of CPU" in done.stdout and "novelty index filled" in done.stdout

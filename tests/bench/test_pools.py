"""`studio bench novelty` and `start`."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from studio.bench import pools
from studio.bench.pools import make_pool, print_start
from studio.loop.novelty import NoveltyIndex
from studio.pool.pool import Queries
from studio.records import Neighbour, Novelty
from support.command import assert_fails, studio
from support.pools import assert_sound

FIELDS = {"size", "ms_per_candidate", "ms_alone", "rouge_score_ms", "rouge_score_sample", "speedup", "mismatches", "index_bytes", "load_s"}


@pytest.mark.slow
def test_every_figure_of_each_size() -> None:
    done = studio("bench", "novelty", "--sizes", "50,300", "--batch", "4", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [each["size"] for each in report["novelty"]] == [50, 300]
    assert report["batch"] == 4 and isinstance(report["busy"], bool)
    assert report["machine"]["cpus"] >= 1 and len(report["machine"]["others_cpu_share"]) == 2
    for each in report["novelty"]:
        assert set(each) >= FIELDS
        assert each["mismatches"] == 0
        assert each["pairs_compared"] >= 2_000 + each["size"]
        assert each["rouge_score_sample"] == each["size"]
        assert all(each[name] > 0 for name in ("ms_per_candidate", "ms_alone", "rouge_score_ms", "speedup", "load_s"))


def test_a_large_pool_is_scaled_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_WHOLE_POOL", 40)
    figures = pools.measure_size(size=200, batch=4, repeats=1)
    assert figures["rouge_score_sample"] == 40 and figures["mismatches"] == 0
    assert figures["speedup"] == pytest.approx(figures["rouge_score_ms"] / figures["ms_per_candidate"])


def test_a_wrong_score_or_neighbour_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = pools._novelties

    def wrong(index: NoveltyIndex, texts: list[str]) -> list[Novelty]:
        first, *others = right(index, texts)
        best, *rest = first.neighbours
        off = Neighbour(best.task_id, best.score - 2.0**-53)
        return [Novelty((off, *rest), first.mean, first.seed_score), *others]

    monkeypatch.setattr(pools, "_novelties", wrong)
    assert pools.measure_size(size=60, batch=3, repeats=1)["mismatches"] == 2


def test_a_table_for_people() -> None:
    done = studio("bench", "novelty", "--sizes", "30")
    assert done.returncode == 0 and "30 tasks ..." in done.stderr
    assert "speedup" in done.stdout and "mismatches" in done.stdout


@pytest.mark.parametrize("sizes", ["", "0", "10,-1", "ten"])
def test_sizes_that_are_none(sizes: str, tmp_path: Path) -> None:
    assert_fails(studio("bench", "novelty", "--sizes", sizes, cwd=tmp_path), 2, "1000,10000")


@pytest.mark.slow
def test_every_figure_of_a_start(tmp_path: Path) -> None:
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


def test_a_table_of_a_start() -> None:
    pool = {"tasks": 1_175, "file_bytes": 1 << 21, "make_s": 0.5, "open_s": 0.004, "ready_s": 0.3, "memory_bytes": 1 << 26}
    console = Console(file=StringIO(), width=100)
    print_start(console, {"help_cpu_s": 0.1, "help_wall_s": 0.2, "pool": pool})
    assert isinstance(console.file, StringIO)
    table = console.file.getvalue()
    assert "0.100 s of CPU" in table and "pool of 1,175 tasks, 2 MiB" in table and "novelty index filled" in table

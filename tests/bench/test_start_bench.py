"""`studio bench start`."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from studio.bench import first_frame, terminal
from studio.bench.first_frame import measure_first_frame
from studio.bench.report import print_start
from studio.bench.start import make_pool
from studio.errors import StudioError
from studio.pool.pool import Queries
from support.command import studio
from support.pools import assert_sound


@pytest.mark.slow
def test_every_figure(tmp_path: Path) -> None:
    done = studio("bench", "start", "--tasks", "200", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["help_wall_s"] > 0 and report["help_cpu_s"] > 0
    assert report["first_frame_s"] > report["help_wall_s"] and report["first_frame_runs"] == 5
    pool = report["pool"]
    assert pool["asked_tasks"] == 200 and pool["tasks"] > 200
    assert pool["ready_s"] == pool["open_s"] + pool["index_s"]
    assert pool["peak_rss_bytes"] > 0 and pool["file_bytes"] > 0
    screen = report["pool_screen"]
    assert 0 < screen["first_rows_ms"] <= 1000 * screen["list_s"]
    assert len(screen["jumps_ms"]["all"]) == 20 and screen["jumps_ms"]["median"] <= screen["jumps_ms"]["p95"] <= screen["jumps_ms"]["worst"]
    assert list(tmp_path.iterdir()) == []


def test_the_pool_is_a_real_one(tmp_path: Path) -> None:
    make_pool(tmp_path / "pool.db", 30)
    assert_sound(tmp_path / "pool.db")
    with Queries.open(tmp_path / "pool.db") as reader:
        assert reader.counts().imported == 30
        assert sum(not is_seed for _, _, is_seed in reader.instructions()) == 30


@pytest.mark.parametrize(("first", "shown"), [(1.25, "1.250 s"), (None, "no pseudo-terminal here")])
def test_a_table_for_people(first: float | None, shown: str) -> None:
    pool = {"tasks": 1_175, "file_bytes": 1 << 21, "make_s": 0.5, "open_s": 0.004, "ready_s": 0.3, "memory_bytes": 1 << 26}
    console = Console(file=StringIO(), width=100)
    jumps = {"median": 40.0, "p95": 70.0, "worst": 90.0}
    screen = {"first_rows_ms": 60.0, "list_s": 0.5, "jumps_ms": jumps} if first is not None else None
    print_start(console, {"help_cpu_s": 0.1, "help_wall_s": 0.2, "first_frame_s": first, "pool": pool, "pool_screen": screen})
    assert isinstance(console.file, StringIO)
    table = console.file.getvalue()
    assert "0.100 s of CPU" in table and "pool of 1,175 tasks, 2 MiB" in table and "novelty index filled" in table
    assert ("40 ms, 95 % within 70, worst 90" in table) is (first is not None)
    assert [line for line in table.splitlines() if "first frame of the terminal studio" in line and shown in line]


def test_a_first_frame_is_the_headers_in_a_terminal_of_its_size(tmp_path: Path) -> None:
    make_pool(tmp_path / "pool.db", 0)
    seconds = measure_first_frame(tmp_path / "pool.db", runs=1)
    assert seconds is not None and seconds > 0
    assert_sound(tmp_path / "pool.db")


def test_the_command_is_in_a_terminal_of_its_own_and_does_not_outlive_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, sys, time; size = os.get_terminal_size(); assert sys.stdin.isatty();"
        f" open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); print('ready', *size, flush=True); time.sleep(600)"
    )
    monkeypatch.setattr(terminal, "LEAVING_S", 0.0)
    assert first_frame.time_to(b"ready 120 40", (sys.executable, "-c", code), dict(os.environ)) > 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_one_that_ends_before_it_has_drawn_is_an_error_with_its_last_words() -> None:
    with pytest.raises(StudioError, match="ended") as caught:
        first_frame.time_to(b"never", (sys.executable, "-c", "print('it \x1b[31mbroke')"), dict(os.environ))
    assert "it ␛[31mbroke" in caught.value.hint

"""What an import promises whatever comes: memory that does not grow with the file, and a pool that has all of it or nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from studio.errors import ExitCode
from studio.pool.exchange.importing import Faults, ImportOptions, import_files
from studio.pool.pool import Pool, Queries
from studio.records import Origin
from studio.seeds.inputs import FaultyFile
from studio.seeds.mapping import parse_map
from support.generated_pool import build_pool
from support.screens import HANG_S

MAP = parse_map(["instruction=q,output=a.text[0]"])


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", (), with_import=False)


def written(path: Path, records: int, answer: object, text: str = "") -> Path:
    with path.open("w", encoding="utf-8") as file:
        for number in range(records):
            file.write(json.dumps({"q": f"Number {number}? {text}", "a": {"text": [answer]}, "other": number}) + "\n")
    return path


def peak(pool: Path, file: Path) -> tuple[int, int]:
    """Return the most memory that Python held while the file was imported, and how many faults were told."""
    told = 0

    def count(_line: str) -> None:
        nonlocal told
        told += 1

    with Pool.open(pool) as opened:
        tracemalloc.start()
        with suppress(FaultyFile):
            import_files(opened.tasks, [file], ImportOptions(mapping=MAP), faults=Faults(count))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most, told


@pytest.mark.parametrize("answer", ["x", {"no": "text"}])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, pool: Path, answer: object) -> None:
    peak(pool, written(tmp_path / "first.jsonl", 20, answer))
    small, _ = peak(pool, written(tmp_path / "small.jsonl", 1_200, answer, "small"))
    large, told = peak(pool, written(tmp_path / "large.jsonl", 3_600, answer, "large"))
    assert large < small + 1_000_000
    assert told == (3_600 if isinstance(answer, dict) else 0)


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_an_import_that_is_ended_leaves_the_pool_as_it_was(tmp_path: Path, pool: Path, way: signal.Signals) -> None:
    # The second file is a pipe that nobody writes: the import waits for it with the first one in the pool's journal.
    file, pipe = written(tmp_path / "mine.jsonl", 2_500, "x" * 20_000), tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "studio", "import", str(pool), str(file), str(pipe), "--map", str(MAP), "--skip-invalid"]
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    journal = pool.with_name("pool.db-wal")
    latest = time.monotonic() + HANG_S
    while not (journal.exists() and journal.stat().st_size > 10_000_000):
        assert job.poll() is None and time.monotonic() < latest
        time.sleep(0.01)
    job.send_signal(way)
    _, said = job.communicate()
    if way is signal.SIGINT:
        assert (job.returncode, said.strip()) == (ExitCode.INTERRUPTED, "error: interrupted")
    with Pool.open(pool) as opened:
        assert list(opened.tasks.ids(origin=Origin.IMPORTED)) == [] and opened.imports.all() == []
        assert opened.tasks.next_id() == len(opened.tasks.ids()) + 1
    with Queries.open(pool) as reader:
        assert reader.tasks.search("Number") == []
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".studio") or each.name.endswith(".rejected.jsonl")] == []


def test_a_full_disk_is_told_and_leaves_the_pool_as_it_was(tmp_path: Path, pool: Path) -> None:
    file = written(tmp_path / "mine.jsonl", 2_500, "x" * 20_000)
    # A process that may write no file of more than 20 MB is refused as on a full disk.
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    limited += "; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000,) * 2)"
    command = [sys.executable, "-c", f"{limited}; from studio.cli import main; main()", "import", str(pool), str(file), "--map", str(MAP)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.POOL
    error, hint = done.stderr.splitlines()[-2:]
    assert error.startswith(f"error: pool {pool}: the disk ") and hint.startswith("hint: ")
    with Pool.open(pool) as opened:
        assert list(opened.tasks.ids(origin=Origin.IMPORTED)) == []

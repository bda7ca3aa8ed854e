"""Where exports go: whole files or none, splits, and everything that can be wrong with a target."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import ExitCode, PoolError, StudioError, UsageError
from studio.pool.exchange.export import ExportOptions, ExportSummary, export_to_files, export_to_stream, instruction_hash, plan_split
from studio.pool.pool import Pool, Queries
from studio.pool.stream import Stream
from studio.records import Instance
from support.generated_pool import build_pool

SMALL = tuple((f"Count to {number} aloud.", False, (Instance("", "one"), Instance("slowly", "two"))) for number in range(40))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", SMALL, with_import=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def export(pool: Path, target: Path, options: ExportOptions | None = None) -> ExportSummary:
    with Queries.open(pool) as source:
        return export_to_files(source.stream, target, options or ExportOptions(), pool)


def instructions(path: Path) -> list[str]:
    import json

    return [json.loads(line)["instruction"] for line in path.open(encoding="utf-8")]


def test_summary_counts_tasks_and_records(pool: Path, folder: Path) -> None:
    summary = export(pool, folder / "data.jsonl")
    assert (summary.tasks, summary.total) == (40, 80)
    assert summary.records == {folder / "data.jsonl": 80}
    assert len(instructions(folder / "data.jsonl")) == 80


def test_a_file_that_is_there_is_replaced_and_nothing_else_left(pool: Path, folder: Path) -> None:
    (folder / "data.jsonl").write_text("old")
    export(pool, folder / "data.jsonl")
    assert [path.name for path in folder.iterdir()] == ["data.jsonl"]
    assert len(instructions(folder / "data.jsonl")) == 80


def test_a_new_file_has_ordinary_permissions(pool: Path, folder: Path) -> None:
    before = os.umask(0o022)
    try:
        export(pool, folder / "data.jsonl")
    finally:
        os.umask(before)
    assert (folder / "data.jsonl").stat().st_mode & 0o777 == 0o644


def test_a_symbolic_link_stays_one(pool: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    export(pool, folder / "link.jsonl")
    assert (folder / "link.jsonl").is_symlink()
    assert len(instructions(tmp_path / "real.jsonl")) == 80


def test_a_pipe_is_written_and_not_replaced(pool: Path, folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    export(pool, pipe)
    reader.join()
    assert received[0].count(b"\n") == 80
    assert pipe.is_fifo()


def test_split_is_by_instruction_and_loses_nothing(pool: Path, folder: Path) -> None:
    export(pool, folder / "data.jsonl", ExportOptions(split=0.7))
    assert sorted(path.name for path in folder.iterdir()) == ["data.train.jsonl", "data.validation.jsonl"]
    train, validation = instructions(folder / "data.train.jsonl"), instructions(folder / "data.validation.jsonl")
    assert not set(train) & set(validation)
    assert len(train) + len(validation) == 80
    assert len(set(train)) > len(set(validation)) > 0


def test_split_follows_the_seed_alone(pool: Path, folder: Path) -> None:
    sides = []
    for seed in ("1", "1", "2"):
        export(pool, folder / "data.jsonl", ExportOptions(split=0.5, seed=seed))
        sides.append((folder / "data.train.jsonl").read_bytes())
    assert sides[0] == sides[1] != sides[2]


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_split_leaves_no_side_empty(tmp_path: Path, folder: Path, share: float) -> None:
    pool = build_pool(tmp_path / "two.db", SMALL[:2], with_import=False)
    export(pool, folder / "data.jsonl", ExportOptions(split=share))
    assert len(set(instructions(folder / "data.train.jsonl"))) == 1
    assert len(set(instructions(folder / "data.validation.jsonl"))) == 1


def test_split_of_one_instruction_is_refused(tmp_path: Path, folder: Path) -> None:
    pool = build_pool(tmp_path / "one.db", SMALL[:1], with_import=False)
    with pytest.raises(PoolError, match="two different instructions"):
        export(pool, folder / "data.jsonl", ExportOptions(split=0.5))
    assert not list(folder.iterdir())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 95.0, float("nan")])
def test_a_share_outside_0_and_1_is_refused(pool: Path, folder: Path, share: float) -> None:
    with pytest.raises(UsageError, match="is not a share"):
        export(pool, folder / "data.jsonl", ExportOptions(split=share))


def test_nothing_to_export(tmp_path: Path, folder: Path) -> None:
    pool = build_pool(tmp_path / "empty.db", (), with_import=False)
    (folder / "data.jsonl").write_text("old")
    for target, options in ((folder / "data.jsonl", ExportOptions()), (folder / "new", ExportOptions("self-instruct"))):
        with pytest.raises(PoolError, match="nothing to export") as caught:
            export(pool, target, options)
        assert "--include-seeds" in caught.value.hint
    assert (folder / "data.jsonl").read_text() == "old"
    assert [path.name for path in folder.iterdir()] == ["data.jsonl"]
    assert export(pool, folder / "data.jsonl", ExportOptions(include_seeds=True)).tasks == 2


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        ("missing/data.jsonl", ExportOptions(), PoolError, "no such file or directory"),
        ("old.jsonl/data.jsonl", ExportOptions(), PoolError, "not a directory"),
        ("missing/folder", ExportOptions("self-instruct"), PoolError, "no such file or directory"),
        (".", ExportOptions(), UsageError, "is a folder"),
        (".", ExportOptions(split=0.5), UsageError, "is a folder"),
        ("x" * 300, ExportOptions(), PoolError, "file name too long"),
        ("old.jsonl", ExportOptions("self-instruct"), UsageError, "is a file"),
        ("folder", ExportOptions("self-instruct", split=0.5), UsageError, "does not go with"),
        ("../pool.db", ExportOptions(), UsageError, "the pool itself"),
        ("../pool.db-wal", ExportOptions(), UsageError, "the pool itself"),
        ("data.jsonl", ExportOptions("jsonl"), UsageError, "unknown export format"),
    ],
)
def test_targets_that_do_not_fit(
    pool: Path, folder: Path, target: str, options: ExportOptions, error: type[StudioError], message: str
) -> None:
    (folder / "old.jsonl").write_text("old")
    before = pool.read_bytes()
    with pytest.raises(error, match=message) as caught:
        export(pool, folder / target, options)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert pool.read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["old.jsonl"]


class FullDisk(io.BytesIO):
    """A file on a disk that is full after some kilobytes."""

    def write(self, data: object, /) -> int:
        if self.tell() > 2000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)  # type: ignore[arg-type]


def test_full_disk_leaves_the_old_file_and_no_temporary(pool: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data.jsonl").write_text("old")
    plain = Path.open

    def opened(path: Path, mode: str = "r", **options: object) -> object:
        if mode != "xb":
            return plain(path, mode, **options)  # type: ignore[call-overload]
        path.touch()
        return FullDisk()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(PoolError, match="no space left on device") as caught:
        export(pool, folder / "data.jsonl")
    assert str(folder / "data.jsonl") in caught.value.message
    assert caught.value.exit_code == ExitCode.POOL
    assert "free some space" in caught.value.hint
    assert (folder / "data.jsonl").read_text() == "old"
    assert [path.name for path in folder.iterdir()] == ["data.jsonl"]


def test_a_real_limit_on_file_size_leaves_nothing(pool: Path, folder: Path) -> None:
    program = """
import resource, signal, sys
sys.dont_write_bytecode = True
from studio.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
sys.argv = ["studio", "export", sys.argv[1], "-o", sys.argv[2]]
main()
"""
    done = subprocess.run([sys.executable, "-c", program, pool, folder / "data.jsonl"], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.POOL
    assert "Traceback" not in done.stderr
    assert "file too large" in done.stderr
    assert not list(folder.iterdir())


def test_interruption_leaves_nothing(pool: Path, folder: Path) -> None:
    def stop(tasks: int) -> None:
        if tasks == 3:
            raise KeyboardInterrupt

    with Queries.open(pool) as source, pytest.raises(KeyboardInterrupt):
        export_to_files(source.stream, folder / "data.jsonl", ExportOptions(split=0.5), pool, stop)
    assert not list(folder.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_may_not_be_written(pool: Path, folder: Path) -> None:
    folder.chmod(0o500)
    with pytest.raises(PoolError, match="permission denied"):
        export(pool, folder / "data.jsonl")


def test_stream_gets_the_same_bytes_as_a_file(pool: Path, folder: Path) -> None:
    export(pool, folder / "data.jsonl")
    stream = io.BytesIO()
    with Queries.open(pool) as source:
        summary = export_to_stream(source.stream, stream, ExportOptions())
    assert stream.getvalue() == (folder / "data.jsonl").read_bytes()
    assert summary.total == 80


@pytest.mark.parametrize("options", [ExportOptions(split=0.5), ExportOptions("self-instruct")])
def test_streams_refuse_what_needs_files(pool: Path, options: ExportOptions) -> None:
    stream = io.BytesIO()
    with Queries.open(pool) as source, pytest.raises(UsageError, match="stdout"):
        export_to_stream(source.stream, stream, options)
    assert not stream.getvalue()


def test_a_pool_may_be_exported_while_it_is_written(pool: Path, folder: Path) -> None:
    with Pool.open(pool):
        assert export(pool, folder / "data.jsonl").tasks == 40


def test_tasks_are_streamed(pool: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No task is asked for before the one before it has been written."""
    order: list[str] = []
    plain = Stream.export_tasks

    def noted(source: Stream, *arguments: Any, **named: Any) -> Iterator[object]:
        for task in plain(source, *arguments, **named):
            order.append("read")
            yield task

    monkeypatch.setattr(Stream, "export_tasks", noted)
    with Queries.open(pool) as source:
        export_to_files(source.stream, folder / "data.jsonl", ExportOptions(), pool, lambda _: order.append("written"))
    assert order == ["read", "written"] * 40


SHARES = st.floats(min_value=0.01, max_value=0.99)


@given(st.lists(st.text(alphabet="abcdef", min_size=1), min_size=2, max_size=30, unique=True), SHARES, st.text(max_size=5))
def test_both_sides_have_something(instructions: list[str], share: float, seed: str) -> None:
    split = plan_split(instructions, share, seed)
    assert {split.is_training(instruction) for instruction in instructions} == {True, False}


def test_share_is_met_roughly_and_seeds_differ() -> None:
    instructions = [f"Instruction number {number}" for number in range(5000)]
    splits = [plan_split(instructions, 0.9, seed) for seed in ("a", "b")]
    sides = [[split.is_training(text) for text in instructions] for split in splits]
    for side in sides:
        assert 0.88 < sum(side) / len(side) < 0.92
    assert sides[0] != sides[1]


def test_a_task_keeps_its_side_while_the_pool_grows() -> None:
    instructions = [f"Instruction number {number}" for number in range(200)]
    early, late = plan_split(instructions[:100], 0.8, "s"), plan_split(instructions, 0.8, "s")
    assert all(early.is_training(text) == late.is_training(text) for text in instructions[:100])


def test_white_space_does_not_count() -> None:
    assert instruction_hash("s", "Write  a\npoem. ") == instruction_hash("s", "Write a poem.")

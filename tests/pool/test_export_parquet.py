"""Exports as Parquet: the rows of the JSON lines, the same columns for each pool, and bytes that come again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from studio.errors import PoolError, UsageError
from studio.pool.exchange.formats import FORMATS
from studio.pool.exchange.importing import ImportOptions, import_files
from studio.pool.exchange.parquet import ParquetFile, example, schema_of
from studio.pool.pool import Pool
from studio.pool.stream import ExportTask
from studio.records import Instance, Origin, SeedTask
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS
from support.pairs import pool_with_pairs
from support.pools import export

SINGLE = [name for name, each in FORMATS.items() if not each.files]
TASKS = (
    ("Translate into French.", False, (Instance("Good day", "Bonjour"), Instance("Cat", "Chat"))),
    ("Spam or not?", True, (Instance("Win now", "spam"),)),
)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = build_pool(tmp_path / "pool.db", TASKS)
    texts = [text for text in NASTY_TEXTS if text.strip()]
    with Pool.open(path) as opened:
        thought = SeedTask("", "", "Think first.", (Instance("", "Done.", "Hm."),), None)
        opened.tasks.add([thought, *(SeedTask("", "", f"Say {text}", (Instance(text, text),), None) for text in texts)], Origin.IMPORTED)
    return path


def exported(pool: Path, target: Path, name: str, **more: Any) -> Path:
    export(pool, target, name, **more)
    return target


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(each) for key, each in value.items() if each is not None}
    return [without_null(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", SINGLE)
def test_rows_are_those_of_the_lines_and_bytes_come_again(pool: Path, tmp_path: Path, name: str) -> None:
    if name.startswith("preference"):
        pool = pool_with_pairs(tmp_path / "pairs.db")
    lines = exported(pool, tmp_path / "x.jsonl", name).read_text("utf-8").splitlines()
    table = exported(pool, tmp_path / "x.parquet", name)
    assert [without_null(row) for row in pq.read_table(table).to_pylist()] == [without_null(json.loads(line)) for line in lines]
    assert exported(pool, tmp_path / "y.parquet", name).read_bytes() == table.read_bytes()


@pytest.mark.parametrize("name", ["alpaca", "chat", "sharegpt", "prompt-completion"])
def test_what_is_brought_back_is_written_as_it_was(pool: Path, tmp_path: Path, name: str) -> None:
    first = exported(pool, tmp_path / "x.parquet", name)
    again = tmp_path / "again.db"
    with Pool.create(again, []) as opened:
        import_files(opened.tasks, [first], ImportOptions())
    second = exported(again, tmp_path / "y.parquet", name)
    rows = [sorted(map(json.dumps, pq.read_table(each).to_pylist())) for each in (first, second)]
    assert rows[0] == rows[1]
    third = tmp_path / "third.db"
    with Pool.create(third, []) as opened:
        import_files(opened.tasks, [second], ImportOptions())
    assert exported(third, tmp_path / "z.parquet", name).read_bytes() == second.read_bytes()


def test_a_raw_file_says_the_same_of_its_tasks_as_parquet_and_as_lines(tmp_path: Path) -> None:
    pool = pool_with_pairs(tmp_path / "pairs.db")
    said = []
    for suffix in ("jsonl", "parquet"):
        again, further = tmp_path / f"{suffix}.db", tmp_path / f"{suffix}-further.db"
        for source, target in ((pool, again), (again, further)):
            with Pool.create(target, []) as opened:
                import_files(opened.tasks, [exported(source, target.with_suffix(f".{suffix}"), "raw")], ImportOptions())
        said.append(exported(further, tmp_path / f"{suffix}-said.jsonl", "raw").read_bytes())
    assert said[0] == said[1] and b"provenance" in said[0]


def test_columns_do_not_depend_on_the_data_and_splits_have_the_same(pool: Path, tmp_path: Path) -> None:
    plain = build_pool(tmp_path / "plain.db", TASKS)
    assert pq.read_schema(exported(plain, tmp_path / "x.parquet", "chat")) == pq.read_schema(exported(pool, tmp_path / "y.parquet", "chat"))
    exported(pool, tmp_path / "s.parquet", "chat", split=0.5)
    sides = [tmp_path / f"s.{side}.parquet" for side in ("train", "validation")]
    assert pq.read_schema(sides[0]) == pq.read_schema(sides[1])
    assert sum(pq.read_metadata(side).num_rows for side in sides) == pq.read_metadata(tmp_path / "y.parquet").num_rows


def test_the_datasets_library_reads_it(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    path = exported(pool, tmp_path / "x.parquet", "chat")
    rows = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert [message["role"] for message in rows[0]["messages"]] == ["user", "assistant"]
    assert [row["messages"][1]["reasoning_content"] for row in rows if row["messages"][0]["content"] == "Think first."] == ["Hm."]


def test_memory_does_not_grow_with_the_file_and_row_groups_are_many(tmp_path: Path) -> None:
    with (tmp_path / "x.parquet").open("wb") as file:
        sink = ParquetFile(file, "alpaca")
        for number in range(9000):
            sink.write({"instruction": f"{number}", "input": "", "output": f"{number} " * 2000})
        sink.close()
    groups = pq.ParquetFile(tmp_path / "x.parquet").metadata
    assert groups.num_rows == 9000 and groups.num_row_groups > 1


def test_the_example_has_everything() -> None:
    task = example(ExportTask)
    assert all(getattr(task, each.name) for each in fields(task))
    for name in SINGLE:
        assert schema_of(name).names


@pytest.mark.parametrize("record", [{"instruction": "x", "mood": "y"}, {"instruction": 7}])
def test_what_has_no_place_in_the_columns_is_told(tmp_path: Path, record: dict[str, Any]) -> None:
    with (tmp_path / "x.parquet").open("wb") as file:
        sink = ParquetFile(file, "alpaca")
        with pytest.raises(PoolError, match="no place for what a task holds"):
            sink.write(record)
            sink.close()
        sink.give_up()


def test_nothing_is_there_when_the_data_is_not_or_the_extra_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.db"
    Pool.create(empty, []).close()
    with pytest.raises(PoolError, match="nothing to export"):
        exported(empty, tmp_path / "x.parquet", "alpaca")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="Parquet is written with packages that are not installed"):
        exported(empty, tmp_path / "x.parquet", "alpaca")
    assert not list(tmp_path.glob("*.par*"))


def test_the_command_writes_it_by_its_name(pool: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "studio", "export", str(pool), "-o", str(tmp_path / "x.parquet"), "--format", "chat"]
    done = subprocess.run([*command, "--card", str(tmp_path / "README.md")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(tmp_path / "x.parquet").num_rows > 3
    assert "x.parquet" in (tmp_path / "README.md").read_text()

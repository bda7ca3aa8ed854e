"""Importing files of every format into a pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.errors import UsageError
from studio.pool.export import ExportOptions, export_to_files
from studio.pool.importers import IMPORTERS, detect_importer, find_importer
from studio.pool.importing import FileReport, import_files
from studio.pool.queries import Queries
from studio.pool.store import Pool
from studio.records import Instance, Origin, Task
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", (), with_import=False)


def bring(pool: Path, *paths: Path, name: str = "auto", origin: Origin = Origin.IMPORTED) -> list[FileReport]:
    with Pool.open(pool) as opened:
        return import_files(opened, paths, name, origin)


def imported(pool: Path, origin: Origin = Origin.IMPORTED) -> list[Task]:
    with Queries.open(pool) as source:
        return source.tasks(list(source.task_ids(origin=origin)))


def json_lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def row(instruction: str, given: str, output: str) -> dict[str, str]:
    return {"instruction": instruction, "input": given, "output": output}


MACHINE: dict[str, Any] = {
    "instruction": "List the planets.",
    "most_similar": {"x": 0.3},
    "avg_similarity_score": 0.1,
    "metadata": {"prompt": "…", "response": {"choices": [{"text": "…"}]}},
    "request_idx": 0,
}
SEED: dict[str, Any] = {
    "id": "mine_1",
    "name": "planets",
    "instruction": "List the planets.",
    "instances": [{"input": "", "output": "Mercury…"}],
    "is_classification": True,
}


def test_seed_schema(pool: Path, tmp_path: Path) -> None:
    [report] = bring(pool, json_lines(tmp_path / "mine.jsonl", SEED))
    assert (report.format, report.imported, report.duplicates) == ("self-instruct", 1, 0)
    [task] = imported(pool)
    assert (task.name, task.instruction, task.is_classification) == ("planets", "List the planets.", True)
    assert task.instances == (Instance("", "Mercury…"),)


def test_machine_generated_gives_instructions_only(pool: Path, tmp_path: Path) -> None:
    [report] = bring(pool, json_lines(tmp_path / "machine_generated_instructions.jsonl", MACHINE, {**MACHINE, "instruction": "Other."}))
    assert (report.format, report.imported) == ("machine-generated", 2)
    assert [(task.instruction, task.instances) for task in imported(pool)] == [("List the planets.", ()), ("Other.", ())]


@pytest.mark.parametrize("as_lines", [False, True])
def test_alpaca_merges_instances_of_equal_instructions(pool: Path, tmp_path: Path, as_lines: bool) -> None:
    rows = [
        row("Double it.", "1", "2"),
        row("Say hi.", "", "hi"),
        row("Double it.", "2", "4"),
        row("Double it. ", "1", "2"),
        row("No.", "", ""),
    ]
    path = tmp_path / "alpaca_data.json"
    if as_lines:
        json_lines(path, *rows)
    else:
        path.write_text(json.dumps(rows, indent=4), encoding="utf-8")
    [report] = bring(pool, path)
    assert (report.format, report.imported, report.duplicates) == ("alpaca", 3, 0)
    assert [(task.instruction, task.instances) for task in imported(pool)] == [
        ("Double it.", (Instance("1", "2"), Instance("2", "4"))),
        ("Say hi.", (Instance("", "hi"),)),
        ("No.", ()),
    ]


def test_csv_and_text(pool: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("instruction;output\nSay hi.;hi\n")
    (tmp_path / "b.txt").write_text("Write a poem.\nSay hi.\n")
    first, second = bring(pool, tmp_path / "a.csv", tmp_path / "b.txt")
    assert (first.format, first.imported) == ("csv", 1)
    assert (second.format, second.imported, second.duplicates) == ("text", 1, 1)


def test_jsonl_takes_what_each_line_has(pool: Path, tmp_path: Path) -> None:
    records = [{"instruction": "Alone."}, {"instruction": "With.", "output": "x"}, {**SEED, "instruction": "Whole."}]
    [report] = bring(pool, json_lines(tmp_path / "mixed.jsonl", *records))
    assert report.format == "jsonl"
    assert [len(task.instances) for task in imported(pool)] == [0, 1, 1]


def test_what_the_pool_has_is_skipped_and_counted(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", {**SEED, "instruction": "Greet a  guest in one sentence."}, SEED)
    assert [(report.imported, report.duplicates) for report in bring(pool, path)] == [(1, 1)]
    assert [(report.imported, report.duplicates) for report in bring(pool, path)] == [(0, 2)]


def test_as_seed(pool: Path, tmp_path: Path) -> None:
    bring(pool, json_lines(tmp_path / "mine.jsonl", SEED), origin=Origin.SEED)
    assert [task.name for task in imported(pool, Origin.SEED)] == ["greeting", "sentiment", "planets"]


def test_a_fault_in_any_file_imports_nothing(pool: Path, tmp_path: Path) -> None:
    good = json_lines(tmp_path / "good.jsonl", SEED)
    bad = json_lines(tmp_path / "bad.jsonl", SEED, {**SEED, "instances": []}, 5)
    with pytest.raises(UsageError) as caught:
        bring(pool, good, bad)
    assert caught.value.message == f"{bad}:2: instances: empty: at least one instance is needed (and 1 more fault)"
    assert "nothing was imported" in caught.value.hint
    assert imported(pool) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file holds no task"),
        ("[]", "the file holds no task"),
        ('[{"instruction": "x", "output": ', "invalid JSON"),
        ('[{"instruction": "x", "output": "y"}, 7]', r"\[1\]: not an object"),
        ('[{"instruction": "", "output": "y"}]', r"\[0\].instruction: empty"),
        ('{"instruction": "x", "output": 5}', ":1: output: a number where text is needed"),
        ('{"question": "x"}', ":1: instruction: missing"),
        ('{"instruction": "x", "output": "y"}\n{"instruction": "half', "half-written last line"),
        ("nonsense\n", ":1: invalid JSON"),
    ],
)
def test_bad_files(pool: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        bring(pool, path)


def test_a_file_that_is_missing_is_named(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        bring(pool, tmp_path / "none.jsonl")


def test_a_format_that_does_not_fit_is_named(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        bring(pool, json_lines(tmp_path / "mine.jsonl", MACHINE), name="self-instruct")
    assert "read as self-instruct" in caught.value.hint
    with pytest.raises(UsageError, match="unknown import format"):
        find_importer("alpacca")


@pytest.mark.parametrize("name", ["self-instruct", "machine-generated", "jsonl", "text"])
def test_long_files_are_not_held(tmp_path: Path, name: str) -> None:
    """A line that is added after the first task has come is seen: the file is read as the tasks are taken."""
    path = json_lines(tmp_path / "long.jsonl", SEED)
    parsed = IMPORTERS[name].parse(path)
    assert next(parsed).task is not None
    with path.open("a") as file:
        file.write(json.dumps(SEED) + "\n")
    assert len(list(parsed)) == 1


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_nasty_text_comes_in_as_it_is(pool: Path, tmp_path: Path, text: str) -> None:
    bring(pool, json_lines(tmp_path / "nasty.jsonl", row("x" + text, text, "y" + text)))
    [task] = imported(pool)
    assert (task.instruction, task.instances) == ("x" + text, (Instance(text, "y" + text),))


def test_alpaca_export_is_imported_back(tmp_path: Path) -> None:
    tasks = (("Double it.", False, (Instance("1", "2"), Instance("2", "4"))), ("Say\u2028hi.", False, (Instance("", "hi"),)))
    written = build_pool(tmp_path / "written.db", tasks, with_import=False)
    with Queries.open(written) as source:
        export_to_files(source, tmp_path / "data.jsonl", ExportOptions(), written)
        export_to_files(source, tmp_path / "folder", ExportOptions("self-instruct"), written)
    for path in (tmp_path / "data.jsonl", tmp_path / "folder" / "machine_generated_instances.jsonl"):
        fresh = build_pool(tmp_path / f"{path.stem}.db", (), with_import=False)
        bring(fresh, path)
        assert [(task.instruction, task.instances) for task in imported(fresh)] == [(task[0], task[2]) for task in tasks]


def test_detection_reads_keys_not_names(tmp_path: Path) -> None:
    for record, name in (
        (SEED, "self-instruct"),
        (MACHINE, "machine-generated"),
        (row("a", "", "b"), "alpaca"),
        ({"instruction": "a"}, "jsonl"),
    ):
        assert detect_importer(json_lines(tmp_path / "any", record)).name == name

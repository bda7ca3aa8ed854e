"""Tables in a JSON object, and records that are too deep or too long to be taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import UsageError
from studio.seeds import inputs, json_file
from studio.seeds.reading import inspect_file


def table(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def faults(path: Path) -> list[tuple[int | None, str]]:
    return [(fault.index, fault.fault) for fault in inspect_file(path).faults]


def test_rows_that_do_not_fit_the_columns_are_faults(tmp_path: Path) -> None:
    rows = [["a", "x"], ["b"], ["c", "y", "lost"], "d"]
    path = table(tmp_path, {"columns": ["instruction", "output"], "data": rows})
    assert [task.instruction for task in inspect_file(path).tasks] == ["a"]
    assert faults(path) == [
        (1, "a row of 1 values where there are 2 columns"),
        (2, "a row of 3 values where there are 2 columns"),
        (3, "text where a row is needed, which is a list"),
    ]


def test_columns_of_one_name_are_not_merged(tmp_path: Path) -> None:
    path = table(tmp_path, {"columns": ["instruction", "output", "output"], "data": [["a", "x", "y"]]})
    assert faults(path) == [(0, "there are two columns 'output'")]


def test_rows_that_the_first_column_lacks_are_not_lost(tmp_path: Path) -> None:
    path = table(tmp_path, {"instruction": {"0": "a", "1": "b"}, "output": {"0": "x", "2": "y"}})
    assert [index for index, _ in faults(path)] == [2]
    assert [task.instruction for task in inspect_file(path).tasks] == ["a", "b"]


@pytest.mark.parametrize("name", ["messages", "instruction"])
def test_a_record_of_an_empty_list_is_not_lost(tmp_path: Path, name: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(f'{{"instruction": "a"}}\n{{"{name}": []}}\n')
    assert [fault.line for fault in inspect_file(path).faults] == [2]


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("levels", [250, 600, 990, 50_000])
def test_what_is_nested_too_deeply_is_a_fault(tmp_path: Path, opening: str, closing: str, levels: int) -> None:
    path = tmp_path / "deep.jsonl"
    deep = opening * levels + "1" + closing * levels
    path.write_text(f'{{"instruction": "a", "meta": {deep}}}\n{{"instruction": "b"}}\n')
    assert faults(path) == [(None, "lists and objects nested more than 200 levels deep")]


def test_many_brackets_side_by_side_are_no_depth(tmp_path: Path) -> None:
    turns = [{"role": role, "content": f"{number} [[[{{"} for number in range(200) for role in ("user", "assistant")]
    assert faults(table(tmp_path, [{"messages": turns}])) == []


def test_a_record_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (inputs, json_file):
        monkeypatch.setattr(module, "LONGEST", 200_000)
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"instruction": "x" * 300_000}) + "\n")
    with pytest.raises(UsageError, match="line 1 is longer than 200,000 characters"):
        inspect_file(path)
    found = faults(table(tmp_path, [{"instruction": "x" * 500_000}]))
    assert [(index, fault.partition(" (")[0]) for index, fault in found] == [(0, "a record of more than 200,000 characters")]

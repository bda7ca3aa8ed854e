"""No task counts that may have been trained on: by instruction, by eight words in a row, and the list says by which."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from studio.errors import UsageError
from studio.insight.overlap.corpus import SourceTask
from studio.records import Instance
from studio.tuning.overlap_check import TrainingFile, overlapping, training_files
from support.evaluations import item

LONG = "the quick brown fox jumps over the lazy dog tonight"
ITEMS = [
    item(0, instruction="Write a haiku about the sea in winter."),
    item(1, instruction="Say what this is.", given=f"Look: {LONG}."),
    item(2, instruction="Say what that was.", outputs=(f"It was that {LONG.upper()}",)),
    item(3, instruction="Name three mountains of Asia.", outputs=("K2",)),
]
TRAINED = [
    SourceTask("task 1", "List some colours.", (Instance("", "red"),)),
    SourceTask("task 2", "Write a haiku about the sea in autumn.", ()),
    SourceTask("task 3", "Describe the picture.", (Instance("", f"Here {LONG}!"),)),
]


def test_both_measures_find_what_they_are_for() -> None:
    found = {each.item.position: each for each in overlapping(ITEMS, TRAINED)}
    assert sorted(found) == [0, 1, 2]
    assert (found[0].label, found[0].shared, found[0].reason) == ("task 2", "", "ROUGE-L 0.88")
    assert [found[place].label for place in (1, 2)] == ["task 3", "task 3"]
    assert found[1].shared == "the quick brown fox jumps over the lazy"
    assert found[1].as_dict()["trained_on"] == "task 3"


def test_seven_words_are_no_overlap_and_nothing_trained_on_overlaps_nothing() -> None:
    seven = SourceTask("task 1", "Say " + " ".join(LONG.split()[:7]), ())
    assert overlapping(ITEMS[1:2], [seven]) == []
    nothing: Sequence[SourceTask] = []
    assert overlapping(ITEMS, nothing) == []
    assert overlapping([], TRAINED) == []


def _line(instruction: str, completion: str = " yes") -> str:
    return json.dumps({"task_id": 1, "instruction": instruction, "input": "", "prompt": "p", "completion": completion}) + "\n"


def test_the_files_beside_an_adapter_are_read_both(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.gguf"
    assert training_files(adapter) == []
    (tmp_path / "validation.jsonl").write_text(_line("Write a haiku about the sea in spring."))
    assert training_files(adapter) == []
    (tmp_path / "train.jsonl").write_text(_line("Add.") + _line("Describe it.", f" {LONG}"))
    train, validation = training_files(adapter)
    assert [each.label for each in overlapping(ITEMS, train)] == ["line 2 of train.jsonl"] * 2
    assert [each.label for each in overlapping(ITEMS, validation)] == ["line 1 of validation.jsonl"]


@pytest.mark.parametrize("line", ["{", "[1]", '{"instruction": "x"}', "\x00"])
def test_a_file_that_is_no_training_data_is_said(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(_line("Add.") + line + "\n")
    with pytest.raises(UsageError, match=r"line 2 of train\.jsonl"):
        list(TrainingFile(path))

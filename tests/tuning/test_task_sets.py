"""Tasks to evaluate on: what becomes an item, what is left out, and what is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import PoolError, UsageError
from studio.pool.pool import Pool
from studio.records import HoldOut, Instance, SeedTask
from studio.tuning.task_sets import file_tasks, held_out_tasks, sampled
from support.pools import make_pool, seed_tasks

SEVERAL = SeedTask(
    "s1",
    "",
    "Say if the review is kind.",
    (Instance("Bad!", "unkind"), Instance("Good.", "kind"), Instance("Bad! ", "not kind"), Instance("Bad!", "unkind")),
    True,
)


def _file(path: Path, *tasks: SeedTask) -> Path:
    records = [
        {
            "id": task.key,
            "name": task.name,
            "instruction": task.instruction,
            "instances": [{"input": each.input, "output": each.output} for each in task.instances],
            "is_classification": task.is_classification,
        }
        for task in tasks
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_equal_inputs_are_one_item_with_several_references(tmp_path: Path) -> None:
    found = file_tasks(_file(tmp_path / "tasks.jsonl", SEVERAL, *seed_tasks(2)))
    assert (found.name, found.skipped) == ("tasks.jsonl", 0)
    assert [(item.position, item.task, item.key, item.input, item.outputs) for item in found.items] == [
        (0, 0, "s1", "Bad!", ("unkind", "not kind")),
        (1, 0, "s1", "Good.", ("kind",)),
        (2, 1, "seed_1", "", ("It is 1.",)),
        (3, 2, "seed_2", "", ("It is 2.",)),
    ]
    assert [item.is_classification for item in found.items] == [True, True, False, False]
    assert {item.task_id for item in found.items} == {None}


def test_tasks_without_an_output_are_counted_and_left_out(tmp_path: Path) -> None:
    table = tmp_path / "tasks.csv"
    table.write_text("instruction,input,output\nAdd.,1 2,3\nThink of nothing.,,\n")
    found = file_tasks(table)
    assert ([item.instruction for item in found.items], found.skipped) == (["Add."], 1)


def test_whole_tasks_are_left_out_and_drawn(tmp_path: Path) -> None:
    found = file_tasks(_file(tmp_path / "tasks.jsonl", SEVERAL, *seed_tasks(9)))
    without = found.without([found.items[1]])
    assert [(item.position, item.task) for item in without.items] == [(place, place) for place in range(9)]
    drawn = sampled(found, 4, "0")
    assert len({item.task for item in drawn.items}) == 4
    assert [item.position for item in drawn.items] == list(range(len(drawn.items)))
    assert sampled(found, 4, "0") == drawn != sampled(found, 4, "1")
    assert sampled(found, 10, "0") == found


def test_held_out_seeds_are_the_pools_tasks(tmp_path: Path) -> None:
    with Pool.create(tmp_path / "pool.db", seed_tasks(10), HoldOut("2", "0", frozenset({4, 7}))) as pool:
        found = held_out_tasks(pool.reader)
        assert [(item.task_id, item.key, item.outputs) for item in found.items] == [(5, "5", ("It is 5.",)), (8, "8", ("It is 8.",))]
        assert (found.items[0].is_classification, found.items[1].is_classification) == (True, False)


def test_without_tasks_it_is_said_what_to_do(tmp_path: Path) -> None:
    with Pool.open(make_pool(tmp_path / "pool.db")) as pool, pytest.raises(PoolError, match="holds no tasks out") as caught:
        held_out_tasks(pool.reader)
    assert "--hold-out" in caught.value.hint
    open_ended = tmp_path / "open.txt"
    open_ended.write_text("Think of nothing.\nThink of something.\n")
    with pytest.raises(UsageError, match="no task of"):
        file_tasks(open_ended)
    with pytest.raises(UsageError, match="no such file"):
        file_tasks(tmp_path / "missing.jsonl")

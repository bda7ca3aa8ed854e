"""The data of a training: which instances it has, on which side, and what stands for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import PoolError
from studio.pool.pool import Pool, Queries
from studio.pool.studies.trainings import Side
from studio.records import Instance, Origin, SeedTask
from studio.tuning.data import TrainingData, collect
from studio.tuning.settings import TrainingSettings
from support.generated_pool import build_pool
from support.trainings import lesson_pool

GENERATED = [
    ("Name three rivers.", False, (Instance("", "Elbe, Oder"), Instance("of Spain", "Ebro"))),
    ("Sing.", False, (Instance("", "La."),)),
]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", GENERATED)


def collected(pool: Path, **settings: object) -> TrainingData:
    with Queries.open(pool) as reader:
        return collect(reader, TrainingSettings.model_validate({"format": "varied"} | settings), None)


def test_which_tasks(pool: Path) -> None:
    def instructions(data: str) -> set[str]:
        return {example.instruction for example in collected(pool, data=data).examples}

    generated = {"Name three rivers.", "Sing.", "Name a colour."}
    seeds = {"Greet a guest in one sentence.", "Is this review good or bad?"}
    assert (instructions("generated"), instructions("seeds"), instructions("all")) == (generated, seeds, generated | seeds)


def test_no_instruction_is_on_both_sides(tmp_path: Path) -> None:
    data = collected(lesson_pool(tmp_path / "lessons.db", 200), validation=0.25)
    sides = [{example.instruction for example in data.side(side)} for side in Side]
    assert not sides[0] & sides[1]
    assert 25 < len(sides[1]) < 75
    assert collected(tmp_path / "lessons.db", validation=0).side(Side.VALIDATION) == []


def test_lines_have_what_an_evaluation_needs(pool: Path) -> None:
    data = collected(pool, validation=0, format="plain")
    records = [json.loads(line) for line in data.lines(Side.TRAIN).splitlines()]
    assert len(records) == 6
    assert all(set(record) == {"task_id", "instance_id", "instruction", "input", "prompt", "completion"} for record in records)
    rivers = next(record for record in records if record["input"] == "of Spain")
    assert rivers["prompt"] == "Name three rivers.\n\nof Spain\n\nOutput:" and rivers["completion"] == " Ebro"


def test_equal_data_have_equal_fingerprints(pool: Path) -> None:
    first = collected(pool).fingerprint
    assert collected(pool).fingerprint == first and len(first) == 64
    assert collected(pool, seed="1").fingerprint != first
    with Pool.open(pool) as opened:
        opened.add_tasks([SeedTask("", "", "Count to three.", (Instance("", "1 2 3"),), False)], Origin.IMPORTED)
    assert collected(pool).fingerprint != first


def test_what_the_format_writes_alike_comes_once(tmp_path: Path) -> None:
    twice = SeedTask("a", "", "Sing a song.", (Instance("", "La."), Instance(" ", "La."), Instance("", "  ")), False)
    Pool.create(tmp_path / "pool.db", [twice, SeedTask("b", "", "Hum a song.", (Instance("", "Mm."),), False)]).close()
    assert len(collected(tmp_path / "pool.db", validation=0, format="plain").examples) == 2


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="no generated tasks with usable instances"):
        collected(lesson_pool(tmp_path / "seeds.db"), data="generated")
    with pytest.raises(PoolError, match="two different instructions"):
        collected(lesson_pool(tmp_path / "one.db", 1))
    assert collected(tmp_path / "one.db", validation=0).examples

"""Trainings in the pool: each change whole or not at all, and read back as they were written."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from studio.errors import PoolError
from studio.pool.pool import Pool, Queries
from studio.pool.trainings import LossPoint, Side, TrainingItem, TrainingPlan, TrainingState
from support.pools import MODEL, ask, assert_sound, in_child

PLAN = TrainingPlan("tuned-1", MODEL, {"epochs": 1, "format": "varied"}, "cd" * 32, "pool.db.adapters/tuned-1", 20)
ITEMS = [TrainingItem(1, 1, Side.TRAIN, "a" * 16), TrainingItem(11, 11, Side.VALIDATION, "b" * 16)]
LOSSES = [LossPoint(Side.VALIDATION, 0, 3.5, 0, 0.0), LossPoint(Side.TRAIN, 1, 3.25, 400, 1.5), LossPoint(Side.TRAIN, 2, 3.0, 800, 3.0)]


def test_a_training_is_read_back_as_it_was_written(walked: Pool) -> None:
    number = walked.trainings.begin(PLAN, ITEMS)
    walked.trainings.add_losses(number, LOSSES)
    with Queries.open(walked.path) as reader:
        [record] = reader.trainings.all()
        assert (record.id, record.plan, record.state) == (number, PLAN, TrainingState.STARTED)
        assert (record.ended, record.adapter, record.adapter_sha256, record.finished_at) == ("", "", "", "")
        assert reader.trainings.items(number) == ITEMS
        assert reader.trainings.losses(number) == LOSSES
    last = LossPoint(Side.VALIDATION, 2, 2.5, 800, 3.5)
    walked.trainings.finish(number, [last], "early_stop", "pool.db.adapters/tuned-1/adapter.gguf", "ef" * 32)
    with Queries.open(walked.path) as reader:
        record = reader.trainings.all()[0]
        assert record.state is TrainingState.FINISHED and record.finished_at >= record.started_at
        assert (record.ended, record.adapter) == ("early_stop", "pool.db.adapters/tuned-1/adapter.gguf")
        assert record.adapter_sha256 == "ef" * 32
        assert reader.trainings.losses(number) == [*LOSSES[:2], last, LOSSES[2]]
    assert_sound(walked.path)


def test_trainings_come_newest_first_and_by_name(walked: Pool) -> None:
    walked.trainings.begin(PLAN, ITEMS)
    walked.trainings.begin(replace(PLAN, name="other"), ITEMS[:1])
    assert [each.plan.name for each in walked.trainings.all()] == ["other", "tuned-1"]
    found = walked.trainings.named("tuned-1")
    assert found is not None and found.plan == PLAN
    assert walked.trainings.named("third") is None


def test_a_name_is_given_once(walked: Pool) -> None:
    walked.trainings.begin(PLAN, ITEMS)
    with pytest.raises(PoolError, match="named tuned-1 already"):
        walked.trainings.begin(replace(PLAN, steps=9), ITEMS)
    assert ask(walked.path, "SELECT steps FROM trainings") == [(20,)]
    with pytest.raises(PoolError, match="no training with id 9"):
        walked.trainings.finish(9, [], "epochs", "", "")


def test_a_step_that_is_done_again_replaces_the_former_one(walked: Pool) -> None:
    number = walked.trainings.begin(PLAN, ITEMS)
    walked.trainings.add_losses(number, LOSSES)
    again = replace(LOSSES[2], loss=2.75)
    walked.trainings.add_losses(number, [again])
    assert walked.trainings.losses(number) == [*LOSSES[:2], again]


def test_a_kill_while_a_training_is_stored_leaves_nothing_of_it(walked: Pool) -> None:
    path = walked.path
    walked.close()

    def begin_and_die() -> None:
        pool = Pool.open(path)

        def items() -> list[TrainingItem]:
            class Dying(list[TrainingItem]):
                def __iter__(self):  # type: ignore[no-untyped-def]
                    yield ITEMS[0]
                    os._exit(7)

            return Dying(ITEMS)

        pool.trainings.begin(PLAN, items())

    assert in_child(begin_and_die) == 7
    with Pool.open(path) as pool:
        assert pool.trainings.all() == []
    assert ask(path, "SELECT count(*) FROM training_instances") == [(0,)]
    assert_sound(path)

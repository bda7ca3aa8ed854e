"""Evaluations: equal ones are one, answers are taken once, and all that was stored reads as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.api import Completion, FinishReason
from studio.errors import PoolError
from studio.pool.evaluations import Answer, Contestant, EvaluationItem, EvaluationPlan, fingerprint_of
from studio.pool.pool import Pool
from support.pools import MODEL, ask, assert_sound, make_pool

ITEMS = (
    EvaluationItem(0, 0, 3, "seed_3", "Say if the review is kind.", "I loved it.", ("kind",), True),
    EvaluationItem(1, 1, None, "own", "Name a river.", "", ("Elbe", "Oder\ud800"), False),
)
PLAN = EvaluationPlan("held-out seeds", ITEMS, 64)
BASE = Contestant(MODEL, "plain", "{instruction}")
TUNED = replace(BASE, adapter="adapter.gguf", adapter_sha256="cd" * 32, engine='{"parallel": 4}')
SAID = Completion("Elbe\x00", FinishReason.LENGTH, 12, 5, 4, 0.5, "why")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool.open(make_pool(tmp_path / "pool.db")) as opened:
        yield opened
    assert_sound(tmp_path / "pool.db")


def test_what_was_stored_reads_as_it_was(pool: Pool) -> None:
    found = pool.evaluations.open(PLAN)
    first, second = (pool.evaluations.enter(found, each) for each in (BASE, TUNED))
    pool.evaluations.add(second, [Answer(1, "Name a river.\n", SAID), Answer(0, "Say", replace(SAID, text="kind"))])
    record = pool.evaluations.get(found)
    assert (record.name, record.items, record.max_tokens, record.fingerprint) == ("held-out seeds", 2, 64, fingerprint_of(ITEMS))
    items = pool.evaluations.items(found)
    assert items[0] == ITEMS[0]
    assert items[1].outputs[0] == "Elbe"
    base, tuned = pool.evaluations.contestants(found)
    assert (base.id, base.contestant, base.answered) == (first, BASE, 0)
    assert (tuned.id, tuned.contestant, tuned.answered) == (second, TUNED, 2)
    assert (base.contestant.label, tuned.contestant.label) == ("Tiny [plain]", "Tiny + adapter.gguf [plain]")
    answers = pool.evaluations.answers(second)
    assert list(answers) == [0, 1]
    assert answers[1].prompt == "Name a river.\n"
    assert answers[1].completion.completion_tokens == SAID.completion_tokens
    assert (answers[1].completion.finish_reason, answers[1].completion.detail) == (FinishReason.LENGTH, "why")
    assert pool.evaluations.answers(first) == {}


def test_equal_evaluations_and_contestants_are_one(pool: Pool) -> None:
    found = pool.evaluations.open(PLAN)
    assert pool.evaluations.open(replace(PLAN, name="another name")) == found
    assert pool.evaluations.open(replace(PLAN, max_tokens=65)) != found
    assert pool.evaluations.open(replace(PLAN, items=ITEMS[:1])) != found
    assert [record.id for record in pool.evaluations.all()] == sorted((record.id for record in pool.evaluations.all()), reverse=True)
    entered = pool.evaluations.enter(found, BASE)
    assert pool.evaluations.enter(found, replace(BASE, engine='{"parallel": 9}')) == entered
    for other in (replace(BASE, format="chat"), replace(BASE, template="x"), TUNED, replace(BASE, model=replace(MODEL, sha256="ef" * 32))):
        assert pool.evaluations.enter(found, other) != entered


def test_the_first_answer_stays(pool: Pool) -> None:
    contestant = pool.evaluations.enter(pool.evaluations.open(PLAN), BASE)
    pool.evaluations.add(contestant, [Answer(0, "p", SAID)])
    pool.evaluations.add(contestant, [Answer(0, "q", replace(SAID, text="later")), Answer(1, "q", SAID)])
    assert [answer.prompt for answer in pool.evaluations.answers(contestant).values()] == ["p", "q"]


def test_an_answer_to_no_item_is_refused_and_nothing_is_stored(pool: Pool) -> None:
    contestant = pool.evaluations.enter(pool.evaluations.open(PLAN), BASE)
    with pytest.raises(PoolError):
        pool.evaluations.add(contestant, [Answer(0, "p", SAID), Answer(2, "p", SAID)])
    assert pool.evaluations.answers(contestant) == {}


def test_results_are_kept_the_newest_first(pool: Pool) -> None:
    found = pool.evaluations.open(PLAN)
    for figure in (1, 2):
        pool.evaluations.conclude(found, {"rouge_l": figure, "text": "ü\ud800"})
    assert [result["rouge_l"] for result in pool.evaluations.results(found)] == [2, 1]
    with pytest.raises(PoolError, match="no evaluation 99"):
        pool.evaluations.get(99)


def test_grades_take_the_four_letters_only(pool: Pool, tmp_path: Path) -> None:
    evaluation = pool.evaluations.open(PLAN)
    pool.evaluations.enter(evaluation, BASE)
    pool.evaluations.enter(evaluation, TUNED)
    path = tmp_path / "pool.db"
    ask(path, "SELECT count(*) FROM grades")
    with pytest.raises(Exception, match="CHECK constraint failed"):
        ask(path, "INSERT INTO comparisons VALUES (1, 1, 1, '0', 2, '') RETURNING id")

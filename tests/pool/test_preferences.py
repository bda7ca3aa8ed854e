"""Which answers are better than which: never from nothing, people before rules, and each two texts once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.engine.scripted import ScriptedEngine
from studio.loop.filters import INSTANCE_REASONS
from studio.loop.session import Goal
from studio.pool.ledger import HandDecision, Note
from studio.pool.pool import Pool
from studio.pool.preferences import ABOUT_ANSWER, Because, Evidence, Pair
from studio.pool.stream import ExportTask
from studio.records import Instance, Novelty, Verdict
from support.generated_pool import build_pool
from support.pairs import CHECKED, DRAWN, EDITED, RATED, add, decided, draw, edit, pool_with_pairs, rate, task_of
from support.pools import ask, assert_sound
from support.sessions import configuration, play

NOT_ABOUT_ANSWER = {"valid", "unparsed", "thinking", "empty_output", "contradictory", "duplicate", "over_limit", "unanswered"} | {
    *("input_missing", "other_rules", "undone", "by_hand", "edited", "dispreferred")
}


WRITTEN = "SELECT text FROM completions JOIN requests ON requests.id = request_id WHERE task_id = ?"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    """A pool with a pair for each kind of evidence."""
    with Pool.open(pool_with_pairs(tmp_path / "pool.db")) as opened:
        yield opened


def pairs(pool: Pool, instruction: str) -> list[tuple[str, str, Evidence]]:
    """The better and the worse texts of a task, with the evidence."""
    [task] = [each for each in pool.stream.export_tasks(False, paired=True) if each.instruction == instruction]
    return [(better(task, pair), pair.rejected, pair.evidence) for pair in task.pairs]


def better(task: ExportTask, pair: Pair) -> str:
    return task.instances[task.instance_ids.index(pair.instance_id)].output


def test_what_a_person_wrote_is_better_than_what_it_replaced(pool: Pool) -> None:
    assert pairs(pool, EDITED) == [("Blue, on most days.", "Blu", Evidence(Because.EDITED))]
    edit(pool, EDITED, "of the sky", "Blue.")
    assert pairs(pool, EDITED) == [("Blue.", "Blu", Evidence(Because.EDITED))], "the model's own text, not the person's first"


def test_an_edit_that_was_undone_is_none(tmp_path: Path) -> None:
    with Pool.open(build_pool(tmp_path / "pool.db", [(EDITED, False, (Instance("of the sky", "Blu"),))])) as pool:
        edit(pool, EDITED, "of the sky", "Green.")
        pool.ledger.undo()
        assert pairs(pool, EDITED) == []
        edit(pool, EDITED, "of the sky", "Blue.")
        assert pairs(pool, EDITED) == [("Blue.", "Blu", Evidence(Because.EDITED))]


def test_another_input_or_another_instruction_is_another_question(pool: Pool) -> None:
    edit(pool, EDITED, "of grass", "Green.")
    assert pairs(pool, EDITED) == []
    candidate = ask(pool.path, "SELECT candidate_id FROM tasks WHERE instruction = ?", DRAWN)[0][0]
    assert len(pairs(pool, DRAWN)) == 2
    pool.ledger.decide(Note("edit", "changed it"), candidate, HandDecision(Verdict.ACCEPTED, "edited", Novelty(), "Tell of lakes."))
    assert pairs(pool, "Tell of lakes.") == []


def test_a_raters_yes_is_better_than_a_no(pool: Pool) -> None:
    good, bad = "Hello there, come in.", "What?"
    assert pairs(pool, RATED) == [(good, bad, Evidence(Because.RATED, "", 1.0, 0.0, 2))]
    rate(pool, RATED, {0: "yyn"}, "carl")
    assert pairs(pool, RATED) == [(good, bad, Evidence(Because.RATED, "", 2 / 3, 0.0, 3))]
    rate(pool, RATED, {0: "yyn"}, "dora")
    assert pairs(pool, RATED) == [], "as many say no as yes"


def test_what_is_rated_is_the_text_that_was_seen(pool: Pool) -> None:
    edit(pool, RATED, "", "Do come in, dear guest.", place=0)
    assert pairs(pool, RATED) == [("Do come in, dear guest.", "Hello there, come in.", Evidence(Because.EDITED))]


def test_an_answer_that_keeps_the_rules_is_better_than_one_that_breaks_them(pool: Pool) -> None:
    text = "Clouds grow heavy and fall as drops."
    assert pairs(pool, CHECKED) == [(text, "Clouds grow heavy and", Evidence(Because.CHECKED, "truncated"))]
    add(pool, CHECKED, decided("in winter", "Rain.", "duplicate"))
    add(pool, CHECKED, decided("in summer", "I cannot say.", "refuses"))
    assert len(pairs(pool, CHECKED)) == 1, "a reason of form, and another input"


def test_of_several_drawn_the_one_that_agrees_least_is_worse(pool: Pool) -> None:
    text = "The sea is wide."
    assert pairs(pool, DRAWN) == [
        (text, "I cannot say.", Evidence(Because.CHECKED, "refuses")),
        (text, "The sea.", Evidence(Because.AGREEMENT, "", 0.6, 0.4)),
    ]
    draw(pool, DRAWN, "again", [("Waves.", 0.5, ""), ("Water.", 0.5, "")])
    assert len(pairs(pool, DRAWN)) == 2, "of a tie nothing is known"


def test_a_person_outranks_the_rules(pool: Pool) -> None:
    draw(pool, DRAWN, "again", [("Waves and salt.", 0.9, ""), ("Water.", 0.1, "")])
    add(pool, DRAWN, decided("again", "Water.", "valid"))
    assert all(worse != "Water." for _, worse, _ in pairs(pool, DRAWN)), "it is data itself"
    rate(pool, DRAWN, {0: "yyn"}, "anna")
    assert pairs(pool, DRAWN) == [], "what a person found wanting is better than nothing"


def test_what_a_person_dropped_is_never_better(pool: Pool) -> None:
    twin = decided("in winter", "Clouds grow heavy and fall as drops.", "valid")
    add(pool, CHECKED, twin)
    dropped = pool.instances.of_task(task_of(pool, CHECKED))[-1].id
    assert len(pairs(pool, CHECKED)) == 1
    pool.ledger.change_instance(Note("drop instance", "dropped it"), dropped, {"verdict": "rejected", "reason": "by_hand"})
    assert pairs(pool, CHECKED) == []


def test_a_text_of_a_persons_own_was_chosen_among_nothing(pool: Pool) -> None:
    edit(pool, DRAWN, "", "The sea is very wide.")
    assert pairs(pool, DRAWN) == [("The sea is very wide.", "The sea is wide.", Evidence(Because.EDITED))]


def test_every_reason_is_about_the_answer_or_not() -> None:
    assert {*INSTANCE_REASONS} == ABOUT_ANSWER | NOT_ABOUT_ANSWER
    assert not ABOUT_ANSWER & NOT_ABOUT_ANSWER


def test_a_run_in_chat_gives_pairs_that_the_pool_bears_out(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    play(path, Goal(rounds=3), ScriptedEngine(chats=True), configuration(threshold=0.4, best_of=3))
    assert_sound(path)
    with Pool.open(path) as pool:
        seen = set()
        for task in pool.stream.export_tasks(False, paired=True):
            written = {text.strip() for (text,) in ask(path, WRITTEN, task.id)}
            for pair in task.pairs:
                seen.add(pair.evidence.because)
                assert pair.rejected in written and pair.rejected != better(task, pair)
                if pair.evidence.because is Because.AGREEMENT:
                    place = task.instance_ids.index(pair.instance_id)
                    assert pair.evidence.chosen == task.scores[place].agreement and pair.evidence.rejected < pair.evidence.chosen
        assert seen == {Because.CHECKED, Because.AGREEMENT}

"""The loop, from the seeds to the target, with the scripted engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import pytest
from rouge_score import rouge_scorer

from studio.engine.api import Completion, FinishReason, Request
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError, PoolError, UsageError
from studio.loop.events import CandidateDecided, Event, Noted, RequestFinished, RoundFinished, RunStopped, StageFinished, StopReason
from studio.loop.session import Goal
from studio.loop.settings import profile
from studio.loop.stages.candidates import OTHER_FORM
from studio.loop.stages.instances import NO_INSTANCES
from studio.pool.pool import Pool
from studio.records import Instance, SeedTask
from support.pools import ask, assert_sound
from support.sessions import all_seeds, configuration, exported, play, session_in


def stop_reason(events: Sequence[Event]) -> StopReason:
    last = events[-1]
    assert isinstance(last, RunStopped)
    return last.reason


def instructions_only(listing: str) -> Callable[[Request], str]:
    """A model that answers every instruction prompt with `listing` and every other with something harmless."""
    return lambda request: listing if request.suffix.endswith(".") else " No" if request.suffix.endswith("?") else "Output: done"


def test_a_run_reaches_its_target(path: Path) -> None:
    events = play(path, Goal(target=60))
    assert stop_reason(events) is StopReason.TARGET
    assert ask(path, "SELECT count(*) FROM tasks WHERE origin = 'generated' AND state = 'active'")[0][0] >= 60
    assert ask(path, "SELECT count(*) FROM tasks WHERE state = 'draft'") == [(0,)]
    assert_sound(path)


def test_rounds_are_counted_for_this_session(path: Path) -> None:
    first, second = play(path, Goal(rounds=2)), play(path, Goal(rounds=1))
    assert [event.number for event in first + second if isinstance(event, RoundFinished)] == [1, 2, 3]
    assert stop_reason(second) is StopReason.ROUNDS


def test_each_stage_is_told_in_its_order(tmp_path: Path) -> None:
    events = play(tmp_path / "pool.db", Goal(rounds=1))
    assert tuple(event.stage for event in events if isinstance(event, StageFinished)) == profile("studio").stages


def test_equal_seeds_give_equal_pools(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        play(tmp_path / name, Goal(target=50), asked=configuration(seed="x" if name != "c" else "y"))
    assert exported(tmp_path / "a") == exported(tmp_path / "b")
    assert exported(tmp_path / "a") != exported(tmp_path / "c")


def test_one_long_session_equals_many_short_ones(tmp_path: Path) -> None:
    play(tmp_path / "long", Goal(rounds=4))
    for _ in range(4):
        play(tmp_path / "short", Goal(rounds=1))
    assert exported(tmp_path / "long") == exported(tmp_path / "short")


def test_prompts_hold_six_seeds_and_two_generated_tasks(path: Path) -> None:
    play(path, Goal(rounds=2))
    parents = (
        "SELECT sum(tasks.origin = 'seed'), sum(tasks.origin = 'generated') FROM requests JOIN rounds ON rounds.id = requests.round_id"
        " JOIN request_parents ON request_id = requests.id JOIN tasks ON tasks.id = request_parents.task_id"
        " WHERE number = ? GROUP BY requests.id"
    )
    assert ask(path, parents, 1) == [(8, 0)] * 5
    assert ask(path, parents, 2) == [(6, 2)] * 5


@pytest.mark.parametrize("profile", ["studio", "paper", "code", "alpaca"])
def test_accepted_tasks_keep_to_the_threshold(path: Path, profile: str) -> None:
    """Every pair of accepted tasks, and every accepted task with every seed, scored by `rouge_score` itself."""
    play(path, Goal(target=30), asked=configuration(profile))
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    # The unicode tokeniser agrees with `rouge_score` on ASCII text only.
    generated = [text for (text,) in ask(path, "SELECT instruction FROM tasks WHERE origin = 'generated'") if text.isascii()]
    seeds = [text for (text,) in ask(path, "SELECT instruction FROM tasks WHERE origin = 'seed'") if text.isascii()]
    pairs = [*combinations(generated, 2), *((mine, seed) for mine in generated for seed in seeds)]
    highest = max(scorer.score(*pair)["rougeL"].fmeasure for pair in pairs)
    assert highest <= 0.7 if profile in ("code", "alpaca") else highest < 0.7


def test_stored_scores_are_those_of_rouge_score(path: Path) -> None:
    play(path, Goal(rounds=2), asked=configuration("code"))
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    sql = (
        "SELECT text, score, instruction FROM candidates JOIN decisions ON decisions.candidate_id = candidates.id"
        " JOIN tasks ON tasks.id = nearest_task_id"
    )
    rows = ask(path, sql)
    assert len(rows) > 20
    assert all(scorer.score(text, nearest)["rougeL"].fmeasure == score for text, score, nearest in rows)


def test_every_candidate_is_kept_with_a_reason(path: Path) -> None:
    listing = (
        " Name three rivers.\n10. Too short.\n11. Name three rivers!\n12. Draw a map of the town."
        "\n13. !Shout it out loud.\n14. List two old lakes."
    )
    play(path, Goal(rounds=1), ScriptedEngine(instructions_only(listing)), configuration(requests_per_round=1, min_words=3))
    assert ask(
        path, "SELECT text, verdict, reason FROM candidates JOIN verdicts ON candidate_id = candidates.id ORDER BY candidates.id"
    ) == [
        ("Name three rivers.", "accepted", "novel"),
        ("Too short.", "rejected", "too_short"),
        ("Name three rivers!", "rejected", "not_novel"),
        ("Draw a map of the town.", "rejected", "blocked_word"),
        ("!Shout it out loud.", "rejected", "starts_with_punctuation"),
        ("List two old lakes.", "accepted", "novel"),
    ]
    assert ask(path, "SELECT nearest_task_id, score FROM decisions WHERE reason = 'not_novel'") == [(176, 1.0)]


def test_a_truncated_list_loses_its_last_item_or_all(tmp_path: Path) -> None:
    def cut(request: Request) -> Completion | str:
        text = " Name three rivers of Asia.\n10. Describe your favourite kind of bre"
        return Completion(text, FinishReason.LENGTH, 9, 9) if request.suffix.endswith(".") else " No"

    for name, accepted in (("studio", 1), ("paper", 0)):
        path = tmp_path / name
        play(path, Goal(rounds=1), ScriptedEngine(cut), configuration(name, requests_per_round=1))
        assert ask(path, "SELECT count(*) FROM tasks WHERE origin = 'generated'") == [(accepted,)]
        assert ask(path, "SELECT count(*) FROM verdicts WHERE reason = 'truncated'") == [(2 - accepted,)]


def test_alpaca_takes_whole_tasks_from_one_completion(path: Path) -> None:
    events = play(path, Goal(rounds=2), asked=configuration("alpaca"))
    assert {event.stage for event in events if isinstance(event, RequestFinished)} == {"instructions"}
    assert ask(path, "SELECT DISTINCT origin FROM request_parents JOIN tasks ON tasks.id = task_id") == [("seed",)]
    assert ask(path, "SELECT max(n) FROM (SELECT count(*) AS n FROM instances WHERE request_id IS NOT NULL GROUP BY task_id)") == [(1,)]


def prompts_of(path: Path) -> list[int]:
    """Instruction requests by round."""
    sql = "SELECT count(*) FROM requests JOIN rounds ON rounds.id = round_id WHERE requests.stage = 'instructions' GROUP BY rounds.id"
    return [count for (count,) in ask(path, sql)]


def test_a_run_keeps_the_requests_a_round_that_its_engine_could_take(tmp_path: Path, path: Path) -> None:
    play(path, Goal(rounds=1), ScriptedEngine(parallel=7))
    assert json.loads(ask(path, "SELECT settings FROM runs")[0][0])["method"]["requests_per_round"] == 7
    for asked in (configuration(), configuration(requests_per_round=0)):
        play(path, Goal(rounds=1), ScriptedEngine(parallel=9), asked)
    assert prompts_of(path) == [7, 7, 7]
    with pytest.raises(UsageError, match="requests_per_round: 7 in the pool, 9 asked for"):
        play(path, Goal(rounds=1), ScriptedEngine(), configuration(requests_per_round=9))
    chosen = tmp_path / "chosen.db"
    play(chosen, Goal(rounds=1), ScriptedEngine(parallel=9), configuration(requests_per_round=2))
    assert prompts_of(chosen) == [2]


def test_another_run_in_the_pool_works_the_requests_out_anew_if_asked(path: Path) -> None:
    play(path, Goal(rounds=1), ScriptedEngine(parallel=7))
    with Pool.open(path) as pool:
        again = session_in(pool, ScriptedEngine(parallel=9), configuration(requests_per_round=0), force=True)
        list(again.run(Goal(rounds=1)))
        again.steering.set_round_parameters({"requests_per_round": 0})
        assert pool.rounds.overrides(3) == {}
    assert prompts_of(path) == [7, 9]


@pytest.mark.parametrize(("profile", "tasks", "notes"), [("studio", 3, []), ("paper", 1, [OTHER_FORM])])
def test_a_list_in_another_form_is_told_apart_or_named(path: Path, profile: str, tasks: int, notes: list[str]) -> None:
    text = " Name three rivers of Asia.\n10) Describe the taste of fresh bread.\n11) List some words for snow."
    events = play(path, Goal(rounds=1), ScriptedEngine(instructions_only(text)), configuration(profile, requests_per_round=1))
    assert [event.text for event in events if isinstance(event, Noted)] == notes
    assert ask(path, "SELECT count(*) FROM tasks WHERE origin = 'generated'") == [(tasks,)]


def test_a_model_that_writes_no_marks_is_named(tmp_path: Path) -> None:
    def respond(request: Request) -> str:
        if request.params.stop_on_repeat == "items":
            return " Name three rivers of Asia.\n10. Describe the taste of fresh bread."
        return "It depends on what you like."

    events = play(tmp_path / "pool.db", Goal(rounds=1), ScriptedEngine(respond), configuration(requests_per_round=1))
    assert [event.text for event in events if isinstance(event, Noted)] == [NO_INSTANCES]


def test_alpaca_counts_on_from_the_tasks_in_its_prompt(path: Path) -> None:
    """A pool of two seeds has prompts of two: the model is asked for the third."""
    play(path, Goal(rounds=1), asked=configuration("alpaca"), seeds=all_seeds()[:2])
    assert ask(path, "SELECT count(*) > 5 FROM tasks WHERE origin = 'generated'") == [(1,)]


def test_nothing_new_ends_the_run(path: Path) -> None:
    engine = ScriptedEngine(instructions_only(" Name three rivers of Asia."))
    events = play(path, Goal(target=10), engine, configuration(stall_rounds=3))
    assert stop_reason(events) is StopReason.STALLED
    assert [event.accepted for event in events if isinstance(event, RoundFinished)] == [1, 0, 0, 0]
    again = play(path, Goal(target=10), engine, configuration(stall_rounds=3))
    assert len([event for event in again if isinstance(event, RoundFinished)]) == 1


@pytest.mark.parametrize("writing", ["", "\n\n\n", "###", "9. 9. 9.", "\x00\x1b]52;c;\x07", "[/bold] [@click=app.quit]x"])
def test_a_model_that_babbles_stalls_and_breaks_nothing(path: Path, writing: str) -> None:
    events = play(path, Goal(target=5), ScriptedEngine(lambda _: writing), configuration(stall_rounds=2))
    assert stop_reason(events) is StopReason.STALLED
    assert_sound(path)


def test_cancelling_keeps_what_is_committed(tmp_path: Path, path: Path) -> None:
    with Pool.create(path, all_seeds()) as pool:
        session = session_in(pool)
        events = []
        for event in session.run(Goal(target=500)):
            events.append(event)
            if isinstance(event, CandidateDecided):
                session.cancel.cancel()
    assert stop_reason(events) is StopReason.CANCELLED
    assert ask(path, "SELECT stage FROM rounds") == [("classify",)]
    play(path, Goal(target=40))
    play(tmp_path / "other", Goal(target=40))
    assert exported(path) == exported(tmp_path / "other")


def test_a_context_that_fits_no_prompt_is_an_error(tmp_path: Path) -> None:
    engine = ScriptedEngine(lambda _: Completion("", FinishReason.REFUSED, 5000, 0, detail="5000 tokens, 4096 fit"))
    with pytest.raises(ModelError, match="5000 tokens"):
        play(tmp_path / "pool.db", Goal(rounds=1), engine)


def test_other_settings_are_refused_unless_forced(path: Path) -> None:
    play(path, Goal(rounds=1))
    with Pool.open(path) as pool:
        with pytest.raises(UsageError, match=r"threshold: 0\.7 in the pool, 0\.5 asked for"):
            session_in(pool, asked=configuration(threshold=0.5))
        with pytest.raises(UsageError, match="seed: '7' in the pool, '8' asked for"):
            session_in(pool, asked=configuration(seed="8"))
        list(session_in(pool, asked=configuration(threshold=0.5), force=True).run(Goal(rounds=1)))
    assert ask(path, "SELECT count(*) FROM runs") == [(2,)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE runs SET settings = '[]'", "settings cannot be read"),
        ("UPDATE runs SET settings = 'null'", "settings cannot be read"),
        ("UPDATE runs SET settings = '{}'", "settings cannot be read"),
        ("UPDATE rounds SET overrides = '3'", "own parameters cannot be read"),
    ],
)
def test_settings_that_are_none_are_refused_in_words(path: Path, damage: str, words: str) -> None:
    with Pool.create(path, all_seeds()) as pool:
        next(event for event in session_in(pool).run(Goal(rounds=1)) if isinstance(event, StageFinished))
        with pool._database.transaction():
            pool._database.execute(damage)
        with pytest.raises(PoolError, match=words):
            list(session_in(pool).run(Goal(rounds=1)))
        list(session_in(pool, asked=configuration(seed="8"), force=True).run(Goal(rounds=1)))


def test_a_forced_run_retires_the_drafts_of_an_unfinished_round(path: Path) -> None:
    with Pool.create(path, all_seeds()) as pool:
        session = session_in(pool)
        for event in session.run(Goal(rounds=1)):
            if isinstance(event, CandidateDecided):
                session.cancel.cancel()
        drafts = ask(path, "SELECT count(*) FROM tasks WHERE state = 'draft'")
        list(session_in(pool, asked=configuration(seed="other"), force=True).run(Goal(rounds=1)))
    assert drafts[0][0] > 0
    assert ask(path, "SELECT count(*) FROM tasks WHERE state = 'retired'") == drafts


def test_a_pool_without_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no task"):
        play(tmp_path / "pool.db", Goal(rounds=1), seeds=[])


def test_few_seeds_are_enough(tmp_path: Path) -> None:
    seeds = [SeedTask("one", "", "Name three rivers of Asia.", (Instance("", "Mekong, Indus, Lena"),), False)]
    play(tmp_path / "pool.db", Goal(target=5), seeds=seeds)
    assert ask(tmp_path / "pool.db", "SELECT count(*) >= 5 FROM tasks WHERE origin = 'generated'") == [(1,)]

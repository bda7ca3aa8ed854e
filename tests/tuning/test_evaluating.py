"""An evaluation from the question to the figures, with a scripted model: checked, stored, gone on with, and told the same each time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.api import CancelToken, Completion, FinishReason, Request
from studio.engine.scripted import ScriptedEngine
from studio.errors import Interrupted, PoolError, UsageError
from studio.pool.database import Database
from studio.pool.pool import Pool, Queries
from studio.seeds.reading import draw_hold_out
from studio.tuning.contestants import ContestantSpec
from studio.tuning.evaluating import EvaluationRequest, TasksOverlap, evaluate
from studio.tuning.results import EvaluationResult
from support.chat_kinds import KINDS
from support.completions_server import CompletionsServer, serving
from support.pools import ask, assert_sound, in_child, make_pool
from support.sessions import all_seeds

PLAIN = ContestantSpec("scripted", format="plain")
ALPACA = ContestantSpec("scripted", format="alpaca")
HELD = 45

Responder = Callable[[Request], Completion | str]


def _pool(path: Path) -> Path:
    seeds = all_seeds()
    Pool.create(path, seeds, draw_hold_out(seeds, HELD, "0")).close()
    return path


def _play(
    asked: EvaluationRequest, responder: Responder | None = None, cancel: CancelToken | None = None
) -> tuple[EvaluationResult, list[str]]:
    said: list[str] = []
    result, _ = evaluate(asked, cancel or CancelToken(), lambda *_: None, said.append, lambda _model, _options: ScriptedEngine(responder))
    return result, said


def _answers(path: Path) -> list[tuple[object, ...]]:
    return ask(path, "SELECT contestant_id, position, prompt, text FROM answers ORDER BY contestant_id, position")


def test_held_out_seeds_are_asked_once_and_everything_is_stored(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool.db")
    asked = EvaluationRequest(pool, (PLAIN, ALPACA), max_tokens=40)
    result, said = _play(asked)
    assert (result.evaluation.items, result.evaluation.name, len(result.pairs)) == (HELD, "held-out seeds", 1)
    assert [each.answered for each in result.contestants] == [HELD, HELD]
    assert sum("loading" in line for line in said) == 2
    again, said = _play(asked)
    assert (again, sum("are there already" in line for line in said)) == (result, 2)
    with Queries.open(pool) as reader:
        newest, older = reader.evaluations.results(result.evaluation.id)
        assert newest == older == json.loads(json.dumps({**result.as_dict(), "overlap": newest["overlap"]}))
        assert newest["overlap"] == {"checked": HELD, "against": [str(pool)], "excluded": []}
        held = set(reader.tasks.ids(held_out=True))
        assert {item.task_id for item in reader.evaluations.items(result.evaluation.id)} == held
    assert_sound(pool)


def test_it_is_greedy_and_zero_shot_in_the_format_asked_for(tmp_path: Path) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> str:
        seen.append(request)
        return "Paris"

    _play(EvaluationRequest(_pool(tmp_path / "pool.db"), (PLAIN,), max_tokens=17), answer)
    assert {(request.params.temperature, request.params.max_tokens, request.params.stop) for request in seen} == {(0.0, 17, ())}
    assert all(request.suffix.endswith("\n\nOutput:") and not request.prefix for request in seen)


@pytest.mark.parametrize("name", ["openrouter", "llama-server"])
def test_a_server_that_wants_chat_is_asked_in_it(tmp_path: Path, name: str) -> None:
    with serving(CompletionsServer(ScriptedEngine(lambda _: "Paris"), chat=KINDS[name])) as server:
        auto, chat = (ContestantSpec(server.url, format=style) for style in ("auto", "chat"))
        asked = EvaluationRequest(_pool(tmp_path / "pool.db"), (auto,), max_tokens=17, sample=4)
        result, _ = evaluate(asked, CancelToken(), lambda *_: None, lambda _: None)
        same, _ = evaluate(replace(asked, specs=(chat,)), CancelToken(), lambda *_: None, lambda _: None)
    assert len(server.bodies) == 4 and all(len(body["messages"]) == 1 for body in server.bodies)
    assert not any(body["messages"][0]["content"].endswith("Output:") for body in server.bodies)
    assert same.contestants == result.contestants and result.contestants[0].answered == 4
    assert ask(tmp_path / "pool.db", "SELECT format FROM contestants") == [("chat",)]


def test_a_new_contestant_joins_and_only_it_is_asked(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool.db")
    first, _ = _play(EvaluationRequest(pool, (PLAIN,), max_tokens=40))
    second, said = _play(EvaluationRequest(pool, (ALPACA, PLAIN), max_tokens=40))
    assert second.evaluation == first.evaluation
    assert sum("loading" in line for line in said) == 1
    assert second.pairs[0].first_id != first.contestants[0].id == second.pairs[0].second_id


def test_cancelled_it_keeps_what_came_and_goes_on(tmp_path: Path) -> None:
    calm, stopped = (_pool(tmp_path / name) for name in ("calm.db", "stopped.db"))
    whole, _ = _play(EvaluationRequest(calm, (PLAIN,), max_tokens=40))
    cancel = CancelToken()
    asked = EvaluationRequest(stopped, (PLAIN,), max_tokens=40)

    def stop(_what: str, done: int, _count: int) -> None:
        if done == 7:
            cancel.cancel()

    with pytest.raises(Interrupted):
        evaluate(asked, cancel, stop, lambda _: None, lambda *_: ScriptedEngine())
    kept = _answers(stopped)
    assert 7 <= len(kept) < HELD
    assert _play(asked)[0].contestants == whole.contestants
    assert _answers(stopped) == _answers(calm)
    assert set(kept) <= set(_answers(stopped))


def _live(asked: EvaluationRequest, transactions: int) -> int:
    """Evaluate in a process that dies when it is about to begin one transaction more than `transactions`; return its exit code."""
    begin = Database.transaction

    def live() -> None:
        left = transactions

        def counted(self: Database) -> AbstractContextManager[None]:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return begin(self)

        pytest.MonkeyPatch().setattr(Database, "transaction", counted)
        _play(asked)

    return in_child(live)


def test_killed_at_any_transaction_it_keeps_what_was_stored_and_goes_on(tmp_path: Path) -> None:
    calm, killed = (_pool(tmp_path / name) for name in ("calm.db", "killed.db"))
    _play(EvaluationRequest(calm, (PLAIN,), max_tokens=40, sample=9))
    asked = EvaluationRequest(killed, (PLAIN,), max_tokens=40, sample=9)
    died = 0
    for life in range(10):
        before = _answers(killed)
        died += _live(asked, life) == -signal.SIGKILL
        assert set(before) <= set(_answers(killed))
        assert_sound(killed)
    assert died >= 7
    assert _answers(killed) == _answers(calm)


def test_tasks_that_the_pool_may_have_taught_are_refused_with_the_list(tmp_path: Path) -> None:
    pool = _pool(tmp_path / "pool.db")
    seen, unseen = all_seeds()[0], "Name the colour that you get from mixing blue with yellow paint."
    with Queries.open(pool) as reader:
        seen_id = min(reader.tasks.ids())
        seen = next(task for task in all_seeds() if task.instruction == reader.tasks.get(seen_id).instruction)
    tasks = tmp_path / "tasks.jsonl"
    lines = [
        {"id": "old", "instruction": seen.instruction, "instances": [{"input": "", "output": "x"}], "is_classification": False},
        {"id": "new", "instruction": unseen, "instances": [{"input": "", "output": "green"}], "is_classification": True},
    ]
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = EvaluationRequest(tasks, (PLAIN,), pool)
    with pytest.raises(TasksOverlap, match="1 of 2 evaluation tasks overlap") as refused:
        _play(asked)
    assert [(each.item.key, each.label) for each in refused.value.overlaps] == [("old", f"task {seen_id}")]
    assert ask(pool, "SELECT count(*) FROM evaluations") == [(0,)]
    result, _ = _play(replace(asked, without_overlap=True), lambda _: "Green!")
    assert [(each.answered, each.exact_match and each.exact_match.value) for each in result.contestants] == [(1, 1.0)]


def test_a_file_of_its_own_gets_a_pool_beside_it(tmp_path: Path) -> None:
    tasks = tmp_path / "eval.jsonl"
    tasks.write_text(
        json.dumps({"instruction": "Name a river.", "instances": [{"input": "", "output": "Elbe"}], "is_classification": False})
    )
    result, said = _play(EvaluationRequest(tasks, (PLAIN,)), lambda _: Completion("", FinishReason.REFUSED, 9999, 0, detail="too long"))
    assert "nothing is known of the training data: the tasks were compared with none" in said
    assert (result.contestants[0].unanswered, result.contestants[0].empty, result.contestants[0].rouge_l.value) == (1, 1, 0.0)
    assert_sound(tmp_path / "eval.evaluation.db")


def test_nothing_is_made_where_nothing_can_be_evaluated(tmp_path: Path) -> None:
    pool = make_pool(tmp_path / "pool.db")
    for asked, words in (
        (EvaluationRequest(pool, (PLAIN,)), "holds no tasks out"),
        (EvaluationRequest(pool, (PLAIN,), pool), "--pool goes with a file"),
        (EvaluationRequest(_pool(tmp_path / "held.db"), (PLAIN, PLAIN)), "two contestants are the same"),
        (EvaluationRequest(tmp_path / "none.jsonl", (PLAIN,)), "no such file"),
    ):
        with pytest.raises((PoolError, UsageError), match=words):
            _play(asked)
    assert not list(tmp_path.glob("*.evaluation.db"))

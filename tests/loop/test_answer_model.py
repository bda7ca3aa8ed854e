"""Runs in which one model writes and another answers: who is asked what, what is on record, and what contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import ModelError, UsageError
from studio.loop.events import StageFinished
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.publish.publication import provenance
from support.engines import Named
from support.pools import ask, assert_sound
from support.sessions import all_seeds, configuration, exported, session_in

WHO_WROTE = "SELECT stage, chat_id IS NOT NULL FROM requests"


def base() -> Named:
    return Named("base", base=True)


def play_both(path: Path, profile: str = "paper", *, rounds: int = 1) -> None:
    """Raw requests to a base model, answers in chat by another."""
    with Pool.open(path) if path.exists() else Pool.create(path, all_seeds()) as pool:
        list(session_in(pool, base(), configuration(profile), answering=Named("tutor")).run(Goal(rounds=rounds)))


@pytest.mark.parametrize("profile", ["paper", "studio", "alpaca"])
def test_a_base_model_writes_and_another_answers(path: Path, profile: str) -> None:
    play_both(path, profile)
    raw, in_chat = {stage for stage, chat in ask(path, WHO_WROTE) if not chat}, {stage for stage, chat in ask(path, WHO_WROTE) if chat}
    assert "instructions" in raw and in_chat == {"answer"}
    with Queries.open(path) as reader:
        run = reader.runs.latest()
        assert run is not None and [each.name for each in run.models] == ["base", "tutor"]
        for request_id, stage in ask(path, "SELECT id, stage FROM requests"):
            assert reader.requests.get(request_id).model.name == ("tutor" if stage == "answer" else "base")
        tasks = list(reader.stream.export_tasks(False))
        assert {(task.model, task.answer_model) for task in tasks} == {(base().info.model.sha256, Named("tutor").info.model.sha256)}
        assert [(each.name, each.licence) for each in provenance(reader).models] == [
            ("base", "licence of base"),
            ("tutor", "licence of tutor"),
        ]
    kept = (
        "SELECT count(*), count(answer_id) FROM instances JOIN tasks ON tasks.id = task_id WHERE round_id NOTNULL AND verdict = 'accepted'"
    )
    number, answered = ask(path, kept)[0]
    assert number == answered > 3
    assert_sound(path)


def test_without_a_second_model_nothing_changes(tmp_path: Path) -> None:
    with Pool.create(tmp_path / "pool.db", all_seeds()) as pool:
        list(session_in(pool, base(), configuration("paper")).run(Goal(rounds=1)))
    assert ask(tmp_path / "pool.db", "SELECT count(*) FROM run_models") == [(0,)]
    assert ask(tmp_path / "pool.db", "SELECT count(*) FROM requests WHERE stage = 'answer'") == [(0,)]


def test_any_interruption_gives_the_same_pool(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.db", tmp_path / "broken.db"
    play_both(whole, rounds=2)
    with Pool.create(broken, all_seeds()):
        pass
    for _ in range(40):
        with Pool.open(broken) as pool:
            session = session_in(pool, base(), configuration("paper"), answering=Named("tutor"))
            next(event for event in session.run(Goal(rounds=1)) if isinstance(event, StageFinished))
            if pool.rounds.unfinished() is None and len(pool.rounds.newest_yields(1, 9)) == 2:
                break
    assert exported(broken) == exported(whole)
    assert ask(broken, "SELECT count(*) FROM runs") == [(1,)]


@pytest.mark.parametrize(("answering", "words"), [(None, "not by the model that writes them"), (Named("other"), "tutor .* not by other")])
def test_another_answer_model_contradicts_the_pool(path: Path, answering: Named | None, words: str) -> None:
    play_both(path)
    with Pool.open(path) as pool:
        with pytest.raises(UsageError, match=words):
            session_in(pool, base(), configuration("paper"), answering=answering)
        session = session_in(pool, base(), configuration("paper"), answering=answering, force=True)
        list(session.run(Goal(rounds=1)))
        runs = pool.runs.all()
        assert [len(run.others) for run in runs] == [1, int(answering is not None)]
    stages = ask(path, "SELECT DISTINCT requests.stage FROM requests JOIN rounds ON rounds.id = round_id WHERE run_id = 2")
    assert (("answer",) in stages) == (answering is not None)


def test_a_second_model_where_there_was_none_contradicts_the_pool(path: Path) -> None:
    with Pool.create(path, all_seeds()) as pool:
        list(session_in(pool, base(), configuration("paper")).run(Goal(rounds=1)))
        with pytest.raises(UsageError, match="answered by the model that writes them, not by tutor"):
            session_in(pool, base(), configuration("paper"), answering=Named("tutor"))
        list(session_in(pool, base(), configuration("paper"), answering=Named("tutor"), force=True).run(Goal(rounds=1)))
    assert ask(path, "SELECT count(*) > 3 FROM requests WHERE stage = 'answer'") == [(1,)]


def test_what_cannot_answer_is_refused(tmp_path: Path) -> None:
    with Pool.create(tmp_path / "pool.db", all_seeds()) as pool:
        with pytest.raises(ModelError, match="mute: the model has no chat template to answer in"):
            session_in(pool, base(), configuration("paper"), answering=Named("mute", base=True))
        with pytest.raises(UsageError, match="answers = instances"):
            session_in(pool, base(), configuration("paper", answers="instances"), answering=Named("tutor"))
        with pytest.raises(ModelError, match="base: the model has no chat template to answer in"):
            session_in(pool, base(), configuration("paper", answers="chat"))
        assert pool.runs.all() == []


def test_a_forced_model_that_cannot_chat_is_asked_as_it_can(path: Path) -> None:
    """What followed from the pool's own model is open again; the unfinished round is left only when all is well."""
    with Pool.create(path, all_seeds()) as pool:
        list(session_in(pool, Named("chatty", chats=True), configuration()).run(Goal(rounds=1)))
        with pytest.raises(ModelError):
            session_in(pool, base(), configuration(asking="chat"), force=True)
        session = session_in(pool, base(), configuration(), force=True)
        list(session.run(Goal(rounds=1)))
    assert ask(path, "SELECT count(*) FROM requests JOIN rounds ON rounds.id = round_id WHERE run_id = 2 AND chat_id NOTNULL") == [(0,)]


def test_what_the_answering_model_thinks_is_no_part_of_its_answers(path: Path) -> None:
    thinker = Named("thinker", responder=lambda _: "<think>Which river?</think>The Nile.")
    with Pool.create(path, all_seeds()) as pool:
        list(session_in(pool, base(), configuration("paper", thinking="keep"), answering=thinker).run(Goal(rounds=1)))
    rows = ask(path, "SELECT DISTINCT output, thoughts FROM instances WHERE answer_id NOTNULL AND verdict = 'accepted'")
    assert rows == [("The Nile.", "Which river?")]


def test_more_instances_are_answered_by_the_same_model(path: Path) -> None:
    with Pool.create(path, all_seeds()) as pool:
        session = session_in(pool, base(), configuration("paper"), answering=Named("tutor"))
        list(session.run(Goal(rounds=1)))
        (task_id,) = ask(path, "SELECT task_id FROM instances WHERE answer_id NOTNULL AND verdict = 'accepted' LIMIT 1")[0]
        list(session.steering.more_instances(task_id))
        new = pool.instances.of_task(task_id)[-1]
        assert new.answer_id is not None and pool.requests.get(new.answer_id).model.name == "tutor"
        session.steering.set_round_parameters({"threshold": 0.6})
        assert session._context.for_round(pool.rounds.begin(1)).method.answers_apart

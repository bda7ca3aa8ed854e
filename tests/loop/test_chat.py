"""Rounds with a model that is asked in its own chat template: where instructions come from, which are kept, how they are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.api import Completion, EngineInfo, FinishReason, Request
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError, UsageError
from studio.loop.events import InstanceDecided, Noted, StageFinished
from studio.loop.parsing import Answer
from studio.loop.session import Goal
from studio.loop.settings import profile
from studio.loop.stages.answer import Drawn, choose, user_text
from studio.loop.stages.candidates import NOT_MEASURED
from studio.pool.pool import Pool
from studio.records import Origin, Stage, Task, TaskState, Verdict
from support.pools import ask, assert_sound
from support.sessions import all_seeds, configuration, exported, play, session_in

CHAT = configuration(best_of=3, likely_share=0.5)


def chatty(responder: Callable[[Request], Completion | str] | None = None) -> ScriptedEngine:
    return ScriptedEngine(responder, chats=True)


class Server(ScriptedEngine):
    """A model behind a server: chat alone, no likelihoods, no user's turn of its own."""

    @property
    def info(self) -> EngineInfo:
        return replace(super().info, asking="chat", askings=("chat",), writes_requests=False, prefills=False, measures=False)


def test_filters_that_are_named_go_on_with_the_same_command(tmp_path: Path) -> None:
    path, asked = tmp_path / "pool.db", configuration(filters=["empty", "length"])
    play(path, Goal(rounds=1), chatty(), asked)
    play(path, Goal(rounds=1), chatty(), asked)
    assert ask(path, "SELECT count(*) FROM runs") == [(1,)]
    with pytest.raises(UsageError, match="contradict"):
        play(path, Goal(rounds=1), chatty(), configuration(filters=["empty"]))


@pytest.mark.parametrize("left", [(), ("no_request",)])
def test_a_filter_for_requests_that_is_taken_out_for_a_round_stays_out(tmp_path: Path, left: tuple[str, ...]) -> None:
    with Pool.create(tmp_path / "pool.db", all_seeds()) as pool:
        session = session_in(pool, chatty(), CHAT)
        filters = ["empty", "length", *left]
        session.steering.set_round_parameters({"filters": filters})
        current = pool.rounds.unfinished()
        assert current is not None
        assert session._context.for_round(current).method.filters == tuple(filters)
        list(session.run(Goal(rounds=1)))
        reasons = {reason for (reason,) in ask(pool.path, "SELECT DISTINCT reason FROM decisions")}
        assert reasons.isdisjoint({"no_request", "letter", "unended"} - set(left))


def test_a_round_has_its_lists_and_the_models_own_requests(path: Path) -> None:
    events = play(path, Goal(rounds=2), chatty(), CHAT)
    stages = [event.stage for event in events if isinstance(event, StageFinished)]
    assert stages[:7] == list(Stage)
    assert dict(ask(path, "SELECT source, count(*) FROM requests WHERE source IS NOT NULL GROUP BY source")) == {
        "in_context": 2,
        "template": 40,
    }
    assert ask(path, "SELECT count(*) FROM request_parents JOIN requests ON id = request_id WHERE source = 'template'") == [(0,)]
    assert {
        source
        for (source,) in ask(
            path,
            "SELECT DISTINCT source FROM verdicts JOIN candidates ON candidates.id = candidate_id"
            " JOIN requests ON requests.id = request_id WHERE verdict = 'accepted'",
        )
    } == {"in_context", "template"}
    assert_sound(path)


def test_every_kept_instance_was_answered(path: Path) -> None:
    events = play(path, Goal(rounds=2), chatty(), CHAT)
    rows = ask(
        path,
        "SELECT output, agreement, completions.text FROM instances JOIN completions ON completions.request_id = answer_id"
        " WHERE verdict = 'accepted' AND reason = 'valid'",
    )
    assert rows and all(output == text.strip() and 0 <= agreement <= 1 for output, agreement, text in rows)
    assert ask(path, "SELECT count(*) FROM instances WHERE reason = 'unanswered'") == [(0,)]
    told = [event for event in events if isinstance(event, InstanceDecided) and event.reason == "valid"]
    assert len(told) == len(rows)


def test_the_likeliest_share_is_kept(path: Path) -> None:
    play(path, Goal(rounds=3), chatty(), CHAT)
    limits = dict(ask(path, "SELECT number, max_nats FROM rounds"))
    rows = ask(
        path,
        "SELECT number, nats, reason FROM verdicts JOIN candidates ON candidates.id = candidate_id"
        " JOIN requests ON requests.id = request_id JOIN rounds ON rounds.id = round_id WHERE nats IS NOT NULL",
    )
    assert {reason for _, _, reason in rows} >= {"novel", "unlikely"}
    for number, nats, reason in rows:
        assert nats > limits[number] if reason == "unlikely" else reason != "novel" or nats <= limits[number]
    own = [nats <= limits[number] for number, nats, _ in rows]
    assert 0.3 < sum(own) / len(own) < 0.7


def test_the_answers_that_the_model_is_surest_of_are_kept(path: Path) -> None:
    play(path, Goal(rounds=3), chatty(), configuration(likely_answers=0.5))
    limits = dict(ask(path, "SELECT number, max_answer_nats FROM rounds"))
    rows = ask(
        path,
        "SELECT number, nats, reason FROM instances JOIN tasks ON tasks.id = task_id JOIN rounds ON rounds.id = round_id"
        " WHERE nats IS NOT NULL AND reason IN ('valid', 'unlikely_answer')",
    )
    assert {reason for _, _, reason in rows} == {"valid", "unlikely_answer"}
    assert all((nats > limits[number]) == (reason == "unlikely_answer") for number, nats, reason in rows)


def test_a_base_model_is_asked_as_before(tmp_path: Path) -> None:
    """The engine prefers raw texts: nothing of chat has an effect."""
    play(tmp_path / "chat.db", Goal(rounds=2), asked=CHAT)
    play(tmp_path / "raw.db", Goal(rounds=2), asked=configuration())
    assert exported(tmp_path / "chat.db") == exported(tmp_path / "raw.db")
    assert ask(tmp_path / "chat.db", "SELECT count(*) FROM chats") == [(0,)]


def test_the_papers_profiles_never_chat(tmp_path: Path) -> None:
    for name in ("paper", "code", "alpaca"):
        play(tmp_path / f"{name}.db", Goal(rounds=1), chatty(), configuration(name))
        assert ask(tmp_path / f"{name}.db", "SELECT count(*) FROM chats") == [(0,)]


def test_a_server_that_speaks_chat_alone(tmp_path: Path, path: Path) -> None:
    events = play(path, Goal(rounds=1), Server(), CHAT)
    assert NOT_MEASURED in [event.text for event in events if isinstance(event, Noted)]
    assert ask(path, "SELECT count(*) FROM requests WHERE chat_id IS NULL OR source = 'template'") == [(0,)]
    assert ask(path, "SELECT count(*) FROM dataset WHERE origin = 'generated'")[0][0] > 3
    with pytest.raises(ModelError, match="speaks chat only"):
        play(tmp_path / "raw.db", Goal(rounds=1), Server(), configuration("paper"))


def test_any_interruption_gives_the_same_pool(tmp_path: Path) -> None:
    play(tmp_path / "whole.db", Goal(rounds=2), chatty(), CHAT)
    path = tmp_path / "broken.db"
    with Pool.create(path, all_seeds()):
        pass
    for _ in range(60):
        with Pool.open(path) as pool:
            session = session_in(pool, chatty(), CHAT)
            stages = 0
            for event in session.run(Goal(rounds=1)):
                stages += isinstance(event, StageFinished)
                if stages:
                    break
            if pool.rounds.unfinished() is None and len(pool.rounds.newest_yields(1, 9)) == 2:
                break
    assert exported(path) == exported(tmp_path / "whole.db")


def test_a_brief_reaches_both_sources(path: Path) -> None:
    play(path, Goal(rounds=1), chatty(), configuration(brief="beekeeping for schools"))
    rows = ask(path, "SELECT source, prompt || coalesce(chat, '') FROM request_prompts WHERE source IS NOT NULL")
    assert {source for source, _ in rows} == {"in_context", "template"}
    assert all("beekeeping for schools" in text for _, text in rows)


def test_a_person_asks_for_another_answer(path: Path) -> None:
    with Pool.create(path, all_seeds()) as pool:
        session = session_in(pool, chatty(), CHAT)
        list(session.run(Goal(rounds=1)))
        (task_id,) = ask(
            path,
            "SELECT task_id FROM instances JOIN tasks ON tasks.id = task_id WHERE answer_id IS NOT NULL AND request_id IS NULL LIMIT 1",
        )[0]
        before = pool.instances.of_task(task_id)
        list(session.steering.more_instances(task_id))
        new = pool.instances.of_task(task_id)[len(before) :]
        assert [each.verdict for each in new] == [Verdict.ACCEPTED] and new[0].answer_id is not None
        assert session.steering.undo() is not None
        assert pool.instances.of_task(task_id)[-1].verdict is Verdict.REJECTED


def a_task(instruction: str) -> Task:
    return Task(1, Origin.GENERATED, TaskState.DRAFT, "", instruction, None)


def drawn(*texts: str, cut: str = "") -> list[Drawn]:
    return [Drawn(number, Answer(text, truncated=text == cut)) for number, text in enumerate(texts, 1)]


def test_the_answer_that_agrees_most_is_taken() -> None:
    method = profile("studio").model_copy(update={"best_of": 3})
    found = choose(
        method, a_task("Name a river."), "", drawn("The Nile is a river in Africa.", "Ask me later.", "The Nile is a long river in Africa.")
    )
    assert (found.answer_id, found.verdict) == (1, Verdict.ACCEPTED)
    assert found.agreement is not None and 0.3 < found.agreement < 0.6
    assert choose(method, a_task("Name a river."), "", drawn("The Nile.")).agreement is None


def test_a_cut_answer_is_never_kept() -> None:
    method = profile("studio")
    alone = choose(method, a_task("Tell a story."), "", drawn("Once upon a", cut="Once upon a"))
    assert (alone.verdict, alone.reason, alone.output) == (Verdict.REJECTED, "truncated", "Once upon a")
    beside = choose(method, a_task("Tell a story."), "", drawn("Once upon a", "Once upon a time it ended.", cut="Once upon a"))
    assert (beside.verdict, beside.output) == (Verdict.ACCEPTED, "Once upon a time it ended.")
    assert choose(method, a_task("Tell it."), "", []).reason == "empty_output"
    assert choose(method, a_task("Name a river in the far north."), "", drawn("A river in the far north!")).reason == "repeats_instruction"
    strict = method.model_copy(update={"min_agreement": 0.9, "best_of": 2})
    assert (
        choose(strict, a_task("Name a river."), "", drawn("The Nile is one of them.", "Perhaps you think of the Elbe.")).reason
        == "disagreement"
    )


def test_an_answer_that_breaks_a_rule_is_asked_for_in_other_words(path: Path) -> None:

    def stubborn(request: Request) -> str:
        if request.chat is None or request.chat.writes_request or request.chat.begins:
            return f"Explain the {request.seed} uses of paper." if request.chat else " No"
        return "Paper is for writing, wrapping and folding." if request.suffix.endswith("one short paragraph.") else "Sure, a list:"

    play(path, Goal(rounds=1), chatty(stubborn), configuration())
    kept = ask(path, "SELECT output, ordinal, suffix FROM instances JOIN requests ON requests.id = answer_id WHERE reason = 'valid'")
    assert kept and {output for output, _, _ in kept} == {"Paper is for writing, wrapping and folding."}
    assert all(suffix.endswith("\n\nAnswer in one short paragraph.") for _, _, suffix in kept)
    assert ask(path, "SELECT count(*) FROM requests WHERE stage = 'answer'") == [(2 * len(kept),)]


def test_a_cut_request_is_no_candidate(path: Path) -> None:
    engine = chatty(
        lambda request: (
            Completion("Write me a", FinishReason.LENGTH, 9, 3, nats=1.0) if request.chat and request.chat.writes_request else " No"
        )
    )
    play(path, Goal(rounds=1), engine, configuration())
    assert ask(
        path,
        "SELECT DISTINCT reason FROM verdicts JOIN candidates ON candidates.id = candidate_id JOIN requests ON requests.id = request_id"
        " WHERE source = 'template'",
    ) == [("truncated",)]


def test_instruction_and_input_are_one_turn() -> None:
    assert user_text(" Translate it. ", "Bonjour\n") == "Translate it.\n\nBonjour"
    assert user_text("Translate it.", " ") == "Translate it."


def test_an_answer_without_any_doubt_keeps_its_own_likelihood() -> None:
    found = choose(
        profile("studio"),
        a_task("Name a river."),
        "",
        [Drawn(1, Answer("Sure, a list:"), 2.5), Drawn(2, Answer("The Nile is a long river in Africa."), 0.0)],
    )
    assert (found.answer_id, found.nats) == (2, 0.0)

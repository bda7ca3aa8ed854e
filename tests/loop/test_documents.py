"""Instructions for passages of documents, from the passage to the data, with the scripted model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from studio.documents.found import find_documents
from studio.engine.api import Completion, EngineInfo, FinishReason, Request
from studio.engine.scripted import ScriptedEngine
from studio.loop.events import CandidateDecided, Noted, RunStopped, StopReason
from studio.loop.filters import COPIED, LESS_FITTING, NEEDS_PASSAGE, OFF_PASSAGE, TRUNCATED
from studio.loop.runs import Configuration
from studio.loop.session import Goal
from studio.loop.stages.candidates import NOT_MEASURED, copies, shared_words
from studio.loop.stages.instructions import USED_UP
from studio.loop.whatif import Change, what_if
from studio.pool.pool import Pool
from studio.records import OF_PASSAGES, Source, Stage
from support.sessions import all_seeds, configuration, exported, session_in

TOPICS = ("bees", "bread", "bridges", "clocks", "rivers", "pianos", "tulips", "whales")
TEXT = "\n\n".join(
    f"A paragraph about {topic} stands here. It says that {topic} are old, that many people like them, and more." for topic in TOPICS
)


def asked(**overrides: object) -> Configuration:
    given = {
        "passage_size": 130,
        "passage_overlap": 0,
        "passage_least": 50,
        "passage_tries": 1,
        "passage_gain": 0,
        "passage_words": 0,
        "document_requests": 6,
    }
    return configuration(**{**given, **overrides}).with_documents()  # type: ignore[arg-type]


def with_documents(path: Path, wanted: Configuration) -> Pool:
    """A new pool that has a document of eight passages."""
    pool = Pool.create(path, all_seeds()[:20])
    text = path.with_suffix(".txt")
    text.write_text(TEXT)
    pool.documents.bring(find_documents([text]).files, "CC0-1.0", wanted.method().cutting)
    return pool


def passages_of(pool: Pool) -> set[str]:
    cutting = pool.documents.all()[0].cutting
    with pool.documents._database.snapshot():
        ids = pool.documents._database.ids("SELECT id FROM passages")
    assert cutting
    return {each.passage.text for each in pool.documents.passages(ids).values()}


@pytest.mark.parametrize("chats", [True, False])
def test_a_passage_is_the_answer_to_a_request_and_the_input_of_a_question(tmp_path: Path, chats: bool) -> None:
    wanted = asked(threshold=1.0, filters=["empty"], request_filters=[], answer_rules=[], likely_answers=1.0)
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        list(session_in(pool, ScriptedEngine(chats=chats), wanted).run(Goal(rounds=1)))
        passages = passages_of(pool)
        assert len(passages) == len(TOPICS)
        tasks = list(pool.stream.export_tasks(include_seeds=False))
        assert {task.source for task in tasks} == set(OF_PASSAGES)
        for task in tasks:
            [instance] = task.instances
            assert task.document is not None
            assert task.document.licence == "CC0-1.0"
            passage = TEXT[task.document.start : task.document.stop]
            assert passage in passages
            if task.source is Source.BACKTRANSLATION:
                assert (instance.input, instance.output) == ("", passage)
                assert task.is_classification is False
                assert pool.requests.about(task.id) == []
            else:
                assert instance.input == passage
                assert instance.output
                stages = [request.stage for request in pool.requests.about(task.id)]
                assert stages == [Stage.CLASSIFY, Stage.ANSWER if chats else Stage.INSTANCES]


def test_each_passage_is_used_once_in_each_way_and_then_the_run_ends(tmp_path: Path) -> None:
    wanted = asked(document_requests=5)
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        events = list(session_in(pool, ScriptedEngine(chats=True), wanted).run(Goal(target=1000)))
        assert events[-1] == RunStopped(StopReason.DOCUMENTS)
        used = Counter(
            (source, passage)
            for source, passage in pool.requests._database.rows("SELECT source, passage_id FROM requests WHERE passage_id")
        )
        assert len(used) == 2 * len(TOPICS)
        assert set(used.values()) == {1}
        # Who runs it again hears the same, and no round is begun for it.
        assert list(session_in(pool, ScriptedEngine(chats=True), wanted).run(Goal())) == [RunStopped(StopReason.DOCUMENTS)]


def test_other_sources_go_on_where_they_were_asked_for(tmp_path: Path) -> None:
    wanted = asked(requests_per_round=1, document_requests=16, document_way="question")
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        events = list(session_in(pool, ScriptedEngine(chats=True), wanted).run(Goal(rounds=3)))
        assert events[-1] == RunStopped(StopReason.ROUNDS)
        assert [event.text for event in events if isinstance(event, Noted)].count(USED_UP) == 1
        sources = {event.source for event in events if isinstance(event, CandidateDecided)}
        assert sources == {Source.IN_CONTEXT, Source.QUESTION}


def _measured(texts: dict[str, tuple[str, float]], plain: float) -> ScriptedEngine:
    """An engine that writes for the passage about a topic what `texts` has, with those nats; without a passage all has `plain`."""

    def answer(request: Request) -> Completion | str:
        if request.params.max_tokens == 0:
            return Completion("", FinishReason.STOP, 3, 0, nats=plain)
        prompt = request.prefix + request.suffix
        topic = next((each for each in texts if f"about {each}" in prompt), "")
        if request.chat is not None and request.chat.writes_request and topic:
            text, nats = texts[topic]
            return Completion(text, FinishReason.LENGTH if text.endswith("...") else FinishReason.STOP, 3, 3, nats=nats)
        return " No."

    return ScriptedEngine(answer, chats=True)


def test_what_does_not_fit_its_passage_is_rejected(tmp_path: Path) -> None:
    texts = {
        "bees": (" old are the bees that many people like?", 1.0),
        "bread": (" is it that nobody ever asked for this?", 2.5),
        "bridges": (" bridges are old, that many people like them, and more.", 0.1),
        "clocks": (" does the text say about the clocks in it?", 0.5),
        "rivers": (" the rivers go on and on...", 0.5),
    }
    wanted = asked(passage_gain=1.0, document_way="backtranslation", document_requests=8, prompts__backtranslation_openings="How\n")
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        events = list(session_in(pool, _measured(texts, 3.0), wanted).run(Goal(rounds=1)))
        reasons = {
            event.text.split()[-1].strip("?.").removesuffix("..."): event.reason for event in events if isinstance(event, CandidateDecided)
        }
    assert reasons["like"] == "novel"
    assert reasons["this"] == OFF_PASSAGE
    assert reasons["more"] == COPIED
    assert reasons["it"] == NEEDS_PASSAGE
    assert reasons["on"] == TRUNCATED


def test_of_several_requests_that_a_passage_answers_the_best_is_kept(tmp_path: Path) -> None:
    wanted = asked(passage_tries=4, passage_gain=0.0, document_way="backtranslation", document_requests=32, threshold=1.0)
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        events = list(session_in(pool, ScriptedEngine(chats=True), wanted).run(Goal(rounds=1)))
        counted = Counter(event.reason for event in events if isinstance(event, CandidateDecided))
        assert counted[LESS_FITTING] > 5
        tasks = list(pool.stream.export_tasks(include_seeds=False))
        outputs = [task.instances[0].output for task in tasks]
        assert len(outputs) == len(set(outputs))
        # Without another rule nothing is decided otherwise, and no rule brings back what does not fit.
        assert what_if(pool, Change()).flips == ()
        assert not [flip for flip in what_if(pool, Change(filters={"length": False})).flips if flip.before == LESS_FITTING]


def test_what_a_passage_is_about_may_be_a_blocked_word(tmp_path: Path) -> None:
    texts = dict.fromkeys(TOPICS, (" do I open a file that I cannot find again?", 1.0))
    wanted = asked(passage_gain=1.0, document_way="question", document_requests=1)
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        [decided] = [
            each for each in session_in(pool, _measured(texts, 3.0), wanted).run(Goal(rounds=1)) if isinstance(each, CandidateDecided)
        ]
        assert decided.reason == "novel"


def test_a_round_asked_for_once_more_keeps_its_passages(tmp_path: Path) -> None:
    wanted = asked()
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        session = session_in(pool, ScriptedEngine(chats=True), wanted)
        for event in session.play_round():
            if type(event).__name__ == "StageFinished" and event.stage is Stage.FILTER:  # type: ignore[attr-defined]
                break
        current = pool.rounds.unfinished()
        assert current is not None
        before = [each.passage_id for each in pool.requests.planned(current.id, Stage.INSTRUCTIONS)]
        session.steering.regenerate()
        assert [each.passage_id for each in pool.requests.planned(current.id, Stage.INSTRUCTIONS)] == before
        session.steering.set_round_parameters({"document_way": "question"})
        assert {each.source for each in pool.requests.planned(current.id, Stage.INSTRUCTIONS)} == {Source.QUESTION}
        list(session.run(Goal(rounds=1)))


def test_more_instances_of_a_task_for_a_passage(tmp_path: Path) -> None:
    wanted = asked(threshold=1.0, answer_rules=[], likely_answers=1.0)
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        session = session_in(pool, ScriptedEngine(chats=True), wanted)
        list(session.run(Goal(rounds=1)))
        for task in list(pool.stream.export_tasks(include_seeds=False)):
            list(session.steering.more_instances(task.id))
            inputs = {instance.input for instance in pool.tasks.get(task.id).instances}
            assert inputs == {task.instances[0].input}


def test_equal_seeds_give_equal_data_and_others_other(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        wanted = configuration(
            seed=seed, passage_words=0, passage_size=130, passage_overlap=0, passage_least=50, document_requests=4
        ).with_documents()
        (tmp_path / name).mkdir()
        with with_documents(tmp_path / name / "pool.db", wanted) as pool:
            list(session_in(pool, ScriptedEngine(chats=True), wanted).run(Goal(rounds=2)))
        found.append(exported(tmp_path / name / "pool.db").replace(f"{tmp_path}/{name}", ""))
    assert found[0] == found[1] != found[2]


def test_shared_words() -> None:
    passage = "Shape the dough into a round, put it into a floured basket and let it stand overnight in the refrigerator."
    assert shared_words("Who baked the chocolate cake?", passage) == 0
    assert shared_words("How should the dough be shaped for the basket?", passage) == 0.75
    assert shared_words("Why?", passage) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Why do bees dance in the hive?", False), ("the bees dance on the surface of the swarm", True), ("Bees?", False)],
)
def test_copies(text: str, expected: bool) -> None:
    assert copies(text, "There the bees dance on the surface of the swarm, and others follow.") is expected


class _Server(ScriptedEngine):
    """An engine that can neither begin a turn nor tell likelihoods, as most servers."""

    @property
    def info(self) -> EngineInfo:
        return replace(super().info, writes_requests=False, prefills=False, measures=False)


def test_a_server_is_asked_for_it_and_nothing_falls_for_likelihoods(tmp_path: Path) -> None:
    def answer(request: Request) -> str:
        prompt = request.prefix + request.suffix
        if prompt.rstrip().endswith("Write nothing else."):
            topic = next(each for each in TOPICS if f"about {each}" in prompt)
            return f'**Question:** "How old are the {topic} that people like?"'
        return " They are as old as the text says, and people like them."

    wanted = asked(passage_gain=1.0, answer_rules=[], passage_tries=2)
    with with_documents(tmp_path / "pool.db", wanted) as pool:
        events = list(session_in(pool, _Server(answer, chats=True), wanted).run(Goal(rounds=1)))
        accepted = [event.text for event in events if isinstance(event, CandidateDecided) and event.reason == "novel"]
        assert accepted
        assert all(text.startswith("How old are the ") and text.endswith(" like?") for text in accepted)
        assert NOT_MEASURED in [event.text for event in events if isinstance(event, Noted)]
        # Of two requests for a passage that cannot be told apart the first one stays.
        assert not [event for event in events if isinstance(event, CandidateDecided) and event.reason == OFF_PASSAGE]
        assert all(task.document is not None and task.document.gain is None for task in pool.stream.export_tasks(include_seeds=False))

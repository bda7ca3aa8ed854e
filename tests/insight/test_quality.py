"""What was measured of candidates and instances is told against the limits of their round, by bars that read without colour."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.scripted import ScriptedEngine
from studio.insight.story import EXPLAINED, Measure, of_candidate, of_instance, story_of
from studio.insight.story_report import story_sections
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from support.pools import ask
from support.sessions import all_seeds, configuration, play, session_in


@given(st.sampled_from(["request", "answer", "agreement"]), st.floats(0, 1), st.floats(0.01, 1), st.integers(4, 30))
def test_a_bar_crosses_its_limit_where_the_figure_does(kind: str, value: float, limit: float, width: int) -> None:
    measure = Measure(kind, value, limit)  # type: ignore[arg-type]
    drawn = measure.bar(width)
    assert len(drawn) == width and drawn.count("┿") + drawn.count("┼") == 1
    reached = "┿" in drawn
    assert reached == (measure.passes if kind == "agreement" else not measure.passes)


def test_the_words_say_which_side_of_the_limit() -> None:
    assert Measure("request", 2.0, 2.0).words == "2.00 ≤ 2.00 nats a token: likely as a request"
    assert Measure("request", 2.01, 2.0).words == "2.01 > 2.00 nats a token: too unlikely as a request"
    assert Measure("agreement", 0.3, 0.3).words == "0.30 ≥ 0.30: the answers drawn agree"
    assert Measure("agreement", 0.2, 0.3).words == "0.20 < 0.30: the answers drawn disagree"
    assert Measure("answer", 9.0, None).words == "9.00 nats a token, no limit"
    assert Measure("answer", 9.0, None).bar(4) == "━━━━" and Measure("agreement", 0.0, None).bar(4) == "━───"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of two rounds in chat, the second with a limit of its own for agreement."""
    path = tmp_path_factory.mktemp("chat") / "pool.db"
    asked = configuration(best_of=3, likely_share=0.6, likely_answers=0.9, min_agreement=0.1)
    with Pool.create(path, all_seeds()) as pool:
        session = session_in(pool, ScriptedEngine(chats=True), asked)
        list(session.run(Goal(rounds=1)))
        session.steering.set_round_parameters({"min_agreement": 0.2})
        list(session.run(Goal(rounds=1)))
    return path


def test_every_figure_stands_against_the_limit_of_its_round(chat: Path) -> None:
    limits = {number: (request, answer) for number, request, answer in ask(chat, "SELECT number, max_nats, max_answer_nats FROM rounds")}
    assert all(None not in each for each in limits.values())
    with Queries.open(chat) as pool:
        seen = set()
        for (candidate_id,) in ask(chat, "SELECT id FROM candidates WHERE nats IS NOT NULL"):
            candidate = pool.candidates.get(candidate_id)
            (measure,) = of_candidate(pool, candidate)
            number = pool.requests.get(candidate.request_id).round
            assert (measure.value, measure.limit) == (candidate.nats, limits[number][0])
            reason = pool.candidates.decisions(candidate_id)[0].reason
            assert reason not in ("novel", "not_novel") or measure.passes
            assert reason != "unlikely" or not measure.passes
            seen.add(reason)
        assert {"novel", "unlikely"} <= seen
        reasons = set()
        for number, task_id in ask(chat, "SELECT number, tasks.id FROM tasks JOIN rounds ON rounds.id = round_id"):
            for instance in pool.instances.of_task(task_id):
                measures = {each.kind: each for each in of_instance(pool, instance)}
                if instance.answer_id is None:
                    assert not measures
                    continue
                assert (measures["agreement"].limit, measures["answer"].limit) == ({1: 0.1, 2: 0.2}[number], limits[number][1])
                assert instance.reason != "disagreement" or not measures["agreement"].passes
                assert instance.reason != "unlikely_answer" or not measures["answer"].passes
                assert instance.reason != "valid" or all(each.passes for each in measures.values())
                reasons.add(instance.reason)
        assert {"valid", "unlikely_answer"} <= reasons


def test_a_story_tells_source_and_figures(chat: Path) -> None:
    (task_id,) = ask(
        chat,
        "SELECT tasks.id FROM tasks JOIN candidates ON candidates.id = candidate_id JOIN requests ON requests.id = candidates.request_id"
        " JOIN instances ON instances.task_id = tasks.id WHERE source = 'template' AND agreement IS NOT NULL LIMIT 1",
    )[0]
    with Queries.open(chat) as pool:
        story = story_of(pool, f"t{task_id}")
    drawn, plain = (
        {each.title: ["".join(words for words, _ in line) for line in each.lines] for each in story_sections(story, bars=bars)}
        for bars in (True, False)
    )
    assert any(line.startswith("source: template") for line in drawn[""]) and EXPLAINED in drawn[""]
    assert any(line.startswith("likelihood ━") for line in drawn[""])
    assert {line.split()[0] for line in drawn["Instances"] if "━" in line} == {"agreement", "sureness"}
    assert "━" not in str(plain), "figures in words are for all other readers"


def test_a_raw_pool_has_none(tmp_path: Path) -> None:
    play(tmp_path / "raw.db", Goal(rounds=1))
    (task_id,) = ask(tmp_path / "raw.db", "SELECT id FROM tasks WHERE origin = 'generated' LIMIT 1")[0]
    with Queries.open(tmp_path / "raw.db") as pool:
        story = story_of(pool, f"t{task_id}")
        assert not story.measures and not story.of_instances
        assert list(story_sections(story, bars=True)) == list(story_sections(story))

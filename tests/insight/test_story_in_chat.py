"""The story of what a model wrote in its own chat template: the source, what stood around the prompt, scores, and the answers drawn."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from studio.engine.scripted import ScriptedEngine
from studio.insight.lineage.quality import BEFORE_EDIT
from studio.insight.lineage.story import story_of
from studio.insight.lineage.story_report import story_report
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from support.pools import ask
from support.sessions import CHAT, all_seeds, chat_pool, configuration, mixed_pool, play, session_in


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_pool(tmp_path_factory.mktemp("story") / "pool.db")


def told(path: Path, reference: str, *, prompts: bool = False) -> str:
    out = StringIO()
    with Queries.open(path) as pool:
        Console(file=out, width=400).print(story_report(story_of(pool, reference), prompts=prompts))
    return out.getvalue()


@pytest.mark.parametrize("source", ["in_context", "template"])
def test_the_source_and_how_likely_it_is(chat: Path, source: str) -> None:
    [(task, nats, limit)] = ask(
        chat,
        "SELECT tasks.id, candidates.nats, max_nats FROM tasks JOIN candidates ON candidates.id = candidate_id"
        " JOIN requests ON requests.id = candidates.request_id JOIN rounds ON rounds.id = requests.round_id WHERE source = ? LIMIT 1",
        source,
    )
    text = told(chat, f"t{task}")
    assert f"source: {source}, " in text
    assert f"likelihood: {nats:.4f} nats a token, at most {limit:.4f} in its round" in text
    assert ("the model writes the user's turn" in text) is (source == "template")


def test_of_an_edited_text_it_is_said_that_the_likelihood_is_not_its_own(tmp_path: Path) -> None:
    with Pool.open(chat_pool(tmp_path / "chat.db", 1)) as pool:
        session = session_in(pool, ScriptedEngine(chats=True), CHAT)
        [(candidate,)] = ask(pool.path, "SELECT candidate_id FROM tasks WHERE candidate_id IS NOT NULL LIMIT 1")
        assert BEFORE_EDIT not in told(pool.path, f"c{candidate}")
        session.steering.edit_candidate(candidate, "Name the seven largest lakes of Africa.")
        assert BEFORE_EDIT in told(pool.path, f"c{candidate}")


def test_a_candidate_that_is_unlikely_says_by_how_much(chat: Path) -> None:
    [(candidate, nats, limit)] = ask(
        chat,
        "SELECT candidates.id, candidates.nats, max_nats FROM verdicts JOIN candidates ON candidates.id = candidate_id"
        " JOIN requests ON requests.id = request_id JOIN rounds ON rounds.id = round_id WHERE reason = 'unlikely' LIMIT 1",
    )
    assert nats > limit
    assert f"likelihood: {nats:.4f} nats a token, at most {limit:.4f} in its round" in told(chat, f"c{candidate}")


def test_which_answers_were_drawn_and_which_was_chosen(chat: Path) -> None:
    rows = ask(
        chat,
        "SELECT instances.id, task_id, answer_id, agreement, nats FROM instances"
        " WHERE answer_id IS NOT NULL AND verdict = 'accepted' AND nats IS NOT NULL ORDER BY id",
    )
    assert rows
    for instance, task, answer, agreement, nats in rows:
        with Queries.open(chat) as pool:
            story = story_of(pool, f"t{task}")
        [found] = [each for each in story.answers if each.instance_id == instance]
        assert found.chosen == answer and answer in found.drawn and len(found.drawn) in (3, 4)
        names = {each.id: f"{each.round}/{each.stage}/{each.ordinal}" for each in story.task_requests}
        text = told(chat, f"t{task}")
        assert f"output by request {names[answer]}" in text
        assert f"chosen of {len(found.drawn)} answers, agreement {agreement:.4f}" in text
        assert f"likelihood of the answer: {nats:.4f} nats a token" in text
        for each in found.drawn:
            section = text[text.index(f"Request {names[each]}\n") :]
            words = f"chosen for instance {instance}, of" if each == answer else f"drawn for instance {instance}, not chosen"
            assert words in section[: section.index("the model wrote:")]
        told_as_json = json.loads(json.dumps(story.as_dict(), default=str))
        assert {"instance_id": instance, "drawn": list(found.drawn), "chosen": answer} in told_as_json["answers"]


def test_answers_of_two_instances_are_kept_apart(chat: Path) -> None:
    with Queries.open(chat) as pool:
        stories = [
            story_of(pool, f"t{task}") for (task,) in ask(chat, "SELECT task_id FROM instances GROUP BY 1 HAVING count(answer_id) > 1")
        ]
    assert stories
    for story in stories:
        drawn = [each for found in story.answers for each in found.drawn]
        assert len(drawn) == len(set(drawn))


def test_what_stood_around_the_prompt(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    asked = configuration(brief="bees [red]and[/] \x1b[31mhives", prompts__answer_system="Answer briefly.\nAlways.")
    play(path, Goal(rounds=1), ScriptedEngine(chats=True), asked, all_seeds()[:40])
    [(task,)] = ask(path, "SELECT task_id FROM instances WHERE answer_id IS NOT NULL AND verdict = 'accepted' LIMIT 1")
    short, whole = told(path, f"t{task}"), told(path, f"t{task}", prompts=True)
    assert re.search(r"system turn: Answer briefly\.[^\n]*Always\.", short) and re.search(r"Answer briefly\. *\n +Always\.", whole)
    for text in (short, whole):
        assert "in the model's chat template: the prompt is the user's turn" in text and "\x1b[31m" not in text
    [(own,)] = ask(path, "SELECT candidates.id FROM candidates JOIN requests ON requests.id = request_id WHERE source = 'template' LIMIT 1")
    assert "bees [red]and[/]" in told(path, f"c{own}")


def test_a_person_sees_which_answer_his_own_request_brought(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    asked = configuration(best_of=2)
    play(path, Goal(rounds=1), ScriptedEngine(chats=True), asked, all_seeds()[:40])
    with Pool.open(path) as pool:
        session = session_in(pool, ScriptedEngine(chats=True), asked)
        [(task,)] = ask(path, "SELECT task_id FROM instances WHERE answer_id IS NOT NULL AND input = '' AND verdict = 'accepted' LIMIT 1")
        before = {each for found in story_of(pool, f"t{task}").answers for each in found.drawn}
        list(session.steering.more_instances(task))
        last = story_of(pool, f"t{task}").answers[-1]
        assert len(last.drawn) >= 2 and not before & set(last.drawn)
        [instance, *_] = pool.instances.of_task(task)
        session.steering.edit_instance(instance.id, "A given text.", "An answer of mine.")
        [edited] = [each for each in story_of(pool, f"t{task}").answers if each.instance_id == instance.id]
        assert set(edited.drawn) <= before


def test_seeds_and_raw_pools_are_told_as_ever(tmp_path: Path, chat: Path) -> None:
    raw = mixed_pool(tmp_path / "raw.db")
    [(task,)] = ask(raw, "SELECT max(id) FROM tasks")
    for text in (told(chat, "t1"), told(raw, "t1"), told(raw, f"t{task}", prompts=True)):
        for word in ("source:", "likelihood", "chat template", "chosen of", "output by"):
            assert word not in text

"""The story of a task or candidate tells all that the pool knows, and nothing that acts on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from studio.engine.scripted import ScriptedEngine
from studio.errors import PoolError, UsageError
from studio.insight.story import BEFORE_EDIT, Story, parse_reference, story_of
from studio.insight.story_report import story_report
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.publish.page import template
from studio.records import HoldOut, Instance, Origin, SeedTask, Stage, Turn, Verdict
from studio.tui.pool.detail import as_text, story_text
from support.html_page import Page
from support.nasty_text import NASTY_TEXTS
from support.pools import ask, make_pool
from support.sessions import CHAT, all_seeds, chat_pool, configuration, mixed_pool, play, session_in
from support.steering import ASKED, play_until
from support.tables import printed


def tell(path: Path, reference: str) -> Story:
    with Queries.open(path) as reader:
        return story_of(reader, reference)


def shown(story: Story, *, prompts: bool = False, width: int = 200) -> str:
    return printed(story_report(story, prompts=prompts), width)


def test_a_generated_task(walked: Path) -> None:
    story = tell(walked, "11")
    assert story.candidate is not None and story.candidate.id == 1
    assert [parent.id for parent in story.parents] == [8, 7, 6, 5, 4, 3, 2, 1]
    text = shown(story)
    assert "task 11: generated, active, not classification, round 1" in text
    assert "accepted by rule: novel" in text
    assert "0.2500  3  Describe the animal with number 3." in text
    assert "9. Name three rivers." in text
    assert "rejected: empty_output, by rule" in text
    assert "Examples" not in text and "Examples" in shown(story, prompts=True)


def test_a_rejected_candidate(walked: Path) -> None:
    text = shown(tell(walked, "c3"))
    assert "candidate c3: not in the pool" in text
    assert "rejected by rule: not_novel" in text
    assert "nearest: 11  Name three rivers." in text


def test_a_seed(walked: Path) -> None:
    assert "task 1: seed, active" in shown(tell(walked, "t1"))


@pytest.mark.parametrize("reference", ["", "c", "x1", "-1", "1.5", "١", "9" * 30])
def test_what_is_no_reference(reference: str) -> None:
    with pytest.raises(UsageError, match="no task or candidate"):
        parse_reference(reference)


@pytest.mark.parametrize("reference", ["999", "c999"])
def test_what_is_not_there(walked: Path, reference: str) -> None:
    with pytest.raises(PoolError, match="999"):
        tell(walked, reference)


STORIES = ("edited", "overruled", "taken back", "retired", "set aside", "dropped", "seed", "held out", "by rule")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Story, str]]:
    """Stories of every kind, and the words that their answers have to have."""
    path = tmp_path_factory.mktemp("told") / "pool.db"
    seeds = all_seeds()[:40]
    with Pool.create(path, seeds, HoldOut("1", "0", frozenset({3}))) as pool:
        session = session_in(pool, asked=ASKED)
        list(session.run(Goal(rounds=1)))
        reader, steering = pool, session.steering
        rejected = [each.id for each in reader.candidates.rejected(3)]
        edited, overruled, retired, dropped = reader.tasks.ids(origin=Origin.GENERATED, with_instances=True)[:4]
        candidates = {task: found.id for task in (edited, overruled) if (found := reader.candidates.of_task(task))}
        steering.edit_candidate(candidates[edited], "Name every river of Asia, twice.", Verdict.ACCEPTED)
        steering.edit_instance(reader.instances.of_task(edited)[0].id, "Which?", "All of them.")
        steering.annotate(edited, ["water"], "see the map")
        steering.override(candidates[overruled], Verdict.REJECTED)
        steering.override(rejected[0], Verdict.ACCEPTED)
        steering.undo()
        steering.override(rejected[1], Verdict.ACCEPTED)
        for step in (steering.retire, steering.restore, steering.retire):
            step(retired)
        steering.mark(retired, True)
        for each in reader.instances.of_task(dropped):
            if each.verdict is Verdict.ACCEPTED:
                steering.drop_instance(each.id)
        play_until(session, Stage.CLASSIFY)
        aside = reader.candidates.judged(reader.rounds.unfinished().id)[0].id  # type: ignore[union-attr]
        steering.regenerate()
        references = {
            "edited": (
                f"t{edited}",
                f"In the data: accepted, edited (by human: changed the text of candidate {candidates[edited]}), by human",
            ),
            "overruled": (f"t{overruled}", f"Not in the data: rejected, by_hand (by human: rejected candidate {candidates[overruled]})"),
            "taken back": (f"c{rejected[0]}", f"(taken back by human: accepted candidate {rejected[0]}), by rule"),
            "retired": (f"t{retired}", f"Not in the data: retired task {retired}, by human"),
            "set aside": (f"c{aside}", "Not in the data: its attempt at round 2 was set aside (asked for round 2 once more), by human"),
            "dropped": (f"t{dropped}", "Not in the data: none of its instances is accepted (by_hand"),
            "seed": ("t1", "In the data: it is a seed"),
            "held out": ("t4", "Not in the data: it was kept apart for evaluation, by human at 20"),
            "by rule": (f"c{rejected[2]}", "Not in the data: rejected, not_novel, by rule at 20"),
        }
        return {name: (story_of(reader, reference), words) for name, (reference, words) in references.items()}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_with_whether_it_is_in_the_data_because_of_what_by_whom_and_when(
    told: dict[str, tuple[Story, str]], name: str
) -> None:
    story, words = told[name]
    *_, last = shown(story, width=9999).rstrip().splitlines()
    assert words in last
    assert last.rstrip() == story.answer.words


@pytest.mark.parametrize("name", STORIES)
def test_every_rendering_of_a_story_tells_the_same_facts(told: dict[str, tuple[Story, str]], name: str) -> None:
    story, _ = told[name]
    facts = [story.answer.words, story.text, *(each.at for each in story.events), *(each.words for each in story.events)]
    facts += [each.decided_at for each in story.decisions] + [each.edited for each in story.decisions if each.edited is not None]
    facts += [*story.annotation.tags, story.annotation.note] + [step.words for step in story.steps]
    for each in story.instances:
        facts += [each.reason, each.input, each.output]
        facts += [each.original.input, each.original.output] if each.original is not None else []

    def squeezed(text: str) -> str:
        return " ".join(text.split())

    parts: Any = template("parts.html").module
    renderings = {
        "text": shown(story, width=9999),
        "screen": story_text(story).plain,
        "json": " ".join(_texts(json.loads(json.dumps(story.as_dict())))),
        "page": Page(str(parts.article(story))).text,
    }
    for rendering, text in renderings.items():
        for fact in facts:
            assert squeezed(fact) in squeezed(text), rendering


def _texts(value: object) -> Iterator[str]:
    """Every text of some JSON."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_nasty_text_is_shown_harmless(tmp_path: Path, text: str) -> None:
    path = make_pool(tmp_path / "pool.db", 1)
    with Pool.open(path) as pool:
        pool.tasks.add([SeedTask("", text, f"Say {text}", (Instance(text, f"x{text}"),), False)], Origin.IMPORTED)
    out = shown(tell(path, "2"))
    assert not set(out) & {chr(code) for code in (*range(10), *range(11, 32), 127, *range(128, 160), 0x202E, 0x200B)}


def choice_shown(path: Path) -> tuple[str, Any]:
    """How the classification of the first generated task is told, and as plain values."""
    with Queries.open(path) as reader:
        first = reader.tasks.ids(origin=Origin.GENERATED)[0]
    story = tell(path, str(first))
    return shown(story), story.as_dict()["task_requests"][0]["completion"]


def test_a_choice_read_from_logits_tells_its_probability(tmp_path: Path) -> None:
    play(tmp_path / "pool.db", Goal(rounds=1))
    text, data = choice_shown(tmp_path / "pool.db")
    assert "probability of Yes: 0." in text and "the model chose:" in text and "0 written" in text
    assert data["probability"] > 0


def test_a_written_choice_has_no_probability(tmp_path: Path) -> None:
    play(tmp_path / "pool.db", Goal(rounds=1), asked=configuration(classify_from_logits=False))
    text, data = choice_shown(tmp_path / "pool.db")
    assert "probability" not in text and "the model chose" not in text
    assert data["probability"] is None


def test_what_a_model_thought_is_dimmed(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    play(path, Goal(rounds=1), ScriptedEngine(chats=True, thinks=True), configuration(thinking="keep"))
    with Queries.open(path) as reader:
        ids = reader.tasks.ids(origin=Origin.GENERATED)
        [story, *_] = [each for each in (story_of(reader, str(task)) for task in ids) if any(one.thoughts for one in each.instances)]
    thoughts = next(each.thoughts or "" for each in story.instances if each.thoughts)
    written = [each.thoughts for each in story.instances] + [each.completion.text for each in story.task_requests if each.completion]
    told = sum("They want something about" in (text or "") for text in written)
    assert told >= 2 and shown(story).count("They want something about") == told
    out = StringIO()
    Console(file=out, width=2000, force_terminal=True, color_system="standard", markup=False).print(story_report(story, prompts=False))
    dimmed = re.findall(r"\x1b\[2m([^\x1b]*)", out.getvalue())
    assert any(thoughts.splitlines()[0] in line for line in dimmed) and any("<think>" in line for line in dimmed)
    assert not any("says the guide" in line and "So:" not in line for line in dimmed)
    assert story_text(story).plain.count("They want something about") == told


def test_what_was_said_around_an_exchange_and_where_a_task_came_from_is_told(walked: Path) -> None:
    talk = Instance(
        "", "Paris.", "", "Be brief\x1b[2J.", (Turn("user", "And Spain?"), Turn("to\x07ol", "{}"), Turn("assistant", "Madrid.", "Easy."))
    )
    with Pool.open(walked) as pool:
        pool.tasks.add([SeedTask("", "", "Name a capital.", (talk,), None, '{"id": 7, "round": 3}')], Origin.IMPORTED)
    story = tell(walked, "13")
    text = shown(story)
    for told in (
        "system turn: Be brief␛[2J.",
        "then user: And Spain?",
        "then to␇ol: {}",
        "then assistant thought: Easy.",
        "then assistant: Madrid.",
    ):
        assert told in text and told in story_text(story).plain
    assert 'known from elsewhere: {"id": 7, "round": 3}' in text
    copied = as_text(story)
    assert copied.endswith("System: Be brief\x1b[2J.\nOutput: Paris.\nUser: And Spain?\nTo\x07ol: {}\nAssistant: Madrid.")


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_pool(tmp_path_factory.mktemp("story") / "pool.db")


def as_told(path: Path, reference: str, *, prompts: bool = False) -> str:
    return shown(tell(path, reference), prompts=prompts, width=400)


@pytest.mark.parametrize(("source", "words"), [("in_context", "from the list shown"), ("template", "the model's own user's turn")])
def test_the_source_and_how_likely_it_is(chat: Path, source: str, words: str) -> None:
    [(task, nats, limit)] = ask(
        chat,
        "SELECT tasks.id, candidates.nats, max_nats FROM tasks JOIN candidates ON candidates.id = candidate_id"
        " JOIN requests ON requests.id = candidates.request_id JOIN rounds ON rounds.id = requests.round_id WHERE source = ? LIMIT 1",
        source,
    )
    text = as_told(chat, f"t{task}")
    assert f"source: {source}, {words}" in text
    assert f"likelihood: {nats:.4f} nats a token, at most {limit:.4f} in its round" in text
    assert ("the model writes the user's turn" in text) is (source == "template")


def test_of_an_edited_text_it_is_said_that_the_likelihood_is_not_its_own(tmp_path: Path) -> None:
    with Pool.open(chat_pool(tmp_path / "chat.db", 1)) as pool:
        session = session_in(pool, ScriptedEngine(chats=True), CHAT)
        [(candidate,)] = ask(pool.path, "SELECT candidate_id FROM tasks WHERE candidate_id IS NOT NULL LIMIT 1")
        assert BEFORE_EDIT not in as_told(pool.path, f"c{candidate}")
        session.steering.edit_candidate(candidate, "Name the seven largest lakes of Africa.")
        assert BEFORE_EDIT in as_told(pool.path, f"c{candidate}")


def test_a_candidate_that_is_unlikely_says_by_how_much(chat: Path) -> None:
    [(candidate, nats, limit)] = ask(
        chat,
        "SELECT candidates.id, candidates.nats, max_nats FROM verdicts JOIN candidates ON candidates.id = candidate_id"
        " JOIN requests ON requests.id = request_id JOIN rounds ON rounds.id = round_id WHERE reason = 'unlikely' LIMIT 1",
    )
    assert nats > limit
    assert f"likelihood: {nats:.4f} nats a token, at most {limit:.4f} in its round" in as_told(chat, f"c{candidate}")


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
        text = as_told(chat, f"t{task}")
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
    short, whole = as_told(path, f"t{task}"), as_told(path, f"t{task}", prompts=True)
    assert re.search(r"system turn: Answer briefly\.[^\n]*Always\.", short) and re.search(r"Answer briefly\. *\n +Always\.", whole)
    for text in (short, whole):
        assert "in the model's chat template: the prompt is the user's turn" in text and "\x1b[31m" not in text
    [(own,)] = ask(path, "SELECT candidates.id FROM candidates JOIN requests ON requests.id = request_id WHERE source = 'template' LIMIT 1")
    assert "bees [red]and[/]" in as_told(path, f"c{own}")


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
    for text in (as_told(chat, "t1"), as_told(raw, "t1"), as_told(raw, f"t{task}", prompts=True)):
        for word in ("source:", "likelihood", "chat template", "chosen of", "output by"):
            assert word not in text

"""The `code` and `alpaca` rules decide as the released repositories do, on texts made to trip them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loop import released_code
from loop.nasty import any_text
from studio.engine.scripted import ScriptedEngine
from studio.loop.filters import INSTANCE_REASONS, INSTRUCTION_REASONS, decide_instances, first_failure
from studio.loop.parsing import parse_input_first, parse_instructions, parse_output_first, parse_triples
from studio.loop.session import Goal, Session
from studio.loop.settings import profile
from studio.loop.stages.instances import classification_request
from studio.loop.stages.instructions import in_context_tasks
from studio.pool.rounds import RoundRecord
from studio.records import Instance, Origin, SeedTask, Stage, Task, TaskState, Verdict
from support.pools import ask
from support.sessions import configuration, play

CODE = profile("code")
ALPACA = profile("alpaca")

many = settings(max_examples=5 * settings().max_examples)


def kept_instructions(text: str, truncated: bool) -> list[str]:
    kept = []
    for candidate in parse_instructions(text, truncated=truncated, keep_complete=CODE.keep_complete, capitalize=CODE.capitalize):
        reason = candidate.discard or first_failure(candidate.text, CODE)
        assert not reason or reason in INSTRUCTION_REASONS
        if not reason:
            kept.append(candidate.text)
    return kept


def kept_triples(text: str, truncated: bool) -> list[tuple[str, str | None, str | None]]:
    kept = []
    for candidate in parse_triples(text, first_number=4, truncated=truncated):
        reason = candidate.discard or first_failure(candidate.text, ALPACA)
        assert not reason or reason in INSTRUCTION_REASONS
        if not reason:
            kept.append((candidate.text, candidate.input, candidate.output))
    return kept


def kept_pairs(parsed: list[Instance], text: str, truncated: bool) -> list[tuple[str, str]]:
    decided = decide_instances(
        parsed,
        CODE.model_copy(update={"max_instances": 10**6, "thinking": "keep"}),
        truncated=truncated,
        rng=random.Random(0),
        raw_text=text,
    )
    assert [instance for instance, _, _ in decided] == parsed or [reason for _, _, reason in decided] == ["unparsed"]
    assert {reason for _, _, reason in decided} <= set(INSTANCE_REASONS)
    assert all((verdict is Verdict.ACCEPTED) == (reason == "valid") for _, verdict, reason in decided)
    return [(instance.input, instance.output) for instance, verdict, _ in decided if verdict is Verdict.ACCEPTED]


@many
@given(any_text, st.booleans())
@example(" Do this at once, please.\n10. Do that at once, please.", False)
@example(" write a PROGRAM that sorts numbers.\n10. Explain DNA and Python to me.", False)
@example(" ŉext to nothing there is.\n10 . ßtrange first letters go here.", False)
@example(" In the year 2016. nothing was new.\n2016. Nothing was new at all.", False)
@example(" Turn the mapſ into text now.\n10. Photographs of me at home.", False)
def test_instructions(text: str, truncated: bool) -> None:
    assert kept_instructions(text, truncated) == released_code.kept_instructions(text, stopped_for_length=truncated)


@many
@given(any_text, st.booleans())
@example(
    " Do this now please.\n4. Input:\n<noinput>\n4. Output:\nDone.\n###\n5. Instruction: Go on with this.\n5. Input: x\n5. Output: y", True
)
@example(" Do this now please.\n4. Output: a\n14. Input: b\n###\nsix\n###\n6. Instruction: a b c d 6. Input: 6. Output:", False)
@example(" write a program for me.\n4. Input: go to 4. Output:", False)
def test_triples(text: str, truncated: bool) -> None:
    assert kept_triples(text, truncated) == released_code.kept_triples(text, prompt_triples=3, stopped_for_length=truncated)


@many
@given(any_text, st.booleans())
@example("Example 1\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: c", False)
@example("Example 1\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: c", True)
@example("Output: one\nInput 2: two\nOutput 2: three", False)
@example("For Example, see Output\n 3 :: x", False)
def test_input_first(text: str, truncated: bool) -> None:
    pairs = released_code.generation_pairs(text)
    parsed = parse_input_first(text)
    assert [(instance.input, instance.output) for instance in parsed] == pairs
    kept = kept_pairs(parsed, text, truncated)
    assert len(kept) == len(set(kept))
    assert set(kept) == released_code.kept_pairs(pairs, stopped_for_length=truncated)


@many
@given(any_text, st.booleans())
@example("Class label: yes\nClass label: no\nText: a\nClass label: no\nText: a", False)
@example("nothing here", False)
def test_output_first(text: str, truncated: bool) -> None:
    pairs = released_code.classification_pairs(text)
    parsed = parse_output_first(text)
    assert [(instance.input, instance.output) for instance in parsed] == pairs
    kept = kept_pairs(parsed, text, truncated)
    assert len(kept) == len(set(kept))
    assert set(kept) == released_code.kept_pairs(pairs, stopped_for_length=truncated)


@pytest.mark.parametrize("instruction", ["Name it.", " Sort  these\n two: ", "Decide:"])
def test_the_classification_question(session: Session, instruction: str) -> None:
    task = Task(1, Origin.GENERATED, TaskState.DRAFT, "", instruction, None, ())
    planned = classification_request(session._context.for_round(RoundRecord(1, 1, 1, Stage.CLASSIFY)), 0, task)
    assert (planned.prefix + planned.suffix).endswith("Task:" + released_code.classification_question(instruction))


def novel(path: Path, candidate: str, seeds: list[SeedTask], **asked: Any) -> bool:
    """Whether a run with these seeds accepts the candidate."""
    engine = ScriptedEngine(lambda request: f" {candidate}" if request.suffix.endswith(".") else " Yes")
    play(path, Goal(rounds=1), engine, configuration("code", requests_per_round=1, **asked), seeds)
    return bool(ask(path, "SELECT count(*) FROM verdicts WHERE reason = 'novel'")[0][0])


@pytest.mark.parametrize("classification_only", [True, False])
@pytest.mark.parametrize(
    "candidate", ["Write a poem about the cold sea.", "Is the film review positive or not?", "Name three rivers of asia."]
)
def test_a_candidate_is_compared_with_all_seeds(tmp_path: Path, candidate: str, classification_only: bool) -> None:
    """The released code passes over other seeds where it asks for classification tasks only; that is the one difference."""
    rows = [("Is the film review positive or not?", True), ("Write a poem about the cold sea.", False)]
    seeds = [SeedTask(str(n), "", text, (Instance("", "x"),), kind) for n, (text, kind) in enumerate(rows)]
    among = [text for text, _ in rows if text == candidate]
    there = released_code.compared_with(rows, [], classification_only=classification_only)
    here = novel(tmp_path / "pool.db", candidate, seeds, classification_only=classification_only)
    assert here == (not among)
    assert (here != (candidate not in there)) == (classification_only and candidate == rows[1][0])


def test_an_alpaca_task_without_an_output_is_kept_without_an_instance(tmp_path: Path) -> None:
    """The released code keeps it with an empty output; with no rules for instances, so does the studio."""
    text = " Name three rivers of Asia.\n4. Input:\n<noinput>\n4. Output:\n"
    assert released_code.kept_triples(text, prompt_triples=3, stopped_for_length=False) == [("Name three rivers of Asia.", "", "")]
    for rules, reason in ((["empty_output"], "empty_output"), ([], "valid")):
        path = tmp_path / reason
        asked = configuration("alpaca", requests_per_round=1, instance_rules=rules)
        play(path, Goal(rounds=1), ScriptedEngine(lambda _: text), asked)
        assert ask(path, "SELECT output, reason FROM instances JOIN tasks ON tasks.id = task_id WHERE origin = 'generated'") == [
            ("", reason)
        ]


@given(st.integers(0, 9), st.integers(3, 20), st.integers(0, 30))
def test_seeds_are_filled_up_only_where_the_released_code_would_fail(seed: int, seeds: int, generated: int) -> None:
    """Alpaca draws three seeds and never a generated task; it cannot go on with fewer seeds than three."""
    drawn = in_context_tasks(random.Random(seed), range(seeds), range(1000, 1000 + generated), 3, 0)
    assert len(drawn) == 3 and max(drawn) < 1000


def markers(words: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), max_size=14).map("".join)


instance_texts = markers(
    ["Example 1\n", "Example 2\n", "Input: ", "Input 2:", "Output: ", "Output 2:", "a\n", "b\n", "a:\n", "\n", "Class label: "]
)


@many
@given(instance_texts, st.booleans())
def test_instances_that_often_collide(text: str, truncated: bool) -> None:
    for parse, oracle in (
        (parse_input_first, released_code.generation_pairs),
        (parse_output_first, released_code.classification_pairs),
    ):
        kept = kept_pairs(parse(text), text, truncated)
        assert set(kept) == released_code.kept_pairs(oracle(text), stopped_for_length=truncated)


triple_texts = st.lists(
    st.tuples(
        st.sampled_from("3456"), st.sampled_from([". ", ".\n", " . "]), st.sampled_from(["Instruction:", "Input:", "Output:", "###"])
    ).map(lambda parts: " Tell me all of it\n" + ("###\n" if parts[2] == "###" else "".join(parts))),
    max_size=12,
).map("".join)


@many
@given(triple_texts, st.booleans())
def test_triples_with_shuffled_fields(text: str, truncated: bool) -> None:
    assert kept_triples(text, truncated) == released_code.kept_triples(text, prompt_triples=3, stopped_for_length=truncated)

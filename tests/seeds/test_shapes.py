"""What records look like that people bring, and what is taken of each: nothing that they hold goes by unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.records import Instance
from studio.seeds.fields import Number
from studio.seeds.inputs import ParsedTask
from studio.seeds.shapes import parsed_task

USER = {"role": "user", "content": "Q"}
ANSWER = {"role": "assistant", "content": "A"}


def parsed(record: Mapping[str, object]) -> ParsedTask:
    return parsed_task(record, 1, None, None)


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        ({"instruction": "Q", "output": "A"}, "alpaca"),
        ({"Instruction": "Q", " Response ": "A"}, "alpaca"),
        ({"instruction": "Q", "input": "", "response": "A"}, "alpaca"),
        ({"instruction": "Q", "input": None, "output": "", "answer": "A"}, "alpaca"),
        ({"question": "Q", "answer": "A"}, "instructions"),
        ({"query": "Q", "response": "A"}, "instructions"),
        ({"input": "Q", "target": "A"}, "instructions"),
        ({"inputs": "Q", "targets": "A"}, "instructions"),
        ({"prompt": "Q", "response": "A"}, "instructions"),
        ({"instruction": None, "prompt": "Q", "completion": "A"}, "alpaca"),
        ({"prompt": "Q", "completion": "A"}, "prompt-completion"),
        ({"prompt": "Q\n\nOutput:", "completion": " A"}, "prompt-completion"),
        ({"user": "Q", "assistant": "A"}, "instructions"),
        ({"messages": [USER, ANSWER]}, "chat"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}, ANSWER]}, "chat"),
        ({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}, "sharegpt"),
        ({"conversations": ["Q", "A"]}, "sharegpt"),
        ({"conversation": [{"human": "Q", "assistant": "A"}]}, "sharegpt"),
        ({"conversation": [{"input": "Q", "output": "A"}]}, "sharegpt"),
        ({"contents": [{"role": "user", "parts": [{"text": "Q"}]}, {"role": "model", "parts": [{"text": "A"}]}]}, "sharegpt"),
        ({"prompt": [USER], "completion": [ANSWER]}, "prompt-completion"),
        ({"prompt": "Q", "chosen": "A"}, "preference"),
        ({"prompt": [USER], "chosen": [ANSWER]}, "preference"),
        ({"prompt": [USER], "chosen": "A"}, "preference"),
        ({"chosen": [USER, ANSWER]}, "preference"),
        ({"prompt": "Q", "chosen": [USER, ANSWER]}, "preference"),
        ({"prompt": "Q", "chosen": ANSWER}, "preference"),
        ({"chosen": "\n\nHuman: Q\n\nAssistant: A"}, "preference"),
        ({"conversations": [{"from": "human", "value": "Q"}], "chosen": {"from": "gpt", "value": "A"}}, "preference"),
        ({"instruction": "Q", "instances": [{"input": "", "output": "A"}]}, "self-instruct"),
        ({"instruction": "Q", "instances": [{"output": "A"}]}, "self-instruct"),
    ],
)
def test_one_question_and_answer_in_all_its_forms(record: dict[str, object], shape: str) -> None:
    found = parsed(record)
    assert (found.shape, found.faults, found.untaken) == (shape, (), ())
    assert found.task is not None
    assert (found.task.instruction, found.task.instances) == ("Q", (Instance("", "A"),))


@pytest.mark.parametrize(
    ("record", "untaken"),
    [
        ({"instruction": "Q", "output": "A", "system": ["S"], "history": [["a", "b", "c"]], "tags": []}, {"system", "history"}),
        ({"instruction": "Q", "output": "A", "response": "B", "note": float("nan")}, {"response", "note"}),
        ({"instruction": "Q", "instances": [{"input": "", "output": "A", "why": "x"}], "seen": 0}, {"instances[].why", "seen"}),
        ({"prompt": "Q", "chosen": "A", "rejected": "A"}, {"rejected, the same as chosen"}),
        (
            {"chosen": [USER, ANSWER], "rejected": [{**USER, "content": "Other"}, ANSWER]},
            {"rejected, of another conversation than chosen"},
        ),
        ({"prompt": "Q", "chosen": "A", "rejected": 5, "score_chosen": 9}, {"rejected", "score_chosen"}),
        ({"prompt": "Q", "chosen": [ANSWER], "rejected": [{**ANSWER, "content": "B", "name": "Bo"}]}, {"rejected[].name"}),
        ({"prompt": "Q", "chosen": [USER, ANSWER], "rejected": [USER], "messages": [USER, ANSWER]}, {"rejected", "messages"}),
        (
            {"messages": [ANSWER, USER, {**ANSWER, "name": "Bo"}]},
            {"earlier turns", "messages[].name"},
        ),
        ({"messages": [USER, {"role": "tool", "content": "x"}, USER, ANSWER]}, {"earlier turns"}),
        ({"messages": [USER, ANSWER], "tools": [{"name": "x"}]}, {"tools"}),
    ],
)
def test_what_a_task_cannot_hold_is_told_by_its_key(record: dict[str, object], untaken: set[str]) -> None:
    found = parsed(record)
    assert found.faults == ()
    assert set(found.untaken) == untaken
    assert found.task is not None
    assert found.task.instances == (Instance("", "A"),)


def test_numbers_and_truth_values_are_text_as_they_are_written() -> None:
    found = parsed({"instruction": "Rate.", "input": Number("0.10"), "output": True})
    assert found.task is not None
    assert found.task.instances == (Instance("0.10", "true"),)
    assert found.as_text == ("input", "output")


WORDS = st.sampled_from(
    (
        *("instruction", "input", "output", "response", "context", "prompt", "completion", "chosen", "rejected", "messages", "instances"),
        *("id", "note", "system", "history", "origin", "decided_by", "turns"),
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(("", " ", "text", "more")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(("role", "content")), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(WORDS, VALUES, max_size=6))
def test_every_text_of_a_record_is_taken_or_told(record: dict[str, object]) -> None:
    found = parsed(json.loads(json.dumps(record)))
    if found.task is None:
        assert found.faults
        return
    task = found.task
    assert task.instruction.strip()
    taken = {task.instruction, task.key, task.name, task.provenance}
    taken.update(text for each in task.instances for text in (each.input, each.output, each.system))
    taken.update(text for _, worse in task.pairs for text in (worse.output, *(turn.text for turn in worse.turns)))
    told = {each.partition(",")[0] for each in found.untaken} | {fault.field for fault in found.hollow}
    for key, value in record.items():
        if isinstance(value, str) and value.strip() and value not in taken and f"{json.dumps(key)}: " not in task.provenance:
            assert key in told or (key in ("input", "context") and "output" in told)

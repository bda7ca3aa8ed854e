"""Conversations in records: their first exchange is the task, and what was said around it stays with the instance."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.records import Instance, Turn
from studio.seeds.fields import Number
from studio.seeds.inputs import ParsedTask
from studio.seeds.reading import inspect_file, join_tasks
from studio.seeds.shapes import parsed_task

SYSTEM, USER, ANSWER = ({"role": role, "content": text} for role, text in (("system", "S"), ("user", "Q"), ("assistant", "A")))
LATER = [{"role": "user", "content": " More?"}, {"role": "assistant", "content": "B", "reasoning_content": "Hm."}]
TURNS = (Turn("user", " More?"), Turn("assistant", "B", "Hm."))
WHO = ("human", "gpt", "human", "gpt")
PLAIN = (TURNS[0], Turn("assistant", "B"))


def parsed(record: Mapping[str, object]) -> ParsedTask:
    return parsed_task(record, 1, None, None)


@pytest.mark.parametrize(
    ("record", "instance"),
    [
        ({"messages": [SYSTEM, USER, ANSWER, *LATER]}, Instance("", "A", "", "S", TURNS)),
        ({"messages": [USER, ANSWER, *LATER], "system": "S"}, Instance("", "A", "", "S", TURNS)),
        ({"messages": [SYSTEM, USER, ANSWER, *LATER], "system": "S"}, Instance("", "A", "", "S", TURNS)),
        ({"messages": [{**SYSTEM, "role": "developer"}, USER, ANSWER]}, Instance("", "A", "", "S")),
        (
            {"messages": [USER, ANSWER, {"role": "Tool", "content": "{}"}, SYSTEM, {"role": "user", "content": ""}]},
            Instance("", "A", "", "", (Turn("tool", "{}"), Turn("system", "S"), Turn("user", ""))),
        ),
        (
            {"conversations": [{"from": who, "value": text} for who, text in zip(WHO, ("Q", "A", " More?", "B"), strict=True)]},
            Instance("", "A", "", "", PLAIN),
        ),
        ({"conversations": ["Q", "A", " More?", "B"], "system_prompt": "S"}, Instance("", "A", "", "S", PLAIN)),
        (
            {"conversation": [{"system": "S", "input": "Q", "output": "A"}, {"input": " More?", "output": "B"}]},
            Instance("", "A", "", "S", PLAIN),
        ),
        ({"prompt": [SYSTEM, USER], "completion": [ANSWER, *LATER]}, Instance("", "A", "", "S", TURNS)),
        ({"prompt": [SYSTEM, USER, ANSWER, LATER[0]], "completion": "B"}, Instance("", "A", "", "S", PLAIN)),
        ({"prompt": [SYSTEM, USER, ANSWER, LATER[0]], "chosen": "B"}, Instance("", "A", "", "S", PLAIN)),
        ({"chosen": [USER, ANSWER, *LATER]}, Instance("", "A", "", "", TURNS)),
        ({"chosen": "\n\nHuman: Q\n\nAssistant: A\n\nHuman: Why?"}, Instance("", "A", "", "", (Turn("user", "Why?"),))),
        ({"system": "S", "question": "Q", "chosen": "A"}, Instance("", "A", "", "S")),
        ({"instruction": "Q", "output": "A", "system": "S", "history": []}, Instance("", "A", "", "S")),
        ({"instruction": " More?", "output": "B", "system": "S", "history": [["Q", "A"]]}, Instance("", "A", "", "S", PLAIN)),
        (
            {"instruction": "Do", "input": "this", "output": "B", "history": [["Q", "A"], ["q", "a"]]},
            Instance("", "A", "", "", (Turn("user", "q"), Turn("assistant", "a"), Turn("user", "Do\n\nthis"), Turn("assistant", "B"))),
        ),
        (
            {
                "instruction": "Q",
                "instances": [{"input": "x", "output": "A", "thoughts": "t", "system": "S", "turns": [LATER[0], LATER[1]]}],
            },
            Instance("x", "A", "t", "S", TURNS),
        ),
    ],
)
def test_what_was_said_around_the_first_exchange_stays_with_the_instance(record: dict[str, object], instance: Instance) -> None:
    found = parsed(record)
    assert (found.faults, found.untaken) == ((), ())
    assert found.task is not None
    assert (found.task.instruction, found.task.instances) == ("Q", (instance,))


@pytest.mark.parametrize(
    ("record", "instance", "untaken"),
    [
        ({"messages": [ANSWER, USER, ANSWER]}, Instance("", "A"), {"earlier turns"}),
        ({"instruction": "Q", "output": "A", "history": [["", "Welcome."]]}, Instance("", "A"), {"earlier turns"}),
        ({"messages": [SYSTEM, USER, {"role": "user", "content": "Hello?"}]}, None, {"system turn", "later turns"}),
        ({"instruction": "Q", "output": "", "system": "S"}, None, {"system"}),
        ({"messages": [USER, ANSWER, {**LATER[1], "tool_calls": [{}]}]}, Instance("", "A", "", "", (TURNS[1],)), {"messages[].tool_calls"}),
        (
            {"instruction": "Q", "instances": [{"input": "", "output": "A", "turns": [{**USER, "id": "7"}]}]},
            Instance("", "A", "", "", (Turn("user", "Q"),)),
            {"instances[].turns[].id"},
        ),
        ({"instruction": "Q", "instances": [{"input": "", "output": "A", "turns": "none"}]}, Instance("", "A"), {"instances[].turns"}),
    ],
)
def test_what_has_no_place_around_it_is_told(record: dict[str, object], instance: Instance | None, untaken: set[str]) -> None:
    found = parsed(record)
    assert found.faults == ()
    assert set(found.untaken) == untaken
    assert found.task is not None
    assert found.task.instruction == ("Hello?" if "Hello?" in found.task.instruction else "Q")
    assert found.task.instances == (() if instance is None else (instance,))


@pytest.mark.parametrize("name", ["content", "value", "text"])
def test_a_later_turn_of_blanks_keeps_them(name: str) -> None:
    said = [{"from": who, name: text} for who, text in (("human", "Q"), ("gpt", "A"), ("human", " "))]
    task = parsed({"conversations": said}).task
    assert task is not None and task.instances[0].turns == (Turn("user", " "),)


def test_two_system_turns_are_one_text_and_that_is_told() -> None:
    found = parsed({"messages": [SYSTEM, {**SYSTEM, "content": "T"}, USER, ANSWER], "system_message": "Top"})
    assert found.task is not None
    assert found.task.instances == (Instance("", "A", "", "Top\n\nS\n\nT"),)
    assert found.renamed == ("system from system_message", "system from 3 system turns")


RAW = {
    "id": 12,
    "origin": "generated",
    "key": "",
    "instruction": "Q",
    "instances": [{"input": "", "output": "A", "nats": 1.25}, {"input": "", "output": "B"}],
    "round": 3,
    "parents": [1, 2],
    "score": 0.30000000000000004,
    "neighbours": [{"id": 2, "score": 0.5}],
    "nearest": None,
    "decided_by": "rule",
}
KNOWN = {name: RAW[name] for name in ("id", "origin", "round", "parents", "score", "neighbours", "decided_by")} | {
    "instances": [{"nats": 1.25}, {}]
}
AGAIN = {"id": 1, "origin": "imported", "instruction": "Q", "instances": [{"input": "", "output": "A"}], "decided_by": None, "parents": []}


@pytest.mark.parametrize(
    ("record", "known"),
    [
        (RAW, KNOWN),
        ({**AGAIN, "provenance": KNOWN}, KNOWN),
        ({**AGAIN, "origin": "seed", "provenance": KNOWN}, KNOWN),
        ({**AGAIN, "model": "abc", "provenance": KNOWN}, {"id": 1, "origin": "imported", "model": "abc", "provenance": KNOWN}),
        (AGAIN, {"id": 1, "origin": "imported"}),
        (
            {**AGAIN, "document": {"file": "a.txt", "at": [0, 7]}},
            {"id": 1, "origin": "imported", "document": {"file": "a.txt", "at": [0, 7]}},
        ),
    ],
)
def test_what_a_raw_record_says_beside_its_content_is_kept(record: dict[str, object], known: dict[str, object]) -> None:
    found = parsed(json.loads(json.dumps(record)))
    assert (found.shape, found.faults, found.untaken) == ("raw", (), ())
    assert found.task is not None
    assert json.loads(found.task.provenance) == known


def test_what_no_json_can_hold_of_a_raw_record_is_told() -> None:
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    found = parsed({**AGAIN, "score": Number("1e999"), "model": deep})
    assert set(found.untaken) == {"score", "model"}
    assert found.task is not None
    assert json.loads(found.task.provenance) == {"id": 1, "origin": "imported"}


WORSE = {"role": "assistant", "content": "B"}
MARKED = "\n\nHuman: Q\n\nAssistant: A\n\nHuman: Why?\n\nAssistant: "


@pytest.mark.parametrize(
    ("record", "better", "worse"),
    [
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, Instance("", "A"), Instance("", "B")),
        ({"prompt": [USER], "chosen": [ANSWER], "rejected": [WORSE]}, Instance("", "A"), Instance("", "B")),
        ({"prompt": "Q", "chosen": [USER, ANSWER], "rejected": [USER, WORSE]}, Instance("", "A"), Instance("", "B")),
        ({"system": "S", "question": "Q", "chosen": "A", "rejected": "B"}, Instance("", "A", "", "S"), Instance("", "B", "", "S")),
        ({"conversations": [{"from": "human", "value": "Q"}], "chosen": ANSWER, "rejected": WORSE}, Instance("", "A"), Instance("", "B")),
        (
            {"chosen": f"{MARKED}So.", "rejected": f"{MARKED}No."},
            Instance("", "A", "", "", (Turn("user", "Why?"), Turn("assistant", "So."))),
            Instance("", "A", "", "", (Turn("user", "Why?"), Turn("assistant", "No."))),
        ),
    ],
)
def test_the_worse_answer_of_a_pair_is_read_as_the_better_one(record: dict[str, object], better: Instance, worse: Instance) -> None:
    found = parsed(record)
    assert found.task is not None and (found.faults, found.untaken) == ((), ())
    assert (found.task.instruction, found.task.instances, found.task.pairs) == ("Q", (better,), ((better, worse),))


def test_pairs_of_one_question_make_one_seed() -> None:
    first, second = (parsed({"prompt": "Q", "chosen": "A", "rejected": worse}).task for worse in ("B", "C"))
    assert first is not None and second is not None
    [task] = join_tasks([first, second, first])
    assert (task.instances, [worse.output for _, worse in task.pairs]) == ((Instance("", "A"),), ["B", "C"])


ROLES = st.sampled_from(["system", "user", "assistant", "tool", "Human", "gpt"])
TEXT = st.sampled_from(["", " "]) | st.text()
TURN = st.fixed_dictionaries({"role": ROLES, "content": TEXT}, optional={"reasoning_content": st.text(max_size=3)})
SAID = st.lists(TURN, min_size=1, max_size=6)


@given(SAID, st.none() | st.text(), st.sampled_from(["messages", "conversations", "chosen"]))
def test_every_turn_is_kept_or_told(said: list[dict[str, str]], system: str | None, name: str) -> None:
    found = parsed({name: said, "system": system})
    if found.task is None:
        assert found.faults
        return
    kept = [found.task.instruction]
    for each in found.task.instances:
        kept += [each.output, each.thoughts, *each.system.split("\n\n"), each.system]
        kept += [text for turn in each.turns for text in (turn.text, turn.thoughts)]
    told = set(found.untaken)
    for turn in said:
        if turn["content"].strip() and turn["content"] not in kept and turn["content"] not in "\n\n".join(kept):
            assert told & {"earlier turns", "later turns", "system turn"}
        thought = turn.get("reasoning_content", "")
        if thought.strip() and thought not in kept:
            assert told & {"earlier turns", "later turns", "system turn", f"{name}[].reasoning_content"}
    if system and system.strip() and system not in "\n\n".join(kept):
        assert "system" in told


def test_lists_that_stand_as_json_in_a_cell_are_read(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "[the Elbe]"}]
    path = tmp_path / "cells.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "messages"), ("a", json.dumps(turns)), ("b", str(turns))])
    found = inspect_file(path)
    assert [(task.key, task.instruction, task.instances) for task in found.tasks] == [("a", "Name a river.", (Instance("", "[the Elbe]"),))]
    assert [(fault.line, fault.field, fault.fault) for fault in found.faults] == [
        (3, "messages", "text where a list of turns is needed, or JSON of one")
    ]
    lines = tmp_path / "lines.jsonl"
    lines.write_text(json.dumps({"prompt": "[1, 2]: add them up.", "completion": "[3]"}) + "\n")
    assert inspect_file(lines).tasks[0].instruction == "[1, 2]: add them up."


@pytest.mark.parametrize("names", itertools.permutations(("human", "question", "user")))
def test_several_words_of_a_user_in_one_turn_keep_their_order(names: tuple[str, ...]) -> None:
    found = parsed({"conversations": [{**{name: name.upper() for name in names}, "assistant": "A"}]})
    assert found.task is not None
    assert found.task.instruction == names[-1].upper()
    assert "earlier turns" in found.untaken

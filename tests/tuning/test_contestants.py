"""Who is evaluated: what is asked for, found, and refused before any model is loaded.

Tasks to evaluate on: what becomes an item, what is left out, and what is drawn. No task counts that may have been trained on: by
instruction, by eight words in a row, and the list says by which.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from studio.engine.catalog import bundled_model
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError, PoolError, UsageError
from studio.insight.overlap import CorpusTask
from studio.pool.pool import Pool
from studio.records import HoldOut, Instance, SeedTask
from studio.tuning import contestants
from studio.tuning.contestants import (
    ContestantSpec,
    TrainingFile,
    file_tasks,
    held_out_tasks,
    look_up,
    overlapping,
    parse_against,
    sampled,
    settled,
    training_files,
)
from studio.tuning.prompt_format import ALPACA, PLAIN, SERVED_CHAT
from support.evaluations import item
from support.pools import make_pool, seed_tasks

MAIN = ContestantSpec("base.gguf", "lora.gguf", "plain")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("other", ContestantSpec("other")),
        ("other,format=chat", ContestantSpec("other", "", "chat")),
        ("format=chat", ContestantSpec("base.gguf", "", "chat")),
        (",format=chat", ContestantSpec("base.gguf", "", "chat")),
        ("adapter=runs/a.gguf,format=plain", ContestantSpec("base.gguf", "runs/a.gguf", "plain")),
        ("http://127.0.0.1:1/v1#m=x", ContestantSpec("http://127.0.0.1:1/v1#m=x")),
    ],
)
def test_another_contestant(text: str, spec: ContestantSpec) -> None:
    assert parse_against(text, MAIN) == spec


@pytest.mark.parametrize("text", ["", "m,formt=chat", "m,format", "m,format=", "m,format=chat,format=plain"])
def test_what_names_no_contestant(text: str) -> None:
    with pytest.raises(UsageError, match="--against"):
        parse_against(text, MAIN)


def test_the_format_follows_from_the_training_then_from_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "check_adapter", lambda *_: None)
    adapter = tmp_path / "my-training" / "adapter.gguf"
    adapter.parent.mkdir()
    adapter.write_bytes(b"GGUF")
    assert look_up(ContestantSpec()).format.name == "chat"
    assert look_up(ContestantSpec(format="plain")).format == PLAIN
    assert look_up(ContestantSpec(adapter=str(adapter))).format.name == "chat"
    for trained, expected in (("varied", "plain"), ("alpaca", "alpaca"), ("chat", "chat"), ("unheard of", "chat")):
        (adapter.parent / "training.json").write_text(json.dumps({"prompt_format": trained}))
        assert look_up(ContestantSpec(adapter=str(adapter.parent))).format.name == expected
    (adapter.parent / "training.json").write_text("[]")
    found = look_up(ContestantSpec(adapter=str(adapter), format="alpaca"))
    assert (found.format.name, found.adapter_name, len(found.adapter_sha256)) == ("alpaca", "my-training", 64)


def test_what_cannot_be_evaluated(tmp_path: Path) -> None:
    model = tmp_path / "no-template.gguf"
    path = bundled_model()
    assert path is not None
    # The key loses its last letter: a model without a chat template, else the same.
    model.write_bytes(path.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_templatx", 1))
    with pytest.raises(ModelError, match="no chat template"):
        look_up(ContestantSpec(str(model), format="chat"))
    assert look_up(ContestantSpec(str(model))).format == PLAIN
    for spec, words in (
        (ContestantSpec(format="chatt"), "unknown format"),
        (ContestantSpec(adapter=str(tmp_path)), "there is no adapter"),
        (ContestantSpec("scripted", adapter="x"), "needs a model file"),
    ):
        with pytest.raises(UsageError, match=words):
            look_up(spec)


def test_a_server_is_asked_in_the_format_named_or_as_it_wants_to_be() -> None:
    address = "http://127.0.0.1:1/v1"
    chats, completes = ScriptedEngine(chats=True).info, ScriptedEngine().info
    for name, at_a_chat, elsewhere in (("auto", SERVED_CHAT, PLAIN), ("chat", SERVED_CHAT, SERVED_CHAT), ("alpaca", ALPACA, ALPACA)):
        entrant = look_up(ContestantSpec(address, format=name))
        assert (settled(entrant, chats).format, settled(entrant, completes).format) == (at_a_chat, elsewhere)


def test_an_adapter_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = bundled_model()
    assert path is not None
    (tmp_path / "adapter.gguf").write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="not an adapter"):
        look_up(ContestantSpec(adapter=str(tmp_path)))


SEVERAL = SeedTask(
    "s1",
    "",
    "Say if the review is kind.",
    (Instance("Bad!", "unkind"), Instance("Good.", "kind"), Instance("Bad! ", "not kind"), Instance("Bad!", "unkind")),
    True,
)


def _file(path: Path, *tasks: SeedTask) -> Path:
    records = [
        {
            "id": task.key,
            "name": task.name,
            "instruction": task.instruction,
            "instances": [{"input": each.input, "output": each.output} for each in task.instances],
            "is_classification": task.is_classification,
        }
        for task in tasks
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def test_equal_inputs_are_one_item_with_several_references(tmp_path: Path) -> None:
    found = file_tasks(_file(tmp_path / "tasks.jsonl", SEVERAL, *seed_tasks(2)))
    assert (found.name, found.skipped) == ("tasks.jsonl", 0)
    assert [(item.position, item.task, item.key, item.input, item.outputs) for item in found.items] == [
        (0, 0, "s1", "Bad!", ("unkind", "not kind")),
        (1, 0, "s1", "Good.", ("kind",)),
        (2, 1, "seed_1", "", ("It is 1.",)),
        (3, 2, "seed_2", "", ("It is 2.",)),
    ]
    assert [item.is_classification for item in found.items] == [True, True, False, False]
    assert {item.task_id for item in found.items} == {None}


def test_tasks_without_an_output_are_counted_and_left_out(tmp_path: Path) -> None:
    table = tmp_path / "tasks.csv"
    table.write_text("instruction,input,output\nAdd.,1 2,3\nThink of nothing.,,\n")
    found = file_tasks(table)
    assert ([item.instruction for item in found.items], found.skipped) == (["Add."], 1)


def test_whole_tasks_are_left_out_and_drawn(tmp_path: Path) -> None:
    found = file_tasks(_file(tmp_path / "tasks.jsonl", SEVERAL, *seed_tasks(9)))
    without = found.without([found.items[1]])
    assert [(item.position, item.task) for item in without.items] == [(place, place) for place in range(9)]
    drawn = sampled(found, 4, "0")
    assert len({item.task for item in drawn.items}) == 4
    assert [item.position for item in drawn.items] == list(range(len(drawn.items)))
    assert sampled(found, 4, "0") == drawn != sampled(found, 4, "1")
    assert sampled(found, 10, "0") == found


def test_held_out_seeds_are_the_pools_tasks(tmp_path: Path) -> None:
    with Pool.create(tmp_path / "pool.db", seed_tasks(10), HoldOut("2", "0", frozenset({4, 7}))) as pool:
        found = held_out_tasks(pool)
        assert [(item.task_id, item.key, item.outputs) for item in found.items] == [(5, "5", ("It is 5.",)), (8, "8", ("It is 8.",))]
        assert (found.items[0].is_classification, found.items[1].is_classification) == (True, False)


def test_without_tasks_it_is_said_what_to_do(tmp_path: Path) -> None:
    with Pool.open(make_pool(tmp_path / "pool.db")) as pool, pytest.raises(PoolError, match="holds no tasks out") as caught:
        held_out_tasks(pool)
    assert "--hold-out" in caught.value.hint
    open_ended = tmp_path / "open.txt"
    open_ended.write_text("Think of nothing.\nThink of something.\n")
    with pytest.raises(UsageError, match="no task of"):
        file_tasks(open_ended)
    with pytest.raises(UsageError, match="no such file"):
        file_tasks(tmp_path / "missing.jsonl")


LONG = "the quick brown fox jumps over the lazy dog tonight"
ITEMS = [
    item(0, instruction="Write a haiku about the sea in winter."),
    item(1, instruction="Say what this is.", given=f"Look: {LONG}."),
    item(2, instruction="Say what that was.", outputs=(f"It was that {LONG.upper()}",)),
    item(3, instruction="Name three mountains of Asia.", outputs=("K2",)),
]
TRAINED = [
    CorpusTask("task 1", "List some colours.", (Instance("", "red"),)),
    CorpusTask("task 2", "Write a haiku about the sea in autumn.", ()),
    CorpusTask("task 3", "Describe the picture.", (Instance("", f"Here {LONG}!"),)),
]


def test_both_measures_find_what_they_are_for() -> None:
    found = {each.item.position: each for each in overlapping(ITEMS, TRAINED)}
    assert sorted(found) == [0, 1, 2]
    assert (found[0].label, found[0].shared, found[0].reason) == ("task 2", "", "ROUGE-L 0.88")
    assert [found[place].label for place in (1, 2)] == ["task 3", "task 3"]
    assert found[1].shared == "the quick brown fox jumps over the lazy"
    assert found[1].as_dict()["trained_on"] == "task 3"


def test_seven_words_are_no_overlap_and_nothing_trained_on_overlaps_nothing() -> None:
    seven = CorpusTask("task 1", "Say " + " ".join(LONG.split()[:7]), ())
    assert overlapping(ITEMS[1:2], [seven]) == []
    nothing: Sequence[CorpusTask] = []
    assert overlapping(ITEMS, nothing) == []
    assert overlapping([], TRAINED) == []


def _line(instruction: str, completion: str = " yes") -> str:
    return json.dumps({"task_id": 1, "instruction": instruction, "input": "", "prompt": "p", "completion": completion}) + "\n"


def test_the_files_beside_an_adapter_are_read_both(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.gguf"
    assert training_files(adapter) == []
    (tmp_path / "validation.jsonl").write_text(_line("Write a haiku about the sea in spring."))
    assert training_files(adapter) == []
    (tmp_path / "train.jsonl").write_text(_line("Add.") + _line("Describe it.", f" {LONG}"))
    train, validation = training_files(adapter)
    assert [each.label for each in overlapping(ITEMS, train)] == ["line 2 of train.jsonl"] * 2
    assert [each.label for each in overlapping(ITEMS, validation)] == ["line 1 of validation.jsonl"]


@pytest.mark.parametrize("line", ["{", "[1]", '{"instruction": "x"}', "\x00"])
def test_a_file_that_is_no_training_data_is_said(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(_line("Add.") + line + "\n")
    with pytest.raises(UsageError, match=r"line 2 of train\.jsonl"):
        list(TrainingFile(path))


def test_of_a_conversation_the_first_exchange_is_an_item_and_that_is_counted(tmp_path: Path) -> None:
    said = [{"role": role, "content": text} for role, text in (("system", "S"), ("user", "Q"), ("assistant", "A"), ("user", "More?"))]
    (tmp_path / "tasks.jsonl").write_text(json.dumps({"messages": said}) + "\n" + json.dumps({"messages": said[1:3]}) + "\n")
    found = file_tasks(tmp_path / "tasks.jsonl")
    assert [(item.instruction, item.outputs) for item in found.items] == [("Q", ("A",))]
    assert found.conversations == 1


def test_what_was_said_in_a_training_example_is_compared_but_not_its_system_turn(tmp_path: Path) -> None:
    first = ["<|system|>", "Be kind.", "<|user|>", "Ask.", "<|assistant|>"]
    further = [*first, "Yes.", "<|user|>", "And then?", "<|assistant|>", "<|end|>"]
    lines = [
        {"instruction": "Ask.", "input": "", "prompt": "…", "completion": "So.", "parts": further},
        {"instruction": "Ask.", "input": "", "prompt": "…", "completion": "Yes.", "parts": [*first, "<|end|>"]},
        {"instruction": "Ask.", "input": "", "prompt": "…", "completion": " Yes."},
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert [task.texts for task in TrainingFile(tmp_path / "train.jsonl")] == [
        ("Ask.", "So.", "Yes.", "And then?"),
        ("Ask.", "Yes."),
        ("Ask.", " Yes."),
    ]

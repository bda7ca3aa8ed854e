"""Importing files of every format into a pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.errors import UsageError
from studio.pool.exchange.importing import FileReport, ImportOptions, import_files
from studio.pool.exchange.parts import Thinking
from studio.pool.ledger import Note
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, Task, Turn, Verdict
from studio.seeds.inputs import FaultyFile, Input
from studio.seeds.reading import find_format, parse
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", (), with_import=False)


def bring(pool: Path, *paths: Path, name: str = "auto", origin: Origin = Origin.IMPORTED, **options: Any) -> list[FileReport]:
    with Pool.open(pool) as opened:
        return import_files(opened.tasks, paths, ImportOptions(name, origin, **options))


def imported(pool: Path, origin: Origin = Origin.IMPORTED) -> list[Task]:
    with Queries.open(pool) as source:
        return source.tasks.many(list(source.tasks.ids(origin=origin)))


def json_lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def row(instruction: str, given: str, output: str) -> dict[str, str]:
    return {"instruction": instruction, "input": given, "output": output}


MACHINE: dict[str, Any] = {
    "instruction": "List the planets.",
    "most_similar": {"x": 0.3},
    "avg_similarity_score": 0.1,
    "metadata": {"prompt": "…", "response": {"choices": [{"text": "…"}]}},
    "request_idx": 0,
}
SEED: dict[str, Any] = {
    "id": "mine_1",
    "name": "planets",
    "instruction": "List the planets.",
    "instances": [{"input": "", "output": "Mercury…"}],
    "is_classification": True,
}


def test_seed_schema(pool: Path, tmp_path: Path) -> None:
    [report] = bring(pool, json_lines(tmp_path / "mine.jsonl", SEED))
    assert (report.format, report.imported, report.duplicates) == ("self-instruct", 1, 0)
    [task] = imported(pool)
    assert (task.name, task.instruction, task.is_classification) == ("planets", "List the planets.", True)
    assert task.instances == (Instance("", "Mercury…"),)


def test_machine_generated_gives_instructions_only(pool: Path, tmp_path: Path) -> None:
    [report] = bring(pool, json_lines(tmp_path / "machine_generated_instructions.jsonl", MACHINE, {**MACHINE, "instruction": "Other."}))
    assert (report.format, report.imported) == ("machine-generated", 2)
    assert [(task.instruction, task.instances) for task in imported(pool)] == [("List the planets.", ()), ("Other.", ())]


@pytest.mark.parametrize("as_lines", [False, True])
def test_alpaca_merges_instances_of_equal_instructions(pool: Path, tmp_path: Path, as_lines: bool) -> None:
    rows = [
        row("Double it.", "1", "2"),
        row("Say hi.", "", "hi"),
        row("Double it.", "2", "4"),
        row("Double it. ", "1", "2"),
        row("No.", "", ""),
    ]
    path = tmp_path / "alpaca_data.json"
    if as_lines:
        json_lines(path, *rows)
    else:
        path.write_text(json.dumps(rows, indent=4), encoding="utf-8")
    [report] = bring(pool, path)
    assert (report.format, report.imported, report.duplicates) == ("alpaca", 3, 1)
    assert [(task.instruction, task.instances) for task in imported(pool)] == [
        ("Double it.", (Instance("1", "2"), Instance("2", "4"))),
        ("Say hi.", (Instance("", "hi"),)),
        ("No.", ()),
    ]
    assert report.joined == 1


def test_csv_and_text(pool: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("instruction;output\nSay hi.;hi\n")
    (tmp_path / "b.txt").write_text("Write a poem.\nSay hi.\n")
    first, second = bring(pool, tmp_path / "a.csv", tmp_path / "b.txt")
    assert (first.format, first.imported) == ("csv", 1)
    assert (second.format, second.imported, second.duplicates) == ("text", 1, 1)


def test_jsonl_takes_what_each_line_has(pool: Path, tmp_path: Path) -> None:
    records = [{"instruction": "Alone."}, {"instruction": "With.", "output": "x"}, {**SEED, "instruction": "Whole."}]
    [report] = bring(pool, json_lines(tmp_path / "mixed.jsonl", *records))
    assert report.format == "mixed"
    assert [len(task.instances) for task in imported(pool)] == [0, 1, 1]


def test_what_the_pool_has_is_skipped_and_counted(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", {**SEED, "instruction": "Greet a  guest in one sentence."}, SEED)
    assert [(report.imported, report.duplicates) for report in bring(pool, path)] == [(1, 1)]
    assert [(report.imported, report.duplicates) for report in bring(pool, path)] == [(0, 2)]


def test_as_seed(pool: Path, tmp_path: Path) -> None:
    bring(pool, json_lines(tmp_path / "mine.jsonl", SEED), origin=Origin.SEED)
    assert [task.name for task in imported(pool, Origin.SEED)] == ["greeting", "sentiment", "planets"]


def test_a_fault_in_any_file_imports_nothing(pool: Path, tmp_path: Path) -> None:
    good = json_lines(tmp_path / "good.jsonl", SEED)
    bad = json_lines(tmp_path / "bad.jsonl", SEED, {**SEED, "instances": {}}, 5)
    with pytest.raises(FaultyFile) as caught:
        bring(pool, good, bad)
    assert caught.value.message == f"{bad}: 2 of 3 records with a fault"
    assert list(caught.value.listing()) == [
        f"{bad}:2: instances: an object where a list of objects with input and output is needed",
        f"{bad}:3: a number where an object is needed",
    ]
    assert "nothing was imported" in caught.value.hint
    assert imported(pool) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file holds no task"),
        ("[]", "the file holds no task"),
        ('[{"instruction": "x", "output": ', "invalid JSON"),
        ('[{"instruction": "x", "output": "y"}, 7]', r"\[1\]: a number where an object is needed"),
        ("[1, 2]", "2 of 2 records with a fault"),
        ('[{"instruction": "", "output": "y"}]', r"\[0\].instruction: empty"),
        ('{"instruction": "x", "output": {"a": 5}}', ":1: output: an object where text is needed"),
        ('{"instruction": "x", "output": Infinity}', ":1: output: Infinity where text is needed"),
        ('{"instruction": NaN, "output": "x"}', ":1: instruction: NaN where text is needed"),
        ('{"text": "x", "made": 1}', ":1: instruction: missing: the keys are text, made"),
        ('{"instruction": "x", "output": "y", "output": "z"}', "the key 'output' stands twice"),
        ("{'instruction': 'x'}", "single quote at column 2"),
        ('{"instruction": "x", "seen": True}', "JSON has true"),
        ('{"train": [{"instruction": "x"}], "test": [{"instruction": "y"}]}', "records stand under train and test"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "messages: no turn of a user"),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "x"}, {"role": "assistant", "content": "x"}]}',
            "no answer stands right behind",
        ),
        ('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "a part that is no text .image_url."),
        ('{"instruction": "x", "output": "y"}\n{"instruction": "half', "half-written last line"),
        ("nonsense\n", ":1: invalid JSON"),
    ],
)
def test_bad_files(pool: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        bring(pool, path)


def test_a_file_that_is_missing_is_named(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        bring(pool, tmp_path / "none.jsonl")


def test_a_format_that_does_not_fit_is_named(pool: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        bring(pool, json_lines(tmp_path / "mine.jsonl", MACHINE), name="self-instruct")
    assert "read as self-instruct" in caught.value.hint
    with pytest.raises(UsageError, match="unknown import format"):
        find_format("alpacca")


@pytest.mark.parametrize("before", ["", "[\n", "{\n}\n"])
def test_long_files_are_not_held(tmp_path: Path, before: str) -> None:
    """A record that is added after the first task has come is seen: the file is read as the tasks are taken."""
    path = tmp_path / "long.jsonl"
    path.write_text(before + f"{json.dumps(SEED)}\n" * 5000)
    parsed = parse(Input(path))
    assert any(each.task for each in parsed)
    with path.open("a") as file:
        file.write("{" + json.dumps({**SEED, "id": "the last"})[1:] + "\n")
    assert [each.task.key for each in parsed if each.task][-1] == "the last"


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_nasty_text_comes_in_as_it_is(pool: Path, tmp_path: Path, text: str) -> None:
    bring(pool, json_lines(tmp_path / "nasty.jsonl", row("x" + text, text, "y" + text)))
    [task] = imported(pool)
    assert (task.instruction, task.instances) == ("x" + text, (Instance(text, "y" + text),))


def test_the_same_instruction_joins_within_a_file_between_files_and_with_the_pool(pool: Path, tmp_path: Path) -> None:
    first = json_lines(tmp_path / "one.jsonl", row("Double it.", "1", "2"), row("Double  it.", "2", "4"), row("Say hi.", "", "hi"))
    second = json_lines(tmp_path / "two.jsonl", row("Double it.", "2", "4"), row("Double it.", "3", "6"))
    assert [(each.imported, each.joined, each.duplicates) for each in bring(pool, first, second)] == [(2, 1, 0), (0, 1, 1)]
    third = json_lines(tmp_path / "three.jsonl", row("Double it.", "4", "8"), {**row("Double it.", "1", "2"), "is_classification": True})
    assert [(each.imported, each.joined, each.duplicates) for each in bring(pool, third)] == [(0, 1, 1)]
    assert [(task.instruction, len(task.instances)) for task in imported(pool)] == [("Double it.", 4), ("Say hi.", 1)]
    assert [(each.imported, each.joined) for each in bring(pool, first, second, third)] == [(0, 0)] * 3


def test_a_task_of_another_origin_keeps_what_it_has_and_that_is_told(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", row("Greet a guest in one sentence.", "", "Hello!"))
    [report] = bring(pool, path)
    assert (report.imported, report.refused, report.duplicates) == (0, 1, 1)
    assert any("1 output left out" in note for note in report.notes())
    assert [report.joined for report in bring(pool, path, origin=Origin.SEED)] == [1]


def test_what_a_person_changed_or_rejected_does_not_come_back(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", row("Double it.", "1", "2"), row("Double it.", "2", "5"))
    bring(pool, path)
    with Pool.open(pool) as opened:
        [task] = opened.tasks.many(list(opened.tasks.ids(origin=Origin.IMPORTED)))
        first, second = opened.instances.of_task(task.id)
        opened.ledger.change_instance(Note("edited", "ada"), first.id, {"output": "two"})
        opened.ledger.change_instance(Note("rejected", "ada"), second.id, {"verdict": "rejected", "reason": "wrong"})
    assert [(each.joined, each.duplicates) for each in bring(pool, path)] == [(0, 2)]


def test_whether_an_import_is_classification_stays_unknown(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", row("Say hi.", "", "hi"), {**row("Good?", "x", "yes"), "is_classification": True})
    bring(pool, path)
    assert [task.is_classification for task in imported(pool)] == [None, True]
    bring(pool, json_lines(tmp_path / "more.jsonl", {**row("Say hi.", "now", "hi"), "is_classification": False}))
    assert [task.is_classification for task in imported(pool)] == [False, True]


def test_sound_records_come_in_and_the_others_go_to_a_file_of_their_own(pool: Path, tmp_path: Path) -> None:
    bad: dict[str, Any] = {"instruction": 5, "input": [], "output": {"rate": 0.1}}
    path = json_lines(tmp_path / "mine.jsonl", row("Say hi.", "", "hi"), bad, row("Say ho.", "", "ho"))
    path.write_text(path.read_text().replace("0.1", "0.10") + "{nonsense\n")
    [report] = bring(pool, path, skip_invalid=True)
    assert (report.imported, report.tally.faulty, report.rejected) == (2, 2, tmp_path / "mine.jsonl.rejected.jsonl")
    assert report.rejected is not None
    first, second = (json.loads(line) for line in report.rejected.read_text().splitlines())
    assert first == {
        "line": 2,
        "index": None,
        "field": "instruction",
        "fault": "a number where text is needed",
        "more": [{"field": "output", "fault": "an object where text is needed"}],
        "record": bad,
    }
    assert '"rate": 0.10' in report.rejected.read_text()
    assert (second["line"], second["record"]) == (4, "{nonsense")
    before = report.rejected.read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        bring(pool, path, skip_invalid=True)
    assert report.rejected.read_bytes() == before
    # Corrected, it can be imported as it is.
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(
        before.decode().splitlines()[0].replace('"instruction": 5', '"instruction": "Rate."').replace('{"rate": 0.10}', "1")
    )
    [report] = bring(pool, corrected)
    assert (report.imported, imported(pool)[-1].instances) == (1, (Instance("", "1"),))
    with pytest.raises(FaultyFile):
        bring(pool, json_lines(tmp_path / "all.jsonl", bad), skip_invalid=True)
    assert not (tmp_path / "all.jsonl.rejected.jsonl").exists()


def test_outputs_under_an_unknown_key_are_not_lost_in_silence(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", {"instruction": "Say hi.", "verbatim": "hi", "category": "x"})
    with pytest.raises(UsageError, match=r"not taken: verbatim \(1 record\)") as caught:
        bring(pool, path)
    assert "--instructions-only" in caught.value.hint
    assert imported(pool) == []
    [report] = bring(pool, path, instructions_only=True)
    assert (report.imported, dict(report.tally.untaken)) == (1, {"verbatim": 1, "category": 1})
    # In a file where others have outputs as well; but a key that stands beside outputs, too, is a remark and no answer.
    mixed = json_lines(tmp_path / "mixed.jsonl", row("Say ho.", "", "ho"), {"instruction": "Say ha.", "verbatim": "ha"})
    with pytest.raises(UsageError, match="1 record without an output"):
        bring(pool, mixed)
    mixed = json_lines(tmp_path / "mixed.jsonl", {**row("Ho?", "", "ho"), "verbatim": "x"}, {"instruction": "Ha?", "verbatim": "ha"})
    assert bring(build_pool(tmp_path / "other.db", (), with_import=False), mixed)[0].imported == 2
    [report] = bring(pool, json_lines(tmp_path / "raw.jsonl", row("Say ho.", "", "ho")), instructions_only=True)
    assert [task.instances for task in imported(pool)] == [(), ()]
    assert "the outputs of 1 record left out, as asked" in report.notes()


def test_what_is_not_taken_is_told_before_it_is_stored(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", {**row("Say hi.", "", "hi"), "system": {"a": "S"}, "history": []})
    told: list[tuple[str, int]] = []

    def hear(report: FileReport) -> None:
        told.extend((note, len(imported(pool))) for note in report.notes())

    with Pool.open(pool) as opened:
        import_files(opened.tasks, [path], ImportOptions(), hear)
    assert told == [("not taken: system (1 record)", 0)]
    assert len(imported(pool)) == 1


THINKING = [
    row("Add.", "1 and 1", "<think>Two.</think>\n\nIt is 2."),
    row("Only think.", "", "<think>Hm."),
    row("Say hi.", "", "hi"),
    {
        "messages": [
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "So.", "reasoning_content": "Easy."},
            {"role": "user", "content": "<think>You</think> And?"},
            {"role": "assistant", "content": "[THINK]More.[/THINK]Thus."},
        ]
    },
    {"prompt": "Choose.", "chosen": "<think>a</think>Yes.", "rejected": "<think>b</think>No."},
]
UNENDED = "thoughts without an end, or without an answer behind them, are text still in 1 instance"


@pytest.mark.parametrize(
    ("thinking", "outputs", "why", "note"),
    [
        (
            "text",
            ["<think>Two.</think>\n\nIt is 2.", "<think>Hm.", "hi", "So.", "<think>a</think>Yes."],
            Instance("", "So.", "Easy.", "", (Turn("user", "<think>You</think> And?"), Turn("assistant", "[THINK]More.[/THINK]Thus."))),
            "outputs that begin with thoughts, such as <think>…</think>, are taken as they are: 4 instances (--thinking keep|strip)",
        ),
        (
            "keep",
            ["It is 2.", "<think>Hm.", "hi", "So.", "Yes."],
            Instance("", "So.", "Easy.", "", (Turn("user", "<think>You</think> And?"), Turn("assistant", "Thus.", "More."))),
            "thoughts taken apart from the outputs: 3 instances",
        ),
        (
            "strip",
            ["It is 2.", "<think>Hm.", "hi", "So.", "Yes."],
            Instance("", "So.", "", "", (Turn("user", "<think>You</think> And?"), Turn("assistant", "Thus."))),
            "thoughts left out, as asked: 3 instances",
        ),
    ],
)
def test_thoughts_before_an_answer_become_what_is_asked_for(
    pool: Path, tmp_path: Path, thinking: str, outputs: list[str], why: Instance, note: str
) -> None:
    path = json_lines(tmp_path / "mine.jsonl", *THINKING)
    with Pool.open(pool) as opened:
        [report] = import_files(opened.tasks, [path], ImportOptions(thinking=Thinking(thinking)))
        found = opened.tasks.many(opened.tasks.ids(origin=Origin.IMPORTED))
        [worse] = [each for each in opened.instances.of_task(found[-1].id) if each.verdict is Verdict.REJECTED]
    assert [task.instances[0].output for task in found] == outputs
    assert found[3].instances == (why,)
    assert found[0].instances[0].thoughts == ("Two." if thinking == "keep" else "")
    assert worse.output == ("<think>b</think>No." if thinking == "text" else "No.")
    notes = list(report.notes())
    assert note in notes and (UNENDED in notes) == (thinking != "text")


def test_an_interrupted_import_leaves_nothing(pool: Path, tmp_path: Path) -> None:
    path = json_lines(tmp_path / "mine.jsonl", *(row(f"Task {number}.", "", "x") for number in range(3000)))

    def stop(_what: str, done: int, size: int) -> None:
        assert 0 < done <= size
        raise KeyboardInterrupt

    with Pool.open(pool) as opened:
        with pytest.raises(KeyboardInterrupt):
            import_files(opened.tasks, [path], ImportOptions(), progress=stop)
        assert import_files(opened.tasks, [path], ImportOptions())[0].imported == 3000

"""What an instance has beside input and output, format by format: written where there is a place, told where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.errors import UsageError
from studio.pool.exchange.export import ExportOptions, ExportSummary, sample_records
from studio.pool.exchange.importing import ImportOptions, import_files
from studio.pool.exchange.parts import Part, Thinking
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, SeedTask, Turn
from support.pools import export

TURNS = (Turn("user", "Why?"), Turn("assistant", "Because.", "Easy."), Turn("user", "And?"), Turn("assistant", "So."))
TALK = Instance("now", "yes", "Hm.", "Be brief.", TURNS)
TASKS = (
    SeedTask("", "", "Say it.", (TALK, Instance("", "<think>Or no?</think>\n\nmaybe")), None),
    SeedTask("", "", "Call.", (replace(TALK, system="", turns=(*TURNS[:2], Turn("tool", "{}"))),), None),
)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    with Pool.create(tmp_path / "pool.db", []) as made:
        made.tasks.add(TASKS, Origin.IMPORTED)
    return tmp_path / "pool.db"


def exported(pool: Path, name: str, **options: Any) -> tuple[list[Any], ExportSummary]:
    target = pool.with_name("out.jsonl")
    summary = export(pool, target, name, **options)
    return [json.loads(line) for line in target.read_text("utf-8").splitlines()], summary


def message(turn: Turn) -> dict[str, str]:
    return {"role": turn.role, "content": turn.text, **({"reasoning_content": turn.thoughts} if turn.thoughts else {})}


def test_chat_has_all(pool: Path) -> None:
    rows, summary = exported(pool, "chat")
    first = [Turn("system", "Be brief."), Turn("user", "Say it.\n\nnow"), Turn("assistant", "yes", "Hm."), *TURNS]
    assert rows[0] == {"messages": list(map(message, first))}
    assert rows[2]["messages"][-1] == {"role": "tool", "content": "{}"}
    assert not summary.lost and not list(summary.notes("chat"))


def test_sharegpt_has_no_place_for_thoughts(pool: Path) -> None:
    rows, summary = exported(pool, "sharegpt")
    assert [each["from"] for each in rows[0]["conversations"]] == ["system", "human", "gpt", "human", "gpt", "human", "gpt"]
    assert rows[2]["conversations"][-1] == {"from": "tool", "value": "{}"}
    assert list(summary.notes("sharegpt")) == ["sharegpt has no place for thoughts: left out of 2 instances"]


def test_alpaca_has_a_history_of_whole_exchanges(pool: Path) -> None:
    rows, summary = exported(pool, "alpaca")
    history = [["Say it.\n\nnow", "yes"], ["Why?", "Because."]]
    assert rows[0] == {"instruction": "And?", "input": "", "output": "So.", "system": "Be brief.", "history": history}
    assert rows[1] == {"instruction": "Say it.", "input": "", "output": "<think>Or no?</think>\n\nmaybe"}
    assert rows[2] == {"instruction": "Why?", "input": "", "output": "Because.", "history": [["Call.\n\nnow", "yes"]]}
    assert summary.lost == {Part.THOUGHTS: 2, Part.TURNS: 1}


def test_prompt_completion_has_the_first_exchange_alone(pool: Path) -> None:
    rows, summary = exported(pool, "prompt-completion")
    assert rows[0] == {"prompt": "Say it.\n\nnow\n\nOutput:", "completion": " yes"}
    assert summary.lost == {Part.THOUGHTS: 2, Part.TURNS: 2, Part.SYSTEM: 1}


@pytest.mark.parametrize("name", ["chat", "alpaca", "raw"])
def test_a_system_turn_is_added_where_there_is_none(pool: Path, name: str) -> None:
    def systems(rows: list[Any]) -> list[str]:
        if name == "chat":
            return [row["messages"][0]["content"] for row in rows]
        found = rows if name == "alpaca" else [each for row in rows for each in row["instances"]]
        return [each["system"] for each in found]

    rows, _ = exported(pool, name, system="Be kind.")
    assert systems(rows) == ["Be brief.", "Be kind.", "Be kind."]


def test_a_system_turn_is_refused_where_it_has_no_place(pool: Path) -> None:
    with pytest.raises(UsageError, match="no place for a system turn"):
        exported(pool, "prompt-completion", system="Be kind.")


def test_thoughts_are_left_out_where_they_stand_as_well(pool: Path) -> None:
    rows, summary = exported(pool, "raw", thinking=Thinking.STRIP)
    assert "thoughts" not in json.dumps(rows) and "reasoning" not in json.dumps(rows)
    assert [each["output"] for row in rows for each in row["instances"]] == ["yes", "maybe", "yes"]
    assert list(summary.notes("raw")) == ["thoughts left out of 3 instances, as asked"]
    with Queries.open(pool) as source:
        [shown] = sample_records(source, ExportOptions("chat", thinking=Thinking.STRIP), 1)
    assert "Hm." not in shown and "Because." in shown


@pytest.mark.parametrize("name", ["alpaca", "chat", "sharegpt", "raw"])
def test_rows_of_different_keys_go_through_datasets_and_parquet(pool: Path, tmp_path: Path, name: str) -> None:
    """A trainer's loader takes lines that have a key and lines that have not; Parquet comes back as the lines do."""
    import datasets

    lines, _ = exported(pool, name)
    datasets.disable_progress_bars()
    path = str(pool.with_name("out.jsonl"))
    rows = datasets.load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))
    assert without_null(list(rows)) == without_null(lines)
    if name == "raw":
        again = tmp_path / "again.db"
        with Pool.create(again, []) as made:
            import_files(made.tasks, [pool.with_name("out.jsonl")], ImportOptions())
        lines, pool = exported(again, name)[0], again
    export(pool, tmp_path / "x.parquet", name)
    back = tmp_path / "back.db"
    with Pool.create(back, []) as made:
        [report] = import_files(made.tasks, [tmp_path / "x.parquet"], ImportOptions())
    assert not report.tally.untaken
    assert exported(back, name)[0] == lines


def without_null(value: Any) -> Any:
    """What `datasets` fills up with null, and a list that is none."""
    if isinstance(value, dict):
        return {key: without_null(each) for key, each in value.items() if each not in (None, [])}
    return [without_null(each) for each in value] if isinstance(value, list) else value


SAID = [{"role": "system", "content": "S"}, {"role": "user", "content": "u1"}, {"role": "assistant", "content": "a1"}]
ASKED = {"role": "user", "content": "u2"}
TOOL = {"role": "tool", "content": "{}"}


@pytest.fixture
def preferring(tmp_path: Path) -> Path:
    """A pool of pairs that were brought: within a conversation, behind a tool's turn, and one whose first answers differ."""
    records = [
        {"prompt": [*SAID, ASKED], "chosen": "B", "rejected": "C"},
        {"prompt": [*SAID, TOOL, ASKED], "chosen": "B", "rejected": "D"},
        {"instruction": "q", "input": "i", "chosen": "B", "rejected": "C"},
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    with Pool.create(tmp_path / "pool.db", []) as made:
        [report] = import_files(made.tasks, [tmp_path / "pairs.jsonl"], ImportOptions())
    assert not report.tally.untaken and report.worse == 3
    return tmp_path / "pool.db"


def test_a_pair_within_a_conversation_has_what_was_said_before_it(preferring: Path) -> None:
    rows, summary = exported(preferring, "preference")
    answers = [([each["content"] for each in row["chosen"]], [each["content"] for each in row["rejected"]]) for row in rows]
    assert answers == [(["B"], ["C"]), (["B"], ["D"]), (["B"], ["C"])]
    assert [row["prompt"] for row in rows] == [[*SAID, ASKED], [*SAID, TOOL, ASKED], [{"role": "user", "content": "q\n\ni"}]]
    assert not summary.lost
    first = preferring.with_name("out.jsonl").read_bytes()
    with Pool.create(preferring.with_name("again.db"), []) as made:
        import_files(made.tasks, [preferring.with_name("out.jsonl")], ImportOptions())
    assert exported(preferring.with_name("again.db"), "preference")[0] == rows
    assert preferring.with_name("out.jsonl").read_bytes() == first


def test_pairs_as_text_have_system_and_history(preferring: Path) -> None:
    rows, summary = exported(preferring, "preference-text")
    assert {name: rows[0][name] for name in ("prompt", "chosen", "rejected", "system", "history")} == {
        "prompt": "u2",
        "chosen": "B",
        "rejected": "C",
        "system": "S",
        "history": [["u1", "a1"]],
    }
    assert (rows[2]["prompt"], "system" in rows[2], "history" in rows[2]) == ("q\n\ni", False, False)
    assert summary.lost == {Part.TURNS: 1}

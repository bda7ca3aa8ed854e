"""`studio overlap` as a user calls it, over every kind of file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rouge_score import rouge_scorer

from studio.cli.task_files import overlap_command
from studio.errors import PoolError, UsageError
from studio.insight.overlap import open_corpus
from studio.records import Instance, Origin
from support.generated_pool import build_pool

OURS = ("Name three rivers of Europe.", "Is this review good or bad?", "Tell a joke about cats.")
OUTPUT = "It was the best of times, it was the worst of times."
TASKS = ((OURS[0], False, (Instance("", "Elbe."),)), (OURS[1], True, (Instance("I loved it.", "good"),)), (OURS[2], False, ()))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", TASKS)


def overlap(*arguments: object) -> Result:
    done = CliRunner().invoke(overlap_command, [str(each) for each in arguments], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def found(*arguments: object) -> dict[str, Any]:
    done = overlap(*arguments, "--json")
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def written(path: Path, *texts: str) -> Path:
    path.write_text("\n".join(texts) + "\n")
    return path


def test_the_mean_is_that_of_rouge_score(pool: Path, tmp_path: Path) -> None:
    theirs = ("Name three rivers.", "Is this film good or bad?", "Say hello.", "Tell jokes.")
    answer = found(pool, written(tmp_path / "theirs.txt", *theirs), "--origin", "generated", "--tokenizer", "ascii")
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    scores = [max(scorer.score(other, text)["rougeL"].fmeasure for other in theirs) for text in OURS]
    assert answer["mean"] == pytest.approx(sum(scores) / 3, abs=1e-15)
    assert answer["median"] == sorted(scores)[1]
    assert (answer["tasks"], answer["other_tasks"]) == (3, 4)
    assert [pair["score"] for pair in answer["pairs"]] == sorted(scores, reverse=True)
    assert answer["pairs"][0]["instruction"] == OURS[1]
    assert answer["pairs"][0]["other"] == theirs[1]
    assert answer["pairs"][0]["theirs"] == "line 2"
    assert sum(answer["histogram"]) == 3


def test_contamination_looks_into_inputs_and_outputs(tmp_path: Path) -> None:
    line = {"instruction": "Go on.", "instances": [{"input": "", "output": OUTPUT}], "is_classification": False}
    ours = written(tmp_path / "ours.jsonl", json.dumps(line), json.dumps({**line, "instruction": "Stop.", "instances": []}))
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps([{"instruction": "Cite.", "input": f"Dickens: {OUTPUT.lower()}", "output": "Yes."}]))
    assert found(ours, theirs)["tasks"] == 2
    ours.write_text(json.dumps(line) + "\n" + json.dumps({**line, "instruction": "Stop.", "instances": [{"input": "", "output": "Now."}]}))
    answer = found(ours, theirs)
    assert (answer["contaminated"], answer["comparable"], answer["contaminated_share"]) == (1, 1, 0.5)
    assert answer["pairs"][0]["theirs"] == "entry 1"


def test_pools_on_both_sides_and_origins(pool: Path) -> None:
    assert found(pool, pool)["tasks"] == 6
    assert found(pool, pool)["mean"] == 1.0
    assert found(pool, pool, "--origin", "imported")["pairs"] == [
        {"score": 1.0, "ours": "task 3", "theirs": "task 3", "instruction": "Name a colour.", "other": "Name a colour."}
    ]
    assert found(pool, pool, "--top", 0)["pairs"] == []


def test_a_table_as_a_reader_sees_it(pool: Path, tmp_path: Path) -> None:
    theirs = written(tmp_path / "theirs.csv", "instruction,output", '"Tell a joke about \x1b[31mcats.",Ha.')
    done = overlap(pool, theirs)
    assert "(6 tasks)" in done.stdout and "highest ROUGE-L of an instruction: mean" in done.stdout
    assert "task 6  Tell a joke about cats." in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_source_can_be_read_twice_and_knows_its_size(pool: Path, tmp_path: Path) -> None:
    text = written(tmp_path / "a.txt", "One.", "", "Two.")
    for source, labels in (
        (open_corpus(text), ["line 1", "line 3"]),
        (open_corpus(pool, Origin.GENERATED), ["task 4", "task 5", "task 6"]),
    ):
        for _ in range(2):
            assert [each.label for each in source] == labels
        assert len(source) == len(labels)


def test_what_cannot_be_read(pool: Path, tmp_path: Path) -> None:
    broken = written(tmp_path / "broken.jsonl", '{"instruction": ""}')
    empty = written(tmp_path / "empty.txt", "")
    for path, error, message in (
        (tmp_path / "none", UsageError, "no such file"),
        (tmp_path, UsageError, "is a folder"),
        (broken, UsageError, "broken.jsonl:1: instruction: empty"),
        (empty, UsageError, "holds no task"),
    ):
        with pytest.raises(error, match=message):
            overlap(pool, path)
    with pytest.raises(UsageError, match="no imported task"):
        overlap(build_pool(tmp_path / "b.db", (), with_import=False), pool, "--origin", "imported")
    (tmp_path / "half.db").write_bytes(b"SQLite format 3\0" + b"x" * 100)
    with pytest.raises(PoolError):
        overlap(tmp_path / "half.db", pool)

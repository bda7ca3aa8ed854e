"""How near two lists of texts are: against `rouge_score` and against sets of token tuples."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from rouge_score import rouge_scorer

from studio.cli.task_files import seeds_command
from studio.insight.overlap import CorpusTask, seed_figures
from studio.insight.texts import KnownRuns, Overlap, highest_overlaps
from studio.loop.tokens import ascii_tokens
from studio.records import Instance, Turn
from studio.seeds.reading import bundled_seeds, inspect_file

WORDS = ["write", "name", "explain", "a", "the", "river", "poem", "about", "three", "short", "cat", "and", "of", "in"]


def made_up(seed: int, number: int, longest: int = 14) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(0, longest))) for _ in range(number)]


def test_scores_are_those_of_rouge_score_and_the_nearest_is_the_first_of_equals() -> None:
    ours, theirs = made_up(1, 100), made_up(2, 70)
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    found = list(highest_overlaps(ours, theirs, "ascii"))
    assert [each.index for each in found] == list(range(100))
    for text, each in zip(ours, found, strict=True):
        scores = [scorer.score(other, text)["rougeL"].fmeasure for other in theirs]
        assert each.score == max(scores)
        assert each.nearest == scores.index(max(scores))


def test_nothing_to_compare_with() -> None:
    assert list(highest_overlaps(["a", ""], [])) == [Overlap(0, 0.0, None), Overlap(1, 0.0, None)]
    assert list(highest_overlaps([], ["a"])) == []


def test_other_scripts_count_under_the_unicode_tokenizer_only() -> None:
    assert next(highest_overlaps(["写一首诗"], ["写一首诗"])).score == 1.0
    assert next(highest_overlaps(["写一首诗"], ["写一首诗"], "ascii")).score == 0.0


def test_ours_is_read_as_the_answers_are_asked_for() -> None:
    taken = []

    def ours() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            yield f"text {number}"

    next(highest_overlaps(ours(), ["text 0"]))
    assert len(taken) < 100


def runs(texts: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[place : place + size]) for tokens in map(ascii_tokens, texts) for place in range(len(tokens) - size + 1)]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shared_runs_are_those_of_sets(size: int) -> None:
    draw = random.Random(size)
    ours = [made_up(draw.randrange(10**6), draw.randint(0, 3), 20) for _ in range(1500)]
    theirs = [made_up(draw.randrange(10**6), 2, 20) for _ in range(40)] + ours[:3]
    known = {run for texts in theirs for run in runs(texts, size)}
    found = list(KnownRuns(theirs, size).shared(ours))
    assert [(each.shared, each.runs) for each in found] == [
        (sum(run in known for run in runs(texts, size)), len(runs(texts, size))) for texts in ours
    ]
    assert [each.first for each in found] == [
        next((place for place, run in enumerate(runs(texts, size)) if run in known), None) for texts in ours
    ]
    assert any(each.shared for each in found) and any(each.first for each in found) == (size in (2, 3))


def test_a_run_does_not_go_from_one_text_into_the_next() -> None:
    whole = "one two three four five six seven eight"
    assert [each.shared for each in KnownRuns([[whole]]).shared([[whole]])] == [1]
    assert [each.shared for each in KnownRuns([["one two three four", "five six seven eight"]]).shared([[whole]])] == [0]
    assert [each.shared for each in KnownRuns([[whole]]).shared([["one two three four", "five six seven eight"]])] == [0]


def test_order_counts() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    for left, right in pairwise(range(9)):
        swapped = list(words)
        swapped[left], swapped[right] = swapped[right], swapped[left]
        assert [each.shared for each in KnownRuns([[" ".join(words)]], 9).shared([[" ".join(swapped)]])] == [0]


def test_nothing_of_theirs() -> None:
    assert [each.shared for each in KnownRuns([], 2).shared([["a b c"], []])] == [0, 0]


def test_what_was_said_later_is_compared_and_what_all_are_told_is_not() -> None:
    task = CorpusTask("line 1", "Ask.", (Instance("", "Yes.", "Easy.", "You are kind.", (Turn("user", "And?"), Turn("assistant", "So."))),))
    assert task.texts == ("Ask.", "Yes.", "And?", "So.")


def seed(instruction: str, *, classification: bool = False, given: str = "") -> str:
    instances = [{"input": given, "output": "x"}]
    return json.dumps({"instruction": instruction, "instances": instances, "is_classification": classification}) + "\n"


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text(
        seed("Write a short poem about the sea")
        + seed("List five reasons to learn chess", given="n")
        + seed("Write a short poem about the wind", classification=True)
        + seed("Write a long story about the wind")
    )
    return path


def test_figures(seeds: Path) -> None:
    found = seed_figures(inspect_file(seeds))
    assert (found.tasks, found.classification, found.instances, found.empty_inputs) == (4, 1, 4, 3)
    assert found.classification_share == 0.25
    assert found.empty_input_share == 0.75
    assert found.mean_words == pytest.approx(27 / 4)
    assert found.highest is not None
    assert (found.highest.line, found.highest.other) == (3, 1)
    assert found.highest.score == pytest.approx(6 / 7)
    assert [(pair.line, pair.other) for pair in found.similar] == [(3, 1), (4, 3), (4, 1)]
    assert "not new" in found.similar[0].warning


def test_many_tasks_are_compared_across_chunks(tmp_path: Path) -> None:
    path = tmp_path / "seeds.txt"
    path.write_text("".join(f"Task{n} word{n} thing{n}\n" for n in range(400)) + "Task3 word3 thing3 more\n")
    found = seed_figures(inspect_file(path))
    assert [(pair.line, pair.other) for pair in found.similar] == [(401, 4)]


def test_check_prints_figures_and_exits_with_0(seeds: Path) -> None:
    result = CliRunner().invoke(seeds_command, ["check", str(seeds)])
    assert result.exit_code == 0
    assert "4 tasks (self-instruct), 25.0% classification" in result.output
    assert f"{seeds}:3: warning: ROUGE-L 0.86 to line 1" in result.output


def test_check_lists_every_fault_and_exits_with_2(seeds: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad\x1b[31m.jsonl"
    bad.write_text('{"instruction": "\\u001b[2J", "input": "x"}\nnope\n')
    result = CliRunner().invoke(seeds_command, ["check", str(seeds), str(bad)])
    assert result.exit_code == 2
    assert ":1: output: empty, though there is an input" in result.output
    assert ":2: invalid JSON" in result.output
    assert "\x1b" not in result.output


def test_check_json(seeds: Path) -> None:
    seeds.write_text(seeds.read_text() + "nope\n")
    result = CliRunner().invoke(seeds_command, ["check", "--json", str(seeds)])
    assert result.exit_code == 2
    [found] = json.loads(result.output)["files"]
    assert (found["tasks"], found["classification"], found["empty_inputs"]) == (4, 1, 3)
    assert found["faults"] == [{"line": 5, "index": None, "field": "", "fault": "invalid JSON: Expecting value at column 1"}]
    assert found["warnings"][0]["line"] == 3


def test_path_prints_where_the_bundled_seeds_are() -> None:
    result = CliRunner().invoke(seeds_command, ["path"])
    assert Path(result.output.strip()) == bundled_seeds()


def test_bundled_seeds_pass_their_own_check() -> None:
    found = seed_figures(inspect_file(bundled_seeds()))
    assert not found.similar
    assert 0.10 <= found.classification_share <= 0.20
    assert 0.20 <= found.empty_input_share <= 0.40
    assert 12 <= found.mean_words <= 18

"""How near two lists of texts are: against `rouge_score` and against sets of token tuples."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from rouge_score import rouge_scorer

from studio.insight.overlap.corpus import CorpusTask
from studio.insight.overlap.measures import KnownRuns, Overlap, highest_overlaps
from studio.loop.tokens import ascii_tokens
from studio.records import Instance, Turn

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

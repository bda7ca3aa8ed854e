"""What an answer is worth: the paper's ROUGE-L and exact match, lengths, refusals, empty and missing answers."""

from __future__ import annotations

import pytest
from rouge_score import rouge_scorer

from studio.engine.api import Completion, FinishReason
from studio.pool.evaluations import Answer
from studio.tuning.scores import cut_to_words, exact_match, rouge_l, score
from support.evaluations import item


def _answer(text: str, reason: FinishReason = FinishReason.STOP) -> Answer:
    return Answer(0, "prompt", Completion(text, reason, 9, 3))


def test_rouge_l_is_the_packages_with_stemming_and_the_highest_counts() -> None:
    text, references = "He was running to the cities", ("a dog", "She runs to a city")
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    assert rouge_l(text, references) == max(scorer.score(each, text)["rougeL"].fmeasure for each in references)
    # Stemmed, "runs to citi" is common: 3 of 6 and 3 of 5 tokens.
    assert rouge_l(text, references) == pytest.approx(2 * 3 / (6 + 5))
    assert rouge_l("", references) == 0.0
    assert rouge_l("anything", ()) == 0.0


@pytest.mark.parametrize(
    ("text", "right"), [("Positive.", True), ("  POSITIVE \n", True), ("positive review", False), ("", False), ("pos-itive", True)]
)
def test_exact_match_evens_out_case_punctuation_and_white_space(text: str, right: bool) -> None:
    assert exact_match(text, ("negative", "positive")) is right


def test_an_answer_of_nothing_is_not_a_reference_of_punctuation() -> None:
    assert not exact_match("", ("...",))
    assert exact_match("...", ("...",))
    assert not exact_match("", ())


def test_figures_of_one_answer() -> None:
    asked = item(instruction="Name the capital of France.", outputs=("Paris",))
    found = score(asked, _answer(" Paris, in the north\n", FinishReason.LENGTH))
    assert (found.words, found.tokens, found.cut, found.empty, found.unanswered) == (4, 3, True, False, False)
    assert score(asked, _answer(" \n")).empty
    assert score(asked, _answer("", FinishReason.REFUSED)).unanswered


def test_refusals_are_those_of_the_lint() -> None:
    refused = "I'm sorry, but I cannot help with that."
    assert score(item(instruction="Tell me a joke."), _answer(refused)).refusal
    assert not score(item(instruction="Decline an invitation by e-mail."), _answer(refused)).refusal
    assert not score(item(instruction="Tell me a joke."), _answer("Why did the hen cross the road?")).refusal


def test_cutting_to_words() -> None:
    assert cut_to_words("one\ttwo\n three", 2) == "one two"
    assert cut_to_words("one", 5) == "one"
    assert cut_to_words("one", 0) == ""

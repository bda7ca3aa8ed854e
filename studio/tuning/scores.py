"""What an answer is worth: ROUGE-L and exact match against the reference outputs, its length, and whether it is an answer at all."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from studio.engine.api import FinishReason
from studio.insight.lint.unwanted import refusal_in
from studio.pool.studies.evaluations import Answer, EvaluationItem

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """Figures of one answer. `rouge_l` is 0 to 1; `words` are parted by white space, `tokens` are the model's own.

    `cut`: the answer reached the limit of tokens. `unanswered`: the prompt did not fit the model's context.
    """

    rouge_l: float
    exact: bool
    words: int
    tokens: int
    cut: bool
    refusal: bool
    empty: bool
    unanswered: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One contestant's answers without white space at their ends, and their scores, by the items' positions."""

    texts: Mapping[int, str]
    scores: Mapping[int, AnswerScore]


def score_sheet(items: Sequence[EvaluationItem], answers: Mapping[int, Answer]) -> Sheet:
    """Score all answers of a contestant."""
    answered = [item for item in items if item.position in answers]
    texts = {item.position: answers[item.position].completion.text.strip() for item in answered}
    return Sheet(texts, {item.position: score(item, answers[item.position]) for item in answered})


def score(item: EvaluationItem, answer: Answer) -> AnswerScore:
    """Score an answer, white space at its ends left out."""
    completion = answer.completion
    text = completion.text.strip()
    return AnswerScore(
        rouge_l=rouge_l(text, item.outputs),
        exact=exact_match(text, item.outputs),
        words=len(text.split()),
        tokens=completion.completion_tokens,
        cut=completion.finish_reason is FinishReason.LENGTH,
        refusal=bool(refusal_in(item.instruction, text)),
        empty=not text,
        unanswered=completion.finish_reason is FinishReason.REFUSED,
    )


def rouge_l(text: str, references: Sequence[str]) -> float:
    """Return the highest ROUGE-L F1 (0 to 1) of `text` to any reference, by the package `rouge_score` with Porter's stemmer.

    As the evaluation on Super-NaturalInstructions computes it, which the paper reports. Only Latin letters and digits count.
    """
    return max((_rouge_l()(reference, text) for reference in references), default=0.0)


def exact_match(text: str, references: Sequence[str]) -> bool:
    """Return whether `text` equals a reference once case, ASCII punctuation and white space are evened out, as in the same evaluation."""
    return any(_even(text) == _even(reference) for reference in references)


def cut_to_words(text: str, words: int) -> str:
    """Return the first `words` words of `text`."""
    return " ".join(text.split()[:words])


def _even(text: str) -> str:
    # A text of punctuation alone is what it is: an empty answer does not equal it.
    return " ".join(text.lower().translate(_PUNCTUATION).split()) or text.strip()


@cache
def _rouge_l() -> Callable[[str, str], float]:
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)

    def score(reference: str, text: str) -> float:
        return float(scorer.score(reference, text)["rougeL"].fmeasure)

    return score

"""Asking a model the raters' three questions. What it says is one more recorded opinion: nothing in the studio decides by it.

The prompts are one text file a question, of a rubric, examples, and the task that is judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from studio.engine.api import CancelToken, Completion, Engine, Finished, FinishReason, Request, Restarted, SamplingParams
from studio.errors import Interrupted, ModelError
from studio.insight.progress import Progress, silent
from studio.insight.studies.review import draw
from studio.loop.parsing import CHOICES
from studio.loop.prompts import one_line
from studio.pool.pool import Pool, Queries
from studio.pool.studies.judges import JudgeRecord, Opinion, digest_of
from studio.pool.studies.reviews import QUESTIONS, Question, ReviewItem, ReviewPlan

MOST = 2_000
"""Characters of a text that the judge reads: a longer one is cut in the middle, and the cut is marked."""

_PARAMS = SamplingParams(temperature=0.0, max_tokens=3, stop=("\n",), choices=CHOICES)
_SLOTS = ("{instruction}", "{input}", "{output}")


@cache
def _text(question: Question) -> str:
    return (files("studio.insight.studies") / "judge_prompts" / f"{question.value}.txt").read_text(encoding="utf-8").removesuffix("\n")


@cache
def prompt_version() -> str:
    """Return twelve digits that stand for the three prompts; opinions on other prompts are another judge's."""
    return hashlib.sha256("\0".join([*map(_text, QUESTIONS), str(MOST)]).encode()).hexdigest()[:12]


def request_for(question: Question, item: ReviewItem) -> Request:
    """Return the request that asks the judge a question about an item; the rubric and examples are its prefix."""
    prefix, _, ending = _text(question).partition(_SLOTS[0])
    rest = ending
    suffix = _cut(one_line(item.instruction))
    for slot, text in zip(_SLOTS[1:], (item.input, item.output), strict=True):
        before, found, after = rest.partition(slot)
        suffix += before + (_cut(text.strip()) or "(empty)" if found else "")
        rest = after
    return Request(prefix, suffix + rest, _PARAMS, 0)


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST // 2]} […] {text[-MOST // 2 :]}"


BATCH = 16
"""Items that go to the model together, three requests each; as many are lost at most when the process is killed."""

_YES, _NO = (choice.strip().lower() for choice in CHOICES)

Asked = tuple[ReviewItem, Question]


def sample(pool: Queries, plan: ReviewPlan) -> list[ReviewItem]:
    """Return what a review of this plan rates: its items where there is one, else those that it would draw.

    Raises PoolError when there is nothing to draw from.
    """
    review = pool.find_review(plan)
    return draw(pool, plan) if review is None else pool.review_items(review.id)


def judge_items(
    pool: Pool, engine: Engine, judge: JudgeRecord, items: Sequence[ReviewItem], cancel: CancelToken, progress: Progress = silent
) -> int:
    """Ask about every item what the judge has not said yet, a batch at a time, and return the number of opinions that are new.

    Each batch is stored whole, or what came of it. Raises Interrupted after `cancel`, ModelError when the engine fails.
    """
    known = {(each.instance_id, each.question, each.seen) for each in pool.reader.opinions(judge.id)}
    told = 0
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        # Question by question: the requests of one share their prefix.
        asked = [(item, question) for question in QUESTIONS for item in batch if (item.instance_id, question, _seen(item)) not in known]
        if asked:
            opinions, failure = _ask(engine, asked, cancel)
            pool.judgements.add(judge.id, opinions)
            told += len(opinions)
            if failure is not None:
                raise failure
            if cancel.cancelled and len(opinions) < len(asked):
                raise Interrupted(f"stopped; {told} opinions of this call are kept", "the same command goes on where it was")
        progress("judging", start + len(batch), len(items))
    return told


def _ask(engine: Engine, asked: Sequence[Asked], cancel: CancelToken) -> tuple[list[Opinion], ModelError | None]:
    """Return the opinions that came, and what kept the others from coming; those that were cancelled have none."""
    requests: list[Request] = [request_for(question, item) for item, question in asked]
    completions: dict[int, Completion] = {}
    failure: ModelError | None = None
    try:
        for event in engine.stream(requests, cancel):
            match event:
                case Finished(index, completion):
                    completions[index] = completion
                case Restarted():
                    completions.clear()
    except ModelError as error:
        failure = error
    if failure is None and not cancel.cancelled and len(completions) < len(asked):
        failure = ModelError("the engine left requests unanswered", "try again, or choose another --model")
    opinions = [
        _opinion(asked[index], completion)
        for index, completion in sorted(completions.items())
        if completion.finish_reason is not FinishReason.CANCELLED
    ]
    return opinions, failure


def _opinion(asked: Asked, completion: Completion) -> Opinion:
    item, question = asked
    said = completion.text.strip().lower()
    answer = True if said.startswith(_YES) else False if said.startswith(_NO) else None
    if completion.finish_reason is FinishReason.REFUSED:
        answer, detail = None, completion.detail or "the prompt does not fit the model's context"
    else:
        detail = "" if answer is not None else f"neither yes nor no: {completion.text.strip()[:40]}"
    probability = None if answer is None else completion.probability
    return Opinion(item.task_id, item.instance_id, question, _seen(item), answer, probability, detail)


def _seen(item: ReviewItem) -> str:
    return digest_of(item.instruction, item.input, item.output)

"""A model asked the raters' three questions, and what its answers are worth: how far they agree with people's of the same instances.

What it says is one more recorded opinion: nothing in the studio decides by it. The prompts are one text file a question, of a rubric,
examples, and the task that is judged.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.engine.api import CancelToken, Chat, Completion, Engine, EngineInfo, Finished, FinishReason, Request, SamplingParams
from studio.errors import Interrupted, ModelError
from studio.insight.studies.raters import NAME_WIDTH, Agreement, Share, cohen, share_of
from studio.insight.studies.review import ROWS, WORDS, counted_answer, draw
from studio.insight.tables import Progress, plain_table, silent
from studio.loop.parsing import CHOICES, without_thoughts
from studio.loop.prompts import one_line
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import BLANK, QUESTIONS, JudgeRecord, Opinion, Question, Rating, ReviewItem, ReviewPlan, digest_of
from studio.text import display_line

MOST = 2_000
"""Characters of a text that the judge reads: a longer one is cut in the middle, and the cut is marked."""

_PARAMS = SamplingParams(temperature=0.0, max_tokens=3, stop=("\n",), choices=CHOICES)
_CHAT_TOKENS, _THINKING_TOKENS = 32, 4096
"""For an answer in chat, which may be wordy, and for one with thoughts before it."""
_SLOTS = ("{instruction}", "{input}", "{output}")
BATCH = 16
"""Items that go to the model together, three requests each; as many are lost at most when the process is killed."""
_YES, _NO = (choice.strip().lower() for choice in CHOICES)
Asked = tuple[ReviewItem, Question]
_NAME = 40
Answers = Mapping[tuple[int, str], Rating]
"""What somebody says, by instance and the digest of the texts that were seen."""


@cache
def _text(question: Question) -> str:
    return (files("studio.insight.studies") / "judge_prompts" / f"{question.value}.txt").read_text(encoding="utf-8").removesuffix("\n")


@cache
def prompt_version() -> str:
    """Return twelve digits that stand for the three prompts; opinions on other prompts are another judge's."""
    return hashlib.sha256("\0".join([*map(_text, QUESTIONS), str(MOST)]).encode()).hexdigest()[:12]


def request_for(question: Question, item: ReviewItem, engine: EngineInfo | None = None) -> Request:
    """Return the request that asks the judge a question about an item; the rubric and examples are its prefix.

    An `engine` that takes no raw text is asked in chat.
    """
    prefix, _, ending = _text(question).partition(_SLOTS[0])
    rest = ending
    suffix = _cut(one_line(item.instruction))
    for slot, text in zip(_SLOTS[1:], (item.input, item.output), strict=True):
        before, found, after = rest.partition(slot)
        suffix += before + (_cut(text.strip()) or "(empty)" if found else "")
        rest = after
    if engine is None or "completion" in engine.askings:
        return Request(prefix, suffix + rest, _PARAMS, 0)
    params = replace(_PARAMS, max_tokens=_THINKING_TOKENS if engine.thinks else _CHAT_TOKENS, stop=())
    return Request(prefix, suffix + rest, params, 0, chat=Chat(thinking=False))


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST // 2]} […] {text[-MOST // 2 :]}"


def sample(pool: Queries, plan: ReviewPlan) -> list[ReviewItem]:
    """Return what a review of this plan rates: its items where there is one, else those that it would draw.

    Raises PoolError when there is nothing to draw from.
    """
    review = pool.reviews.find(plan)
    return draw(pool, plan) if review is None else pool.reviews.items(review.id)


def judge_items(
    pool: Pool, engine: Engine, judge: JudgeRecord, items: Sequence[ReviewItem], cancel: CancelToken, progress: Progress = silent
) -> int:
    """Ask about every item what the judge has not said yet, a batch at a time, and return the number of opinions that are new.

    Each batch is stored whole, or what came of it. Raises Interrupted after `cancel`, ModelError when the engine fails.
    """
    known = {(each.instance_id, each.question, each.seen) for each in pool.judges.opinions(judge.id)}
    told = 0
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        # Question by question: the requests of one share their prefix.
        asked = [(item, question) for question in QUESTIONS for item in batch if (item.instance_id, question, _seen(item)) not in known]
        requests = [request_for(question, item, engine.info) for item, question in asked]
        completions: dict[int, Completion] = {}
        try:
            for event in engine.stream(requests, cancel) if asked else ():
                # After a restart of the engine all of a batch comes again.
                if isinstance(event, Finished) and event.completion.finish_reason is not FinishReason.CANCELLED:
                    completions[event.index] = event.completion
        finally:
            pool.judges.add(judge.id, [_opinion(asked[index], completion) for index, completion in sorted(completions.items())])
            told += len(completions)
        if len(completions) < len(asked):
            if cancel.cancelled:
                raise Interrupted(f"stopped; {told} opinions of this call are kept", "the same command goes on where it was")
            raise ModelError("the engine left requests unanswered", "try again, or choose another --model")
        progress("judging", start + len(batch), len(items))
    return told


def _opinion(asked: Asked, completion: Completion) -> Opinion:
    item, question = asked
    text = without_thoughts(completion.text).text.strip()
    said = text.lstrip("*_ ").lower()
    answer = True if said.startswith(_YES) else False if said.startswith(_NO) else None
    if completion.finish_reason is FinishReason.REFUSED:
        answer, detail = None, completion.detail or "the prompt does not fit the model's context"
    else:
        detail = "" if answer is not None else f"neither yes nor no: {text[:40]}"
    probability = None if answer is None else completion.probability
    return Opinion(item.task_id, item.instance_id, question, _seen(item), answer, probability, detail)


def _seen(item: ReviewItem) -> str:
    return digest_of(item.instruction, item.input, item.output)


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """One row of the table: the share of yes, and the mean probability of yes where the engine gave any; None for all fields."""

    row: str
    words: str
    share: Share
    probability: float | None


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """A judge beside a rater, or beside all of them together (`rater` None), on what both answered. The first word is the person's."""

    rater: str | None
    row: str
    yes_yes: int
    yes_no: int
    no_yes: int
    no_no: int
    figures: Agreement


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """All that is known of one judge. `unanswered` counts questions to which neither yes nor no came."""

    judge: JudgeRecord
    instances: int
    unanswered: int
    table: tuple[JudgeRow, ...]
    comparisons: tuple[JudgeAgreement, ...]

    @property
    def beside_people(self) -> tuple[JudgeAgreement, ...]:
        """The judge beside everybody who rated the same instances, row by row; empty when nobody did."""
        raters = {each.rater for each in self.comparisons}
        together = self.comparisons if len(raters) == 1 else (each for each in self.comparisons if each.rater is None)
        return tuple(each for each in together if each.figures.count)


def judge_report(pool: Queries) -> tuple[JudgeFigures, ...]:
    """Compute the figures of every judge of a pool."""
    people: dict[str, dict[tuple[int, str], Rating]] = defaultdict(dict)
    for each in pool.judges.human_answers():
        sheet, place = people[each.rater], (each.instance_id, each.seen)
        # Of an instance that two reviews drew, the newer answer to a question counts; no answer takes none away.
        first, second, third = (
            older if newer is None else newer for newer, older in zip(each.answers, sheet.get(place, BLANK).answers, strict=True)
        )
        sheet[place] = Rating((first, second, third))
    return tuple(_figures(judge, list(pool.judges.opinions(judge.id)), people) for judge in pool.judges.all())


def _figures(judge: JudgeRecord, opinions: Sequence[Opinion], people: Mapping[str, Answers]) -> JudgeFigures:
    said: dict[tuple[int, str], list[bool | None]] = {}
    for each in opinions:
        said.setdefault((each.instance_id, each.seen), [None, None, None])[QUESTIONS.index(each.question)] = each.answer
    ratings = {place: Rating((first, second, third)) for place, (first, second, third) in said.items()}
    return JudgeFigures(
        judge=judge,
        instances=len(ratings),
        unanswered=sum(each.answer is None for each in opinions),
        table=tuple(_row(row, ratings, opinions) for row in ROWS),
        comparisons=tuple(_comparisons(ratings, people)),
    )


def _row(row: str, ratings: Answers, opinions: Sequence[Opinion]) -> JudgeRow:
    # No question is called as the row of all fields is.
    chances = [each.probability for each in opinions if each.question == row and each.probability is not None]
    share = share_of(counted_answer(rating, row) for rating in ratings.values())
    return JudgeRow(row, WORDS[row], share, sum(chances) / len(chances) if chances else None)


def _comparisons(judge: Answers, people: Mapping[str, Answers]) -> Iterator[JudgeAgreement]:
    for row in ROWS:
        together: list[tuple[bool, bool]] = []
        for rater, ratings in people.items():
            both = ((counted_answer(ratings[place], row), counted_answer(judge[place], row)) for place in ratings if place in judge)
            pairs = [(theirs, ours) for theirs, ours in both if theirs is not None and ours is not None]
            together += pairs
            yield _comparison(rater, row, pairs)
        if len(people) > 1:
            yield _comparison(None, row, together)


def _comparison(rater: str | None, row: str, pairs: Sequence[tuple[bool, bool]]) -> JudgeAgreement:
    counts = [sum(pair == each for pair in pairs) for each in ((True, True), (True, False), (False, True), (False, False))]
    figures = cohen([theirs for theirs, _ in pairs], [ours for _, ours in pairs])
    return JudgeAgreement(rater, row, counts[0], counts[1], counts[2], counts[3], figures)


def judge_tables(judges: Sequence[JudgeFigures]) -> Group:
    """All figures of all judges, for a terminal. Names are cleaned, none of it is markup."""
    return Group(*(part for each in judges for part in _parts(each)))


def _parts(figures: JudgeFigures) -> Iterator[Text | Table]:
    judge = figures.judge
    missing = f", {figures.unanswered} questions without an answer" if figures.unanswered else ""
    yield Text(f"{display_line(judge.name, _NAME)}: {display_line(judge.model.name, _NAME)}, prompts {judge.prompt_version}", style="bold")
    yield Text(f"{figures.instances:,} instances judged{missing}")
    yield Text()
    rows = ((row.words, row.share.words, "" if row.probability is None else f"{row.probability:.2f}") for row in figures.table)
    yield plain_table("share of yes, with 95 % Wilson interval", "judge", "mean probability of yes", rows=rows)
    yield Text()
    if any(each.figures.count for each in figures.comparisons):
        caption = "Kappa is 0 for what chance gives. Of y/n the first is the person's answer, the second the judge's."
        headings = ("rater", "question", "both", "agree", "kappa", "y/y", "y/n", "n/y", "n/n")
        yield plain_table(*headings, rows=map(_agreement_row, figures.comparisons), left=(0, 1), caption=caption)
    else:
        yield Text("Nobody has rated any of these instances: studio review POOL. Until then nothing is known of what the judge is worth.")
    yield Text()


def _agreement_row(each: JudgeAgreement) -> tuple[str, ...]:
    rater = "all together" if each.rater is None else display_line(each.rater, NAME_WIDTH)
    agreement = "" if each.figures.agreement is None else f"{each.figures.agreement:.0%}"
    kappa = "" if each.figures.kappa is None else f"{each.figures.kappa:.2f}"
    counts = map(str, (each.figures.count, each.yes_yes, each.yes_no, each.no_yes, each.no_no))
    return rater, each.row.partition("_")[0], next(counts), agreement, kappa, *counts

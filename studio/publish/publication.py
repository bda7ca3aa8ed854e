"""What there is to tell of a pool: how its models were asked, where its data comes from, and all that a page is made of."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from studio.insight.diversity import Diversity, diversity
from studio.insight.phrases import Parser
from studio.insight.statistics import Statistics, statistics
from studio.insight.story import Story, story_of
from studio.insight.studies.comparison import GradingReport, grading_report
from studio.insight.studies.judge import JudgeFigures, judge_report
from studio.insight.studies.review import ReviewReport, review_report
from studio.insight.tables import Progress, silent
from studio.pool.evaluations import ContestantRecord, EvaluationItem, EvaluationRecord, HoldOutRecord
from studio.pool.figures import PoolCounts
from studio.pool.pool import Queries
from studio.pool.rounds import RunRecord
from studio.pool.trainings import LossPoint, Side, TrainingRecord
from studio.records import ModelIdentity, Origin
from studio.tuning.results import EvaluationResult, evaluation_result

if TYPE_CHECKING:
    from jinja2 import Environment

_SYSTEMS = {
    "template_system": "System turn before a request that the model writes itself",
    "answer_system": "System turn before a task that is answered",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """How one run asked its model, in words that are empty where its settings do not say it.

    `quotes` are names and texts that stood around the prompts, the brief first; those that are empty are left out.
    """

    words: str
    quotes: tuple[tuple[str, str], ...]


def asked_in(run: RunRecord) -> Asked:
    """Read from a run's settings how its model was asked."""
    settings = json.loads(run.settings)
    method = settings.get("method") if isinstance(settings, dict) else None
    values: dict[str, Any] = method if isinstance(method, dict) else {}
    chat, brief = values.get("asking") == "chat", str(values.get("brief") or "").strip()
    apart = chat if "answers" not in values else values["answers"] == "chat"
    prompts = values.get("prompts") if isinstance(values.get("prompts"), dict) else {}
    said = {"template_system": chat, "answer_system": apart}
    texts = [("Brief", brief), *((name, str((prompts or {}).get(key) or "").strip()) for key, name in _SYSTEMS.items() if said[key])]
    words = _in_chat(values) if chat else "to go on with a text" if "asking" in values else ""
    words += _answers(values, chat=chat) if apart else ""
    return Asked(words, tuple((name, text) for name, text in texts if text))


def distinct_quotes(asked: Sequence[Asked]) -> tuple[tuple[str, str], ...]:
    """Return the quotes of several runs, each once, in their order."""
    return tuple(dict.fromkeys(quote for each in asked for quote in each.quotes))


def _in_chat(values: dict[str, Any]) -> str:
    lists, own, share = (values.get(name) for name in ("requests_per_round", "template_requests", "likely_share"))
    words = f"in its own chat template: {lists} lists of tasks{f' and {own} requests of its own' if own else ''} a round"
    if isinstance(share, int | float) and share < 1:
        words += f", of which the likeliest {share:.0%} were kept"
    return words


def _answers(values: dict[str, Any], *, chat: bool) -> str:
    words = "" if chat else ", and to answer in chat"
    best_of, agreement = values.get("best_of"), values.get("min_agreement")
    if isinstance(best_of, int) and best_of > 1:
        words += f"; of {best_of} answers the one that agrees most with the others"
        if isinstance(agreement, int | float) and agreement > 0:
            words += f", by ROUGE-L {agreement:g} at least"
    likely = values.get("likely_answers")
    return words + (f"; the likeliest {likely:.0%} of the answers" if isinstance(likely, int | float) and likely < 1 else "")


_SEED = "0"
"""Decides which examples are shown."""
ACCEPTED = 12
PER_REASON = 3
ANSWERED = 8


@dataclass(frozen=True, slots=True)
class AnsweredExample:
    """An item of an evaluation and what each contestant wrote, in the order of the contestants; None where there is no answer."""

    item: EvaluationItem
    answers: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """A random but repeatable choice: equal pools give equal examples."""

    accepted: tuple[Story, ...]
    rejected: tuple[Story, ...]


def examples(pool: Queries) -> Examples:
    """Choose `ACCEPTED` active generated tasks with instances, and `PER_REASON` rejected candidates for each reason. Raises PoolError."""
    rng = random.Random(f"{_SEED}/examples")
    frame = pool.tasks.ids(origin=Origin.GENERATED, with_instances=True)
    chosen = sorted(rng.sample(frame, min(ACCEPTED, len(frame))))
    rejected = pool.candidates.rejected_by_reason(PER_REASON)
    return Examples(tuple(story_of(pool, f"t{found}") for found in chosen), tuple(story_of(pool, f"c{found}") for found in rejected))


def answered(pool: Queries, evaluation_id: int, contestants: tuple[ContestantRecord, ...]) -> tuple[AnsweredExample, ...]:
    """Choose `ANSWERED` items of an evaluation with the answers of `contestants`. Raises PoolError."""
    items = pool.evaluations.items(evaluation_id)
    chosen = sorted(random.Random(f"{_SEED}/answers").sample(range(len(items)), min(ANSWERED, len(items))))
    sheets = [pool.evaluations.answers(each.id) for each in contestants]
    found = []
    for place in chosen:
        told = [sheet.get(items[place].position) for sheet in sheets]
        found.append(AnsweredExample(items[place], tuple(None if each is None else each.completion.text for each in told)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """One evaluation of the pool with its contestants in the order they came."""

    evaluation: EvaluationRecord
    contestants: tuple[ContestantRecord, ...]
    result: EvaluationResult
    comparisons: tuple[GradingReport, ...]
    examples: tuple[AnsweredExample, ...]


def evaluation_facts(pool: Queries, evaluation: EvaluationRecord) -> EvaluationFacts:
    """Gather what the pool knows of an evaluation. Raises PoolError."""
    contestants = tuple(pool.evaluations.contestants(evaluation.id))
    ids = {each.id for each in contestants}
    comparisons = [grading_report(pool, each) for each in pool.comparisons.all() if each.plan.first in ids]
    shown = answered(pool, evaluation.id, contestants)
    return EvaluationFacts(evaluation, contestants, evaluation_result(pool, evaluation.id), tuple(comparisons), shown)


_OF_THE_MACHINE = frozenset({"engine.model", "engine.notices", "answering.model", "answering.notices"})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, what came of it, how its model was asked, and its settings by dotted key; of prompt texts the sha256 only."""

    run: RunRecord
    counts: PoolCounts
    settings: Mapping[str, str]
    asked: Asked


@dataclass(frozen=True, slots=True)
class Provenance:
    """Runs in their order, models without repetition, and until when the pool was written to, an ISO 8601 time in UTC or empty.

    `by_hand` counts the candidates that a person has the last word on.
    """

    runs: tuple[RunFacts, ...]
    models: tuple[ModelIdentity, ...]
    written_until: str
    by_hand: int


def provenance(pool: Queries) -> Provenance:
    """Read where the data of `pool` comes from. Raises PoolError."""
    runs = tuple(RunFacts(run, pool.figures.counts(run.id), readable(run.settings), asked_in(run)) for run in pool.runs.all())
    models = {(model.sha256, model.name): model for each in runs for model in each.run.models}
    return Provenance(runs, tuple(models.values()), pool.figures.written_until(), pool.figures.decided_by_hand())


def readable(settings: str) -> dict[str, str]:
    """Return settings, canonical JSON, as words by dotted key, fit to be shown to others.

    Texts of prompts stand there by their sha256. Where a model lies and what an engine said is of one machine alone and left out; any other
    absolute path is cut to its last name.
    """
    return {key: words for key, words in _flat(json.loads(settings), "") if key not in _OF_THE_MACHINE}


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, str):
        is_prompt = "prompts" in key.split(".")[:-1]
        yield key, f"sha256 {sha256(value.encode()).hexdigest()}" if is_prompt else public(value)
    else:
        yield key, json.dumps(value, ensure_ascii=False)


def licence(model: ModelIdentity) -> str:
    return model.licence or "not stated in the file"


def public(path: str) -> str:
    """Return the last name of an absolute path, and any other text as it is: folders tell of their owner."""
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(path).is_absolute():
            return kind(path).name
    return path


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """A training, how many instances it learned from and was measured by, and its losses by step."""

    training: TrainingRecord
    learned_from: int
    measured_by: int
    losses: tuple[LossPoint, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """What a page is made of. `title` is what the user calls the dataset. Reviews, trainings and evaluations have the newest first."""

    title: str
    statistics: Statistics
    diversity: Diversity
    reviews: tuple[ReviewReport, ...]
    judges: tuple[JudgeFigures, ...]
    trainings: tuple[TrainingFacts, ...]
    evaluations: tuple[EvaluationFacts, ...]
    hold_out: HoldOutRecord | None
    examples: Examples
    provenance: Provenance


def publication(pool: Queries, title: str, parser: Parser | None, progress: Progress = silent) -> Publication:
    """Gather all that `pool` has; without `parser` its diversity is of words only. Raises PoolError."""
    with pool.one_state():
        return Publication(
            title=title,
            statistics=statistics(pool, progress),
            diversity=diversity(pool, Origin.GENERATED, parser, progress=progress),
            reviews=tuple(review_report(pool, each) for each in pool.reviews.all()),
            judges=judge_report(pool),
            trainings=tuple(_training(pool, each) for each in pool.trainings.all()),
            evaluations=tuple(evaluation_facts(pool, each) for each in pool.evaluations.all()),
            hold_out=pool.evaluations.hold_out(),
            examples=examples(pool),
            provenance=provenance(pool),
        )


def templates(finalize: Callable[[Any], Any], *, escaped: bool) -> Environment:
    """Return the templates of this folder; `finalize` makes each value safe that comes into one, which `escaped` does as HTML needs it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("studio", "publish"),
        autoescape=escaped,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _training(pool: Queries, training: TrainingRecord) -> TrainingFacts:
    sides = [each.side for each in pool.trainings.items(training.id)]
    return TrainingFacts(training, sides.count(Side.TRAIN), sides.count(Side.VALIDATION), tuple(pool.trainings.losses(training.id)))

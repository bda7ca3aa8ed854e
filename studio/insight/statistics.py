"""Figures of a pool's generated tasks: the paper's table 1, why candidates fell, how far the tasks are from the seeds, what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.insight.studies.raters import Share, share_of, wilson
from studio.insight.tables import Progress, silent, told
from studio.insight.texts import Distribution, Lengths, opening_word
from studio.pool.documents import DocumentRecord
from studio.pool.figures import PoolCounts, SourceCounts
from studio.pool.imports import ImportedFile
from studio.pool.pool import Queries
from studio.pool.rounds import RoundYield
from studio.records import Source

BINS = 10
"""Bins of the histograms, each 0.1 wide; a score of 1 falls into the last."""


AHEAD = 1_000
"""Candidates to come that are spoken of."""
WINDOW = 200
"""Candidates whose acceptance stands for that of those to come."""


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One finished round: its candidates, those accepted, and how many tasks opened with a word that no task before them had."""

    round: int
    candidates: int
    accepted: int
    new_openings: int = 0


@dataclass(frozen=True, slots=True)
class Saturation:
    """What the next `ahead` candidates bring if they are accepted at the `rate` of the latest; None where `refused` says why nobody knows.

    The latest `candidates` are those of the last `rounds` of the latest run that hold `WINDOW` of them at least, as its settings hold for
    those to come. `earlier_rate` is the one of as many just before them, None where that run had not so many: a pool fills up, and where
    the rate falls, `expected` is too much. `low` and `high` bound in 95 of 100 cases what chance makes of both numbers, the latest and
    those to come (Wilson's interval, for the number of observations that a difference of two shares has); another model, threshold or
    prompt has another rate, and rounds that depend on each other make the interval too narrow.
    """

    ahead: int
    expected: float | None
    low: float | None
    high: float | None
    rate: float | None
    earlier_rate: float | None
    rounds: int
    candidates: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source. Candidates by the decision that holds; `tasks` are active ones, `instances` their accepted ones.

    `quality` is the share of yes that raters gave its tasks, all raters and reviews alike, to each of the paper's questions and to all of
    them (`all_fields_valid`); nothing where nobody has rated any. Items count as for a task's quality: while the texts are what the rater
    saw.
    """

    source: str
    candidates: int
    accepted: int
    acceptance_rate: float
    tasks: int
    instances: int
    quality: Mapping[str, Share]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of a pool. Tasks are active ones; shares are 0 to 1; means are of words split at white space, 0 where there are none.

    `held_out` of the seeds are kept apart for evaluation; `drafts` of what was `accepted` are of an unfinished round, not `generated` yet.

    Shares and means are of generated tasks; `mean_input_words` is of inputs that are not empty, as are the `input_words` behind it. The
    histograms count generated tasks by their highest ROUGE-L when they were decided, in `BINS` equal bins from 0 to 1: to a seed, and to
    a task of any kind (later ones may be nearer). `opening_words` counts the different words that generated tasks open with.

    `files` are those that seeds and imports were brought from, as far as there was a file, `documents` those that tasks were written for.

    `sources` tell what has come from where; none in a pool whose instructions all come from lists of tasks.

    `model_seconds` adds up the time of every request, also of those that ran together; `busy_seconds` is at most how long models worked.
    What a task costs is per generated task: tokens written, prompt tokens that were not cached, seconds of `busy_seconds`.
    """

    seeds: int
    held_out: int
    generated: int
    imported: int
    classification_share: float
    instances: int
    tasks_with_instances: int
    instances_per_task: float
    empty_input_share: float
    mean_instruction_words: float
    mean_input_words: float
    mean_output_words: float
    instruction_words: Distribution
    input_words: Distribution
    output_words: Distribution
    candidates: int
    accepted: int
    drafts: int
    acceptance_rate: float
    rejected: dict[str, int]
    rejected_instances: dict[str, int]
    files: tuple[ImportedFile, ...]
    documents: tuple[DocumentRecord, ...]
    sources: tuple[SourceRow, ...]
    rounds: tuple[RoundRow, ...]
    opening_words: int
    saturation: Saturation
    seed_score_histogram: tuple[int, ...]
    mean_seed_score: float
    nearest_score_histogram: tuple[int, ...]
    mean_nearest_score: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    model_seconds: float
    busy_seconds: float
    written_tokens_per_task: float
    read_tokens_per_task: float
    seconds_per_task: float


_COUNTED = (
    *("seeds", "held_out", "generated", "imported", "candidates", "accepted"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "model_seconds"),
)


def statistics(pool: Queries, progress: Progress = silent) -> Statistics:
    """Compute the figures of `pool` in one pass over its tasks and one over its instances, in memory that does not grow with them.

    All of them are of one state of the pool. Raises PoolError when it cannot be read.
    """
    with pool.one_state():
        progress("counting", 0, 0)
        counts = pool.figures.counts()
        yields = pool.rounds.yields()
        busy = pool.figures.busy_seconds()
        generated = counts.generated
        return Statistics(
            **{name: getattr(counts, name) for name in _COUNTED},
            drafts=pool.figures.drafts(),
            acceptance_rate=_ratio(counts.accepted, counts.candidates),
            rejected=dict(sorted(counts.rejected.items(), key=lambda item: (-item[1], item[0]))),
            rejected_instances=pool.figures.instance_reasons(),
            files=tuple(pool.imports.all()),
            documents=tuple(pool.documents.all()),
            sources=source_figures(pool),
            saturation=saturation(yields),
            busy_seconds=busy,
            written_tokens_per_task=_ratio(counts.completion_tokens, generated),
            read_tokens_per_task=_ratio(counts.prompt_tokens - counts.cached_tokens, generated),
            seconds_per_task=_ratio(busy, generated),
            **_of_instructions(pool, counts, yields, progress),
            **_of_instances(pool, counts, progress),
            **_of_scores(pool, counts, progress),
        )


def histogram(scores: Iterable[float]) -> tuple[int, ...]:
    """Count `scores`, each 0 to 1, in `BINS` equal bins; the upper edge belongs to the next bin, 1 to the last."""
    bins = [0] * BINS
    for score in scores:
        bins[_bin(score)] += 1
    return tuple(bins)


def _of_instructions(pool: Queries, counts: PoolCounts, yields: list[RoundYield], progress: Progress) -> dict[str, Any]:
    words = Lengths()
    classification = 0
    seen: set[str] = set()
    opened: set[str] = set()
    new: Counter[int] = Counter()
    total = counts.seeds + counts.generated + counts.imported
    for number, instruction, flag in told(pool.figures.instructions_by_round(), progress, "reading instructions", total):
        opening = opening_word(instruction)
        if number is not None:
            words.add(instruction)
            classification += flag
            opened.add(opening)
            new[number] += opening not in seen
        seen.add(opening)
    lengths = words.result()
    return {
        "classification_share": _ratio(classification, counts.generated),
        "mean_instruction_words": lengths.mean,
        "instruction_words": lengths,
        "opening_words": len(opened),
        "rounds": tuple(RoundRow(each.number, each.candidates, each.accepted, new[each.number]) for each in yields),
    }


def _of_instances(pool: Queries, counts: PoolCounts, progress: Progress) -> dict[str, Any]:
    inputs, outputs = Lengths(), Lengths()
    with_instances = empty = 0
    last_task = None
    for task_id, given, output in told(pool.figures.generated_instances(), progress, "reading instances", counts.instances):
        with_instances += task_id != last_task
        last_task = task_id
        outputs.add(output)
        if given:
            inputs.add(given)
        else:
            empty += 1
    input_words, output_words = inputs.result(), outputs.result()
    return {
        "instances": output_words.count,
        "tasks_with_instances": with_instances,
        "instances_per_task": _ratio(output_words.count, counts.generated),
        "empty_input_share": _ratio(empty, output_words.count),
        "mean_input_words": input_words.mean,
        "mean_output_words": output_words.mean,
        "input_words": input_words,
        "output_words": output_words,
    }


def _of_scores(pool: Queries, counts: PoolCounts, progress: Progress) -> dict[str, Any]:
    to_seed, to_any = [0] * BINS, [0] * BINS
    seed_total = any_total = 0.0
    for seed_score, score in told(pool.figures.decided_scores(), progress, "reading scores", counts.generated):
        to_seed[_bin(seed_score)] += 1
        to_any[_bin(score)] += 1
        seed_total += seed_score
        any_total += score
    return {
        "seed_score_histogram": tuple(to_seed),
        "mean_seed_score": _ratio(seed_total, sum(to_seed)),
        "nearest_score_histogram": tuple(to_any),
        "mean_nearest_score": _ratio(any_total, sum(to_any)),
    }


def saturation(rounds: Sequence[RoundYield], ahead: int = AHEAD) -> Saturation:
    """Tell from a pool's `rounds`, oldest first, what `ahead` more candidates bring."""
    run = [each for each in rounds if each.run_id == rounds[-1].run_id]
    latest, before = _latest(run)
    candidates, accepted = _summed(latest)
    if candidates < WINDOW:
        refused = f"an estimate takes {WINDOW} candidates of one run; the latest has {candidates}"
        return Saturation(ahead, None, None, None, None, None, len(latest), candidates, refused)
    rate = accepted / candidates
    certain = candidates * ahead / (candidates + ahead)
    low, high = wilson(rate * certain, certain)
    earlier, accepted_earlier = _summed(_latest(before)[0])
    earlier_rate = accepted_earlier / earlier if earlier >= WINDOW else None
    return Saturation(ahead, rate * ahead, low * ahead, high * ahead, rate, earlier_rate, len(latest), candidates)


def _latest(rounds: Sequence[RoundYield]) -> tuple[Sequence[RoundYield], Sequence[RoundYield]]:
    """The last rounds that hold `WINDOW` candidates, or all where there are not so many, and those before them."""
    start, candidates = len(rounds), 0
    while start and candidates < WINDOW:
        start -= 1
        candidates += rounds[start].candidates
    return rounds[start:], rounds[:start]


def _summed(rounds: Sequence[RoundYield]) -> tuple[int, int]:
    return sum(each.candidates for each in rounds), sum(each.accepted for each in rounds)


def source_figures(pool: Queries) -> tuple[SourceRow, ...]:
    """Return the sources of a pool; none where all instructions come from lists, as in most pools whose model was never asked in chat."""
    counted = pool.figures.sources()
    return tuple(_row(each) for each in counted) if any(each.source is not Source.IN_CONTEXT for each in counted) else ()


def _row(counts: SourceCounts) -> SourceRow:
    shares = {name: share_of([True] * yes + [False] * (given - yes)) for name, (yes, given) in counts.answers.items()}
    quality = shares if any(each.count for each in shares.values()) else {}
    rate = _ratio(counts.accepted, counts.candidates)
    return SourceRow(counts.source.value, counts.candidates, counts.accepted, rate, counts.tasks, counts.instances, quality)


def _bin(score: float) -> int:
    return min(int(score * BINS), BINS - 1)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

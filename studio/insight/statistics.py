"""Figures of a pool's generated tasks: the paper's table 1, why candidates fell, and how far the tasks are from the seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from studio.pool.queries import Queries

BINS = 10
"""Bins of the histogram, each 0.1 wide; a score of 1 falls into the last."""


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One finished round: its candidates and those accepted."""

    round: int
    candidates: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of a pool. Tasks are active ones; shares are 0 to 1; means are of words split at white space, 0 where there are none.

    Shares and means are of generated tasks; `mean_input_words` is of inputs that are not empty. `seed_score_histogram` counts
    generated tasks by the highest ROUGE-L to a seed when they were decided, in `BINS` equal bins from 0 to 1.
    """

    seeds: int
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
    candidates: int
    accepted: int
    acceptance_rate: float
    rejected: dict[str, int]
    rejected_instances: dict[str, int]
    rounds: tuple[RoundRow, ...]
    seed_score_histogram: tuple[int, ...]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    model_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


@dataclass
class _Mean:
    total: int = 0
    count: int = 0

    def add(self, text: str) -> None:
        self.total += len(text.split())
        self.count += 1

    @property
    def value(self) -> float:
        return _ratio(self.total, self.count)


def statistics(pool: Queries) -> Statistics:
    """Compute the figures of `pool` in one pass over its tasks and instances, in constant memory."""
    counts = pool.counts()
    instruction_words, input_words, output_words = _Mean(), _Mean(), _Mean()
    classification = 0
    for instruction, flag in pool.generated_instructions():
        instruction_words.add(instruction)
        classification += flag
    with_instances = empty = 0
    last_task = None
    for task_id, given, output in pool.generated_instances():
        with_instances += task_id != last_task
        last_task = task_id
        output_words.add(output)
        if given:
            input_words.add(given)
        else:
            empty += 1
    return Statistics(
        seeds=counts.seeds,
        generated=counts.generated,
        imported=counts.imported,
        classification_share=_ratio(classification, counts.generated),
        instances=output_words.count,
        tasks_with_instances=with_instances,
        instances_per_task=_ratio(output_words.count, counts.generated),
        empty_input_share=_ratio(empty, output_words.count),
        mean_instruction_words=instruction_words.value,
        mean_input_words=input_words.value,
        mean_output_words=output_words.value,
        candidates=counts.candidates,
        accepted=counts.accepted,
        acceptance_rate=_ratio(counts.accepted, counts.candidates),
        rejected=dict(sorted(counts.rejected.items(), key=lambda item: (-item[1], item[0]))),
        rejected_instances=pool.instance_reasons(),
        rounds=tuple(RoundRow(each.number, each.candidates, each.accepted) for each in pool.yields()),
        seed_score_histogram=histogram(pool.seed_scores()),
        prompt_tokens=counts.prompt_tokens,
        cached_tokens=counts.cached_tokens,
        completion_tokens=counts.completion_tokens,
        model_seconds=counts.model_seconds,
    )


def histogram(scores: Iterable[float]) -> tuple[int, ...]:
    """Count `scores`, each 0 to 1, in `BINS` equal bins; the upper edge belongs to the next bin, 1 to the last."""
    bins = [0] * BINS
    for score in scores:
        bins[min(int(score * BINS), BINS - 1)] += 1
    return tuple(bins)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

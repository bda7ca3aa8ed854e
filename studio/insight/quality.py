"""How good a candidate and its instances are found to be: what was measured, against the limits that held when it was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.loop.runs import known_method, overridden
from studio.pool.candidates import CandidateRecord
from studio.pool.instances import InstanceRecord
from studio.pool.pool import Queries
from studio.records import SOURCE_WORDS, Source
from studio.text import bar, spoken

Kind = Literal["request", "answer", "agreement"]
_UNLIMITED_NATS = 5.0
"""Where a bar of nats ends that has no limit; a limit stands in its middle."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure with its limit, None where none held.

    `request` and `answer` are nats a token, how surprising the model finds the text: at most the limit. `agreement` is the mean ROUGE-L F1
    (0 to 1) of an answer with the others that were drawn: at least the limit.
    """

    kind: Kind
    value: float
    limit: float | None

    @property
    def name(self) -> str:
        """What is measured, in a word or two."""
        return {"request": "likelihood", "answer": "sureness", "agreement": "agreement"}[self.kind]

    @property
    def passes(self) -> bool:
        """Whether it is within its limit."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.kind == "agreement" else self.value <= self.limit

    @property
    def words(self) -> str:
        """The figure, its limit, and what that says."""
        unit = "" if self.kind == "agreement" else " nats a token"
        if self.limit is None:
            return f"{self.value:.2f}{unit}, {_MEANINGS[self.kind][2]}"
        least = self.kind == "agreement"
        relation = ("≥" if self.passes else "<") if least else ("≤" if self.passes else ">")
        return f"{self.value:.2f} {relation} {self.limit:.2f}{unit}: {_MEANINGS[self.kind][not self.passes]}"

    def bar(self, width: int) -> str:
        """The figure as a bar with its limit as a cross; one without a limit has none."""
        most = 1.0 if self.kind == "agreement" else 2 * self.limit if self.limit else _UNLIMITED_NATS
        if self.limit is None:
            filled = min(max(round(self.value / most * width), 1), width)
            return "━" * filled + "─" * (width - filled)
        share, mark = min(self.value / most, 1.0), self.limit / most
        drawn = bar(share, width, mark)
        # A figure equal to its limit passes: of nats the bar then ends before the cross, of an agreement at it.
        return drawn.replace("┿", "┼") if self.kind != "agreement" and self.passes else drawn


_MEANINGS: dict[Kind, tuple[str, str, str]] = {
    "request": ("likely as a request", "too unlikely as a request", "no limit"),
    "answer": ("the model is sure of its answer", "the model is not sure of its answer", "no limit"),
    "agreement": ("the answers drawn agree", "the answers drawn disagree", "no limit"),
}
"""What is said of a figure within its limit, beyond it, and without one."""

EXPLAINED = "Nats a token tell how surprising the model finds a text: fewer are likelier. The cross is the limit."

BEFORE_EDIT = "The likelihood is that of the text the model wrote: an edited one is not measured."


def source_words(source: Source | None) -> str:
    """Where the instructions of a prompt come from, in a few words; empty for a prompt of a later stage."""
    return "" if source is None else f"{spoken(source)}: {SOURCE_WORDS[source][0]}"


def of_candidate(pool: Queries, candidate: CandidateRecord) -> tuple[Measure, ...]:
    """Return what was measured of a candidate."""
    if candidate.nats is None:
        return ()
    return (Measure("request", candidate.nats, pool.rounds.of_request(candidate.request_id).max_nats),)


def of_instance(pool: Queries, instance: InstanceRecord) -> tuple[Measure, ...]:
    """Return what was measured of an instance whose output was asked for apart."""
    if instance.answer_id is None or (instance.agreement is None and instance.nats is None):
        return ()
    limits = pool.rounds.of_request(instance.answer_id)
    found = []
    if instance.agreement is not None:
        run = next(each for each in pool.runs.all() if each.id == limits.run_id)
        method = known_method(run)
        least = 0.0 if method is None else overridden(method, pool.rounds.overrides(limits.round_id)).min_agreement
        found.append(Measure("agreement", instance.agreement, least or None))
    if instance.nats is not None:
        found.append(Measure("answer", instance.nats, limits.max_answer_nats))
    return tuple(found)

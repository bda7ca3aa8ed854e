"""What the formats of preference training share: a line for each pair of answers, with why the one is better."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from studio.pool.preferences import Because, Evidence
from studio.pool.stream import ExportTask
from studio.records import Instance

EVIDENCE = "evidence"

Written = Callable[[str, Instance, str], Mapping[str, object]]
"""Makes prompt, chosen and rejected of an instruction, the instance that ends with the better answer, and the worse answer."""

WORDS: Mapping[Because, str] = {
    Because.EDITED: "a person's edit over what it replaced",
    Because.RATED: "raters' yes over their no",
    Because.IMPORTED: "brought as a pair",
    Because.CHECKED: "over an answer that broke a rule",
    Because.AGREEMENT: "of several drawn the one that agrees most over the one that agrees least",
}
"""What each kind of evidence is, in a few words."""

NO_PAIRS = (
    "draw several answers (studio run --set best_of=4), edit answers in the studio, rate them (studio review), "
    "or import pairs of chosen and rejected"
)
"""What would make pairs."""


def paired(written: Written) -> Callable[[ExportTask], Iterator[tuple[str, Mapping[str, object]]]]:
    """Return what makes the lines of a task: one for each pair whose better answer is exported, and said last."""

    def records(task: ExportTask) -> Iterator[tuple[str, Mapping[str, object]]]:
        instances = dict(zip(task.instance_ids, task.instances, strict=True))
        for pair in task.pairs:
            if (instance := instances.get(pair.instance_id)) is not None:
                if not pair.last:
                    instance = replace(instance, turns=())
                yield "", {**written(task.instruction, instance, pair.rejected), EVIDENCE: _evidence(pair.evidence)}

    return records


def _evidence(evidence: Evidence) -> Mapping[str, object]:
    """The same keys and kinds of values in each line: readers of tables decide by the first ones what a column holds."""
    return {
        "because": str(evidence.because),
        "reason": evidence.reason,
        "chosen": float(evidence.chosen),
        "rejected": float(evidence.rejected),
        "raters": evidence.raters,
    }


def because(record: Mapping[str, object]) -> str:
    """Return which kind of evidence a line tells."""
    found: Any = record[EVIDENCE]
    return str(found["because"])


def told(kinds: Mapping[str, int]) -> str:
    """Return in words how many pairs there are of each kind of evidence, the surest first."""
    return "; ".join(f"{kinds[each]:,} {each} ({WORDS[each]})" for each in Because if kinds.get(each))

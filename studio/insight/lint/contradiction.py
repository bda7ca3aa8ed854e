"""The same question with different answers."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

from studio.insight.lint.api import Finding, Lint, LintOptions, Measured, Part, Tasks

_EDGES = " .!?,;:'\"“”‘’"


def _search(tasks: Tasks, _options: LintOptions) -> Iterator[Finding]:
    """Keep 32 bytes for each instance of a classification task, and sort."""
    import numpy as np

    questions, answers, owners, instances = array("q"), array("q"), array("q"), array("q")
    for task in tasks():
        if not task.is_classification:
            continue
        for instance in task.instances:
            questions.append(_digest(task.instruction, instance.input))
            answers.append(_digest(instance.output.strip(_EDGES)))
            owners.append(task.id)
            instances.append(instance.id)
    if not questions:
        return
    asked, given = np.frombuffer(questions, np.int64), np.frombuffer(answers, np.int64)
    order = np.argsort(asked, kind="stable")
    starts = np.flatnonzero(np.diff(asked[order], prepend=asked[order[0]] ^ 1))
    groups = np.split(order, starts[1:]) if len(starts) < len(order) else []
    found = []
    for group in groups:
        if len(group) < 2 or len(set(given[group].tolist())) < 2:
            continue
        for place in group.tolist():
            rival = next(each for each in group.tolist() if given[each] != given[place])
            found.append(Finding(owners[place], instances[place], Part.OUTPUT, "", owners[rival]))
    yield from sorted(found)


def _digest(*texts: str) -> int:
    """Return 63 bits that stand for the texts, case and white space apart."""
    joined = "\0".join(" ".join(text.casefold().split()) for text in texts)
    return int.from_bytes(hashlib.blake2b(joined[: 1 << 20].encode("utf-8", "replace"), digest_size=8).digest()) >> 1


LINT = Lint(
    code="contradiction",
    title="the same classification question has different answers",
    help=(
        "Instances of classification tasks, of one task or of several, with the same instruction and input, case and white space apart, "
        "and different outputs, case and punctuation at the ends apart. All of them are reported: which is right is not known."
    ),
    note="Questions in other words are not brought together, so most contradictions are not found; synonyms for one label are reported.",
    measured=Measured(4, 6, 2, 6),
    faulty=("Is the review good or bad? | I loved it. → good   and   is the review good or bad? | I loved  it. → bad",),
    sound=("Is the review good or bad? | I loved it. → good   and   Is the review good or bad? | I loved it. → Good.",),
    search=_search,
)

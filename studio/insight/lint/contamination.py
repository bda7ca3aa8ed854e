"""What the pool has in common with a file that a model will be judged by."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintOptions, LintTask, Measured, Part, Tasks, texts_of
from studio.insight.ngrams import SIZE, KnownRuns
from studio.insight.overlap import highest_overlaps
from studio.insight.sources import open_source
from studio.loop.tokens import unicode_tokens

_AT_A_TIME = 256
"""Tasks whose texts are looked up together."""


def _search(tasks: Tasks, options: LintOptions) -> Iterator[Finding]:
    """Go through the pool once: runs of eight tokens as it is read, the ROUGE-L of its instructions a batch at a time."""
    theirs: list[str] = []

    def their_texts() -> Iterator[Sequence[str]]:
        for path in options.against:
            for task in open_source(path):
                theirs.append(task.instruction)
                yield task.texts

    known = KnownRuns(their_texts())
    task_ids = array("q")
    found: list[Finding] = []

    def instructions() -> Iterator[str]:
        remaining = iter(tasks())
        while chunk := list(islice(remaining, _AT_A_TIME)):
            found.extend(_with_shared_runs(known, chunk))
            task_ids.extend(task.id for task in chunk)
            yield from (task.instruction for task in chunk)

    for overlap in highest_overlaps(instructions(), theirs):
        if overlap.score >= options.overlap and overlap.nearest is not None:
            words = f"ROUGE-L {overlap.score:.2f}: {theirs[overlap.nearest]}"
            found.append(Finding(task_ids[overlap.index], None, Part.INSTRUCTION, words[:EXCERPT]))
    yield from sorted(found, key=lambda each: (each.task_id, each.instance_id or 0, each.words))


def _with_shared_runs(known: KnownRuns, tasks: Sequence[LintTask]) -> Iterator[Finding]:
    texts = [(task.id, *place) for task in tasks for place in texts_of(task)]
    for (task_id, part, instance_id, text), shared in zip(texts, known.shared([text] for *_, text in texts), strict=True):
        if shared.first is not None:
            words = " ".join(unicode_tokens(text)[shared.first : shared.first + SIZE])
            yield Finding(task_id, instance_id, part, words[:EXCERPT])


LINT = Lint(
    code="contamination",
    title="overlap with an evaluation file",
    help=(
        "With --against FILE: the instruction has a ROUGE-L F1 of at least 0.7 (or what --overlap says) to an instruction of the file, or "
        "any text of the task shares a run of eight words with any text of it. The scores are exact. FILE is another pool, or of any "
        "format that `studio import` reads."
    ),
    note=(
        "Both measures see words: the same question in other words is not found. A common phrase (“what is the sentiment of the following "
        "sentence”) is eight words long and is reported."
    ),
    measured=Measured(5, 6, 1, 6),
    faulty=("Write a haiku about the sea in autumn.   where the file has   Write a haiku about the sea in winter.",),
    sound=("Write a haiku about a mountain.   where the file has   Explain what a haiku is.",),
    search=_search,
    needs_file=True,
)

"""What a file would become, in lines for a person: what it is, which key goes where, what is left out, the first tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from studio.pool.exchange.importing import FileReport
from studio.records import SeedTask
from studio.text import counted, display_line

_LONGEST_PATHS = 1000
_INSTANCES = 2


def what_it_is(report: FileReport) -> str:
    """Return how a file was read, and how many tasks came of it."""
    tally = report.tally
    read = ", ".join(dict.fromkeys(word for word in (report.container, report.format) if word))
    faulty = f", {counted(tally.faulty, 'record')} with a fault" if tally.faulty else ""
    counts = f"{counted(tally.tasks, 'task')} with {counted(tally.instances, 'instance')} of {counted(tally.records, 'record')}{faulty}"
    return display_line(f"{read}: {counts}")


def preview_lines(report: FileReport, width: int, shown: Collection[str] = ()) -> Iterator[str]:
    """Yield all that should be known of a file before it is imported, but `what_it_is`, as harmless lines; texts are cut to `width`.

    Where the fields of `shown` come from is seen already.
    """
    roles = [(name, f"from {display_line(key, width)}") for name, key in report.tally.roles if name not in shown]
    yield from _aligned(roles)
    yield from (display_line(note) for note in report.notes() if not note.startswith("read as: "))
    if report.tally.faulty and report.paths:
        yield f"there are {display_line(', '.join(report.paths), _LONGEST_PATHS)}"
    for number, task in enumerate(report.samples, 1):
        yield f"task {number}"
        yield from (f"  {line}" for line in _aligned(list(_fields(task, width))))


def _fields(task: SeedTask, width: int) -> Iterator[tuple[str, str]]:
    """Yield the fields of a task that hold something, with their names."""
    yield "instruction", display_line(task.instruction, width)
    for instance in task.instances[:_INSTANCES]:
        turns = f"{len(instance.turns)} more, the next: {instance.turns[0].text}" if instance.turns else ""
        told = (("input", instance.input), ("output", instance.output), ("system", instance.system), ("thoughts", instance.thoughts))
        yield from ((name, display_line(text, width)) for name, text in (*told, ("turns", turns)) if text.strip())
    for _, worse in task.pairs[:_INSTANCES]:
        # The worse one of two conversations differs in what was said last.
        yield "worse", display_line(worse.turns[-1].text if worse.turns else worse.output, width)
    if len(task.instances) > _INSTANCES:
        yield "instances", f"{len(task.instances):,}"
    yield from ((name, display_line(text, width)) for name, text in (("id", task.key), ("name", task.name)) if text)
    if task.is_classification is not None:
        yield "is_classification", str(task.is_classification).lower()


def _aligned(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    longest = max((len(name) for name, _ in rows), default=0)
    yield from (f"{name.ljust(longest)}  {text}".rstrip() for name, text in rows)

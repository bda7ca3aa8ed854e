"""What an export format is: a name, and the records that one task of the pool becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from studio.pool.records import ExportTask
from studio.pool.review_records import ALL, Keep
from studio.records import Instance

Record = Mapping[str, object]
"""One line of an exported file, before it is JSON. Equal pools give equal records: nothing in them tells when or how fast."""


class Source(Protocol):
    """What an export asks of a pool; `studio.pool.queries.Queries` is one."""

    def export_tasks(self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False) -> Iterator[ExportTask]: ...


@dataclass(frozen=True, slots=True)
class Format:
    """An export format.

    `files` names the files of a format that fills a folder and is empty for one that writes a single file. `records` yields the lines of a
    task, each with the file it belongs to (empty text for the single file). `made`: they need to know how the task was written.
    """

    name: str
    summary: str
    records: Callable[[ExportTask], Iterable[tuple[str, Record]]]
    files: tuple[str, ...] = ()
    made: bool = False


def by_instance(name: str, summary: str, record: Callable[[str, Instance], Record]) -> Format:
    """Return a single-file format with one line for each instance, made from the instruction and that instance."""

    def records(task: ExportTask) -> Iterator[tuple[str, Record]]:
        for instance in task.instances:
            yield "", record(task.instruction, instance)

    return Format(name, summary, records)


def question(instruction: str, instance: Instance) -> str:
    """Return what a user would say: the instruction, then a blank line and the input where there is one."""
    return f"{instruction}\n\n{instance.input}" if instance.input.strip() else instruction

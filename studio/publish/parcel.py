"""A dataset as it is to lie on the hub: data, card and report, and a list of them by which a later visit knows its own files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from studio.pool.exchange.formats import Source
from studio.pool.exchange.outputs import writing
from studio.pool.stream import ExportTask
from studio.pool.studies.reviews import ALL, Keep

CARD, REPORT, MANIFEST = "README.md", "report.html", ".self-instruct-studio.json"
SIDES = ("train", "validation")
DATA = tuple(f"data/{side}{ending}" for side in SIDES for ending in (".jsonl", ".parquet"))
OWN = (CARD, REPORT, MANIFEST, *DATA)
"""All that is ever written into a repository."""
LARGEST_MANIFEST = 1 << 16
"""Bytes; one of ours has a thousand."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class NamesAlone:
    """A source of tasks in which documents are called by their files' names alone: folders tell of their owner."""

    source: Source

    def export_tasks(self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False, paired: bool = False) -> Iterator[ExportTask]:
        """See `Source.export_tasks`."""
        for task in self.source.export_tasks(include_seeds, keep, made=made, paired=paired):
            place = task.document
            if place is not None:
                task = replace(task, document=place._replace(name=_last(place.name)))
            yield replace(task, provenance=json.dumps(_without_folders(json.loads(task.provenance)))) if task.provenance else task


def _without_folders(known: Any) -> Any:
    """Return what an imported record said of where it came from, and what that said of itself, with the names of documents alone."""
    if not isinstance(known, dict):
        return known
    document = known.get("document")
    if isinstance(document, dict) and isinstance(document.get("name"), str):
        known = {**known, "document": {**document, "name": _last(document["name"])}}
    return {**known, "provenance": _without_folders(known["provenance"])} if "provenance" in known else known


def _last(path: str) -> str:
    return PureWindowsPath(path).name if "\\" in path else PurePosixPath(path).name


@dataclass(frozen=True, slots=True)
class Names:
    """What the hub calls a content: a file that git keeps by `blob`, a large one by its sha256."""

    sha256: str
    blob: str


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of a parcel: its path in the repository, where it lies here, its bytes, and the records in it, None for what is no data."""

    path: str
    place: Path
    size: int
    names: Names
    records: int | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to the hub, in the order in which it is shown."""

    files: tuple[PackedFile, ...]

    @property
    def records(self) -> int:
        """The records of all files together."""
        return sum(each.records or 0 for each in self.files)


def packed_data(folder: Path, records: Mapping[str, int]) -> tuple[PackedFile, ...]:
    """Return the files of data that lie in `folder`, with the numbers of their records. Raises PoolError."""
    return tuple(_file(folder, path, records[path]) for path in DATA if path in records)


def packed(folder: Path, data: Sequence[PackedFile]) -> tuple[PackedFile, ...]:
    """Return `data`, card and report, which lie in `folder`, after the list of them was written there. Raises PoolError."""
    files = [*data, *(_file(folder, path, None) for path in (CARD, REPORT))]
    listed = {each.path: asdict(each.names) for each in files}
    with writing(folder / MANIFEST):
        (folder / MANIFEST).write_text(json.dumps({"written_by": "Self-Instruct Studio", "files": listed}, indent=2) + "\n", "utf-8")
    return (*files, _file(folder, MANIFEST, None))


def _file(folder: Path, path: str, records: int | None) -> PackedFile:
    place = folder / path
    with writing(place):
        return PackedFile(path, place, place.stat().st_size, git_names(place), records)


def git_names(path: Path) -> Names:
    """Return what git and its large files call the content of a file."""
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            blob.update(piece)
    return Names(sha256.hexdigest(), blob.hexdigest())


def read_manifest(content: bytes) -> dict[str, Names]:
    """Return the names of the contents that a list tells, by path. Anybody may have written it: only what is of `OWN` is taken."""
    try:
        said: Any = json.loads(content)
        files = said["files"]
        return {path: Names(str(names["sha256"]), str(names["blob"])) for path, names in files.items() if path in OWN}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}

"""What goes into a parcel: files by their names in git, a list that may be anybody's, and no folder of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.pool.exchange.formats import RAW
from studio.pool.stream import DocumentPlace, ExportTask, Scores
from studio.publish.pushing import NamesAlone, git_names, read_manifest
from studio.records import Instance, Origin

PLACES = ["/home/anna/secret/notes.md", "secret/anna/notes.md", "C:\\anna\\secret\\notes.md", "notes.md"]


class OneTask:
    """A source of one task, written for a passage of the document that is called so, and imported with what it said of itself."""

    def __init__(self, name: str) -> None:
        said = {"document": {"name": name}, "score": 0.5, "provenance": {"document": {"name": name, "start": 1}}}
        place = DocumentPlace(name, "ab" * 32, 3, 9, "mit")
        more: dict[str, Any] = {"provenance": json.dumps(said), "document": place, "scores": (Scores(None, None),)}
        self.task = ExportTask(1, Origin.IMPORTED, "", "", "Say it.", None, (Instance("", "It."),), **more)

    def export_tasks(self, *_: Any, **__: Any) -> Iterator[ExportTask]:
        yield self.task


@pytest.mark.parametrize("name", PLACES)
def test_documents_go_by_the_names_of_their_files(name: str) -> None:
    [task] = NamesAlone(OneTask(name)).export_tasks(True)
    assert task.document == DocumentPlace("notes.md", "ab" * 32, 3, 9, "mit")
    assert json.loads(task.provenance) == {
        "document": {"name": "notes.md"}, "score": 0.5, "provenance": {"document": {"name": "notes.md", "start": 1}}
    }  # fmt: skip
    assert "anna" not in str(list(RAW.records(task)))


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"files": {"../x": {"sha256": "", "blob": ""}, "README.md": 5}}', b"\xff"])
def test_a_list_of_files_may_be_anybodys(content: bytes) -> None:
    assert read_manifest(content) == {}


def test_files_are_called_as_git_calls_them(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    assert git_names(tmp_path / "x").blob == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"

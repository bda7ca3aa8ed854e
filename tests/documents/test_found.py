"""Which files are documents, and that nothing is left out without being told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from studio.documents.found import find_documents
from studio.documents.reading import HTML, MARKDOWN, PLAIN
from studio.errors import UsageError


def test_a_folder_is_walked_in_the_order_of_names_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.md").write_text("# Two")
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "c.htm").write_text("<p>three")
    (tmp_path / "README").write_text("four")
    (tmp_path / "d.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "e.txt").write_bytes(b"caf\xe9 and so on")
    (tmp_path / "f.txt").write_bytes(b"zero\0byte")
    (tmp_path / ".git").mkdir()
    (tmp_path / "g.txt").write_text("one")
    found = find_documents([tmp_path])
    assert [(Path(each.name).name, each.media_type) for each in found.files] == [
        ("README", PLAIN),
        ("a.txt", PLAIN),
        ("two.md", MARKDOWN),
        ("c.htm", HTML),
    ]
    told = "\n".join(found.notes)
    for words in ("e.txt is not UTF-8: byte 0xE9", "f.txt is no text", "g.txt is the same as", ".png 1", "1 hidden"):
        assert words in told


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    found = find_documents([tmp_path])
    assert [each.name for each in found.files] == [f"{tmp_path.name}/a.txt"]
    assert any("walked already" in note for note in found.notes)
    assert any("gone.txt is not there" in note for note in found.notes)


def test_a_file_named_itself_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xff\xfeA\xd8")
    with pytest.raises(UsageError, match="is not UTF-16"):
        find_documents([tmp_path / "x.txt"])
    with pytest.raises(UsageError, match="is not there"):
        find_documents([tmp_path / "y.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no document"):
        find_documents([tmp_path / "empty"])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "a.txt").write_text("one")
    found = find_documents([tmp_path])
    assert len(found.files) == 1
    assert any("no plain file" in note for note in found.notes)


def test_what_a_file_is_its_beginning_says(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("\ufeff<!DOCTYPE html><p>a page")
    (tmp_path / "fake.pdf").write_text("no PDF")
    (tmp_path / "odd.xyz").write_text("a text of any name")
    assert find_documents([tmp_path / "page.txt"]).files[0].media_type == HTML
    assert find_documents([tmp_path / "odd.xyz"]).files[0].media_type == PLAIN
    with pytest.raises(UsageError, match="called PDF and is none"):
        find_documents([tmp_path / "fake.pdf"])

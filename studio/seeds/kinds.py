"""What kind of file it is, told by its first bytes and never by its name: text, one of those that are read otherwise, or a foreign one."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from typing import BinaryIO

TEXT, PARQUET, ARROW, SHEET = "text", "parquet", "arrow", "sheet"

_STREAM = b"\xff\xff\xff\xff"
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_OFFICE = (("xl/", "xlsx"), ("word/", "a Word document"), ("ppt/", "a presentation"))
_FOREIGN = (
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"FEA1", "a Feather file of the first version", "write it anew: pyarrow.feather.write_feather"),
    (b"SQLite format 3\0", "an SQLite database", "a pool is exported first: studio export POOL -o data.jsonl --format raw"),
    (b"GGUF", "a model", "name a file of tasks"),
    (b"%PDF", "a PDF file", "name a file of tasks"),
    (b"version https://git-lfs", "a Git LFS pointer in the place of the file", "fetch the file itself: git lfs pull"),
    (b"<!doctype html", "a web page", "download the file itself, not the page about it"),
    (b"<?xml", "XML", "write it as JSON lines or CSV first"),
    (b"<html", "a web page", "download the file itself, not the page about it"),
)


def kind_of_file(head: bytes, whole: Callable[[], BinaryIO]) -> str:
    """Return how a file that begins with `head` is read: `TEXT`, `PARQUET`, `ARROW` or `SHEET`.

    `whole` opens all of it, to see what a ZIP archive holds. Raises ForeignFile.
    """
    if head.startswith(b"PAR1"):
        return PARQUET
    if head.startswith((b"ARROW1", _STREAM)):
        return ARROW
    if head.startswith(_OLE):
        return SHEET
    if head.startswith(_ZIP):
        return _kind_of_archive(whole())
    for mark, what, hint in _FOREIGN:
        if head[: len(mark)].lower() == mark.lower() or head.lstrip()[: len(mark)].lower() == mark.lower():
            raise ForeignFile(what, hint)
    if head[257:262] == b"ustar":
        raise ForeignFile("a tar archive", "unpack it first: tar xf FILE")
    return TEXT


class ForeignFile(Exception):
    """A file that is none of tasks: `what` it is, and a `hint`."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def _kind_of_archive(file: BinaryIO) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 1000 and archive.read("mimetype").startswith(_ODS):
                return SHEET
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ForeignFile(f"a damaged ZIP archive or Excel workbook ({error})", "download it or save it anew") from error
    what = next((what for start, what in _OFFICE if any(name.startswith(start) for name in names)), "a ZIP archive")
    if what == "xlsx":
        return SHEET
    raise ForeignFile(what, "unpack it first" if what == "a ZIP archive" else "save its text, or a table of tasks, as a file of its own")

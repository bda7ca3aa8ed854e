"""Spreadsheets are tables, zstd is packed text like any other, and each is told by its bytes."""

from __future__ import annotations

import datetime
import json
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import zstandard

from studio.errors import UsageError
from studio.seeds import tables
from studio.seeds.inputs import Input
from studio.seeds.reading import inspect_file, parse

Cells = list[Any]

HEADER: Cells = ["Instruction", "Input", "Output"]
ROWS: list[Cells] = [["Übersetze", "Hund", "dog"], ["Zähle\nbis zwei", None, "1, 2"]]


def workbook(path: Path, **sheets: list[Cells]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def raw(path: Path) -> list[Any]:
    return [parsed.raw for parsed in parse(Input(path))]


@pytest.mark.parametrize("name", ["x.xlsx", "x.csv", "x"])
def test_a_sheet_is_a_table(tmp_path: Path, name: str) -> None:
    found = inspect_file(workbook(tmp_path / name, Tasks=[HEADER, *ROWS]))
    assert [(task.instruction, task.instances[0].input, task.instances[0].output) for task in found.tasks] == [
        ("Übersetze", "Hund", "dog"),
        ("Zähle\nbis zwei", "", "1, 2"),
    ]
    assert (found.lines, found.faults, found.notes) == ((2, 3), (), ())


def test_numbers_dates_and_truth_values_are_text_as_it_is_shown(tmp_path: Path) -> None:
    when = datetime.datetime(2020, 1, 2, 3, 4)
    path = workbook(
        tmp_path / "x.xlsx", Tasks=[["instruction", *"abcdef"], [7, 0.1, 3.0, True, datetime.date(2020, 1, 2), when, datetime.time(3, 4)]]
    )
    assert raw(path) == [
        {"instruction": "7", "a": "0.1", "b": "3", "c": "TRUE", "d": "2020-01-02", "e": "2020-01-02 03:04:00", "f": "03:04:00"}
    ]


def test_the_sheet_with_a_known_header_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", About=[["Made by us"]], Tasks=[[], ["Our tasks"], HEADER, *ROWS], Old=[HEADER, *ROWS])
    found = inspect_file(path)
    assert len(found.tasks) == 2 and found.lines == (4, 5)
    assert found.notes == (
        "read is the sheet Tasks; not read: About, Old (FILE#SHEET names another)",
        "row 2, above the header, is not taken",
    )


def test_a_sheet_is_named_behind_the_file(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", Tasks=[HEADER, *ROWS], Old=[HEADER, ["Sing", "", "la"]])
    found = inspect_file(tmp_path / "x.xlsx#Old")
    assert ([task.instruction for task in found.tasks], found.notes) == (["Sing"], ())
    with pytest.raises(UsageError, match="there is no sheet 'Odl'") as caught:
        inspect_file(tmp_path / "x.xlsx#Odl")
    assert caught.value.hint == "did you mean 'Old'?"
    plain = tmp_path / "x.jsonl#Old"
    path.with_suffix(".jsonl").write_text('{"instruction": "Sing"}\n')
    with pytest.raises(UsageError, match="no spreadsheet"):
        inspect_file(plain)
    plain.write_text('{"instruction": "Dance"}\n')
    assert [task.instruction for task in inspect_file(plain).tasks] == ["Dance"]


def test_sheets_of_charts_are_passed_over(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    book.active.append(ROWS[0])
    book.create_chartsheet("Chart", 0)
    book.save(tmp_path / "x.xlsx")
    assert [task.instruction for task in inspect_file(tmp_path / "x.xlsx").tasks] == ["Übersetze"]


def test_a_sheet_without_a_header_is_a_fault_and_so_is_a_cell_beside_it(tmp_path: Path) -> None:
    [fault] = inspect_file(workbook(tmp_path / "x.xlsx", Tasks=[["a", "b"], ["c", "d"]])).faults
    assert (
        fault.fault.startswith("the sheet Tasks has no header: no column `instruction`, nor one that stands for it")
        and "a, b" in fault.fault
    )
    [fault] = inspect_file(workbook(tmp_path / "y.xlsx", Tasks=[["instruction", "instruction"], ["c", "d"]])).faults
    assert fault.fault == "the header has the column instruction twice"
    [fault] = inspect_file(workbook(tmp_path / "z.xlsx", Tasks=[["instruction"], ["c", "d"]])).faults
    assert "not taken: column 2 (1 record)" in fault.fault


def test_a_sheet_of_libre_office_is_read(tmp_path: Path) -> None:
    def row(*cells: str) -> str:
        return "<table:table-row>" + "".join(cells) + "</table:table-row>"

    def text(words: str) -> str:
        return f'<table:table-cell office:value-type="string"><text:p>{words}</text:p></table:table-cell>'

    names = "urn:oasis:names:tc:opendocument:xmlns:"
    number = '<table:table-cell office:value-type="float" office:value="42"><text:p>42</text:p></table:table-cell>'
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{names}office:1.0" xmlns:table="{names}table:1.0" '
        f'xmlns:text="{names}text:1.0"><office:body><office:spreadsheet><table:table table:name="Tasks">'
        + row(text("instruction"), text("output"))
        + row(text("Say it"), number)
        + "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(tmp_path / "x.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    assert raw(tmp_path / "x.ods") == [{"instruction": "Say it", "output": "42"}]


@pytest.mark.parametrize(
    ("rows", "columns", "cell", "fits"), [(9000, 9000, "string", False), (1048576, 16384, "", True), (50, 20, "string", True)]
)
def test_cells_that_are_repeated_do_not_take_the_memory(tmp_path: Path, rows: int, columns: int, cell: str, fits: bool) -> None:
    kind = f'office:value-type="{cell}"' if cell else ""
    many = f'<table:table-cell {kind} table:number-columns-repeated="{columns}"><text:p>x</text:p></table:table-cell>'
    content = (
        '<office:document-content><table:table table:name="T">'
        '<table:table-row><table:table-cell office:value-type="string"/></table:table-row>'
        f'<table:table-row table:number-rows-repeated="{rows}">{many}</table:table-row></table:table></office:document-content>'
    )
    with zipfile.ZipFile(tmp_path / "x.ods", "w") as archive:
        archive.writestr("content.xml", content)
    with (
        (tmp_path / "x.ods").open("rb") as file,
        nullcontext() if fits else pytest.raises(UsageError, match="9,001 rows and 9,000 columns"),
    ):
        tables.check_bounds(tmp_path / "x.ods", file)


def test_an_archive_that_is_no_spreadsheet_is_named(tmp_path: Path) -> None:
    for inner, words in (("data.jsonl", "is a ZIP archive"), ("word/document.xml", "is a Word document")):
        with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as archive:
            archive.writestr(inner, "{}")
        with pytest.raises(UsageError, match=words):
            Input(tmp_path / "x.xlsx")


@pytest.mark.parametrize("name", ["x.xlsx", "x.xls"])
def test_a_damaged_spreadsheet_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    whole = workbook(path, Tasks=[HEADER, *ROWS]).read_bytes()
    for bad in (whole[:2000], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), b"".join((whole[:1500], bytes(3000), whole[4500:]))):
        path.write_bytes(bad)
        with pytest.raises(UsageError, match=r"damaged|no spreadsheet that can be read") as caught:
            list(parse(Input(path)))
        assert "\n" not in caught.value.message


def test_a_table_of_text_that_is_called_a_workbook_is_read_and_other_text_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.xls"
    path.write_text("instruction\toutput\nHi\tHo\n")
    assert [task.instruction for task in inspect_file(path).tasks] == ["Hi"]
    path.write_text("Hi\nHo\n")
    with pytest.raises(UsageError, match="XLS by its name, and plain text by what it holds"):
        inspect_file(path)


LINES = "".join(json.dumps({"instruction": f"Say {n}", "output": str(n)}) + "\n" for n in range(1000)).encode()


def test_zstd_is_read_frame_after_frame(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.zst"
    pack = zstandard.ZstdCompressor().compress
    path.write_bytes(pack(LINES[:5000]) + pack(LINES[5000:]))
    assert len(inspect_file(path).tasks) == 1000
    path.write_bytes(zstandard.ZstdCompressor(write_content_size=False).compress(LINES))
    assert len(inspect_file(path).tasks) == 1000
    table = tmp_path / "x.xlsx.zst"
    table.write_bytes(pack(workbook(tmp_path / "x.xlsx", Tasks=[HEADER, *ROWS]).read_bytes()))
    assert len(inspect_file(table).tasks) == 2


def test_zstd_that_ends_early_or_is_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.zst"
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(LINES)
    for bad in (packed[:-200], packed[:-1] + b"\0", packed + packed[:20]):
        path.write_bytes(bad)
        with pytest.raises(UsageError, match="is damaged: what is packed in it cannot be unpacked"):
            inspect_file(path)


@pytest.mark.parametrize("place", ["XFD1048576", "XFD2:A1048576"])
def test_a_cell_far_from_the_others_does_not_take_the_memory(tmp_path: Path, place: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    for cell in place.split(":"):
        book.active[cell] = "far"
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(UsageError, match="reaches over 1,048,576 rows and 16,384 columns"):
        inspect_file(tmp_path / "x.xlsx")
    path = workbook(tmp_path / "y.xlsx", Tasks=[HEADER, *([[]] * 5000), ["Sing", "", "la"]])
    assert [task.instruction for task in inspect_file(path).tasks] == ["Sing"]


def test_what_looks_like_a_cell_in_a_text_is_none(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", Tasks=[HEADER, ['<c r="XFD1048576">', "", "x"]])
    assert len(inspect_file(path).tasks) == 1


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_BYTES", 1 << 20)
    with pytest.raises(UsageError, match="GB when unpacked"):
        inspect_file(workbook(tmp_path / "x.xlsx", Tasks=[HEADER, *([["x" * 30_000, "", "y"]] * 50)]))


def test_zstd_of_many_threads_and_of_a_long_window_is_read(tmp_path: Path) -> None:
    line = b'{"instruction": "Sing"}\n'
    skipped = b"\x50\x2a\x4d\x18\4\0\0\0abcd"
    long = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=31)).compressobj()
    for packed in (skipped + zstandard.compress(line), long.compress(line) + long.flush()):
        (tmp_path / "x.jsonl.zst").write_bytes(packed)
        assert [task.instruction for task in inspect_file(tmp_path / "x.jsonl.zst").tasks] == ["Sing"]

"""One and the same data in other encodings, line ends, containers and wrappings, from files and from pipes, gives the same tasks."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import UsageError
from studio.records import Instance
from studio.seeds.fields import written
from studio.seeds.inputs import Input
from studio.seeds.json_file import parse_json
from studio.seeds.reading import inspect_file, parse

ROWS: list[dict[str, Any]] = [
    {"instruction": "Übersetze: „Hund“", "input": "", "output": "dog\u2028🐕"},
    {"instruction": "Zähle, bitte; ja?", "input": 'a "b"\\', "output": "2\n3"},
    {"instruction": "漢字", "input": "x", "output": "é"},
]


def json_lines(rows: list[dict[str, Any]], end: str = "\n") -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows)


def read(path: Path) -> list[tuple[str, tuple[Instance, ...]]]:
    found = inspect_file(path)
    assert found.faults == ()
    return [(task.instruction, task.instances) for task in found.tasks]


EXPECTED = [(row["instruction"], (Instance(row["input"], row["output"]),)) for row in ROWS]
COLUMNS = {key: [row[key] for row in ROWS] for key in ROWS[0]}

FORMS: dict[str, str] = {
    "lines": json_lines(ROWS),
    "CRLF": json_lines(ROWS, "\r\n"),
    "CR": json_lines(ROWS, "\r"),
    "a comma at line ends": json_lines(ROWS, ",\n"),
    "DOS": json_lines(ROWS, "\r\n") + "\x1a",
    "marks in names": json_lines([{f"\ufeff{key}": value for key, value in row.items()} for row in ROWS]),
    "blank lines": "\n\n" + json_lines(ROWS, "\n  \n"),
    "objects over lines": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "objects behind each other": "[" + "".join(json.dumps(row, indent=1) for row in ROWS) + "]",
    "an array": json.dumps(ROWS),
    "an indented array": json.dumps(ROWS, indent=4, ensure_ascii=False),
    "an array, an object a line": "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + ",\n]\n",
    "under a key": json.dumps({"version": "1", "data": ROWS}, indent=1),
    "under a key, on one line": json.dumps({"data": ROWS}),
    "columns": json.dumps(COLUMNS),
    "pandas' columns": json.dumps({key: dict(enumerate(values)) for key, values in COLUMNS.items()}, indent=1),
    "pandas' split": json.dumps({"columns": list(COLUMNS), "index": [0, 1, 2], "data": [list(row.values()) for row in ROWS]}),
    "as Hugging Face's viewer": json.dumps({"rows": [{"row_idx": place, "row": row} for place, row in enumerate(ROWS)]}),
    "by id": json.dumps({f"t{place}": row for place, row in enumerate(ROWS)}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_json_is_the_same_data(tmp_path: Path, form: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(FORMS[form].encode())
    assert read(path) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".txt", ""])
def test_encodings_and_line_ends_change_nothing(tmp_path: Path, encoding: str, end: str, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    table = 'instruction;input;output\n"Übersetze: „Hund“";;"dog\u2028🐕"\n漢字;x;é\n'
    plain = "Translate it.\nZähle, bitte\nSay: a,b\n"
    text = {".jsonl": json_lines(ROWS), ".json": json.dumps(ROWS, indent=1, ensure_ascii=False), ".txt": plain}.get(suffix, table)
    path.write_text(text, encoding="utf-8", newline="\n")
    expected = read(path)
    assert len(expected) == text.count("\n") if suffix == ".txt" else len(expected) in (2, 3)
    path.write_bytes(text.replace("\n", end).encode(encoding))
    assert read(path) == expected


WORDS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5), st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_any_text_is_the_same_in_any_encoding(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, str]], encoding: str
) -> None:
    rows = [{"instruction": f"x{asked}", "input": given, "output": f"y{answer}"} for asked, given, answer in texts]
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(json_lines(rows).encode(encoding))
    tasks = [each.task for each in parse(Input(path))]
    assert [(task.instruction, task.instances) for task in tasks if task] == [
        (row["instruction"], (Instance(row["input"], row["output"]),)) for row in rows
    ]


def test_records_under_a_key_have_lines_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text("\n" + json.dumps({"version": {"data": [1]}, "data": ROWS, "more": {}}, indent=2))
    assert [(parsed.line, parsed.index) for parsed in parse(Input(path))] == [(9, 0), (14, 1), (19, 2)]
    assert inspect_file(path).notes == ("the records stand under data; not taken beside them: version, more",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[{"instruction": "A",}]', "a comma before the closing bracket"),
        ('[\n// mine\n{"instruction": "A"}]', "a comment"),
        ('# mine\n{"instruction": "A"}', "a comment"),
        ("[{'instruction': 'A'}]", "a single quote"),
        ('{\n "seen": None}', "None (JSON has true, false and null"),
    ],
)
def test_what_python_or_javascript_would_take_is_named(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(text)
    assert fault in inspect_file(path).faults[0].fault


def test_a_file_that_is_named_as_something_else_is_not_read_as_lines_of_text(tmp_path: Path) -> None:
    path = tmp_path / "seeds.yaml"
    path.write_text("- instruction: A\n")
    with pytest.raises(UsageError, match="YAML by its name"):
        inspect_file(path)
    assert len(list(parse(Input(path), "text"))) == 1


def test_marks_and_headers_in_the_middle_of_joined_files(tmp_path: Path) -> None:
    path = tmp_path / "joined.csv"
    one = "\ufeffinstruction,output\r\nGo.,x\r\n"
    path.write_bytes((one + one.replace("Go.", '"Stay, now."')).encode())
    assert read(path) == [("Go.", (Instance("", "x"),)), ("Stay, now.", (Instance("", "x"),))]
    assert "line 3 is the header once more and was passed over" in inspect_file(path).notes
    for name, text in (("joined.jsonl", json_lines(ROWS, "\n\ufeff")), ("joined.txt", "A b\n\ufeffC d\n")):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert not any("\ufeff" in task for task, _ in read(path))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_unpacked_and_damaged_ones_named(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "data.jsonl.gz"
    content = pack(json_lines(ROWS * 50 + [{**ROWS[0], "instruction": os.urandom(4000).hex()}]).encode())
    path.write_bytes(content)
    assert len([each for each in parse(Input(path)) if each.task]) == 151
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match="is damaged"):
        list(parse(Input(path)))


@pytest.mark.parametrize("form", ["lines", "an indented array"])
def test_a_pipe_is_read_whole_and_as_often_as_asked(tmp_path: Path, form: str) -> None:
    rows = [{**ROWS[0], "instruction": f"Task {number}."} for number in range(5000)]
    content = json_lines(rows) if form == "lines" else json.dumps(rows, indent=1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(content,))
    writer.start()
    source = Input(pipe)
    writer.join()
    for _ in range(2):
        assert len([each for each in parse(source) if each.task]) == 5000
    both = zip(parse(source), parse(source), strict=True)
    assert all(one == other for one, other in both)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_a_file_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json_lines(ROWS).encode())))
    assert read(Path(name)) == EXPECTED
    with pytest.raises(UsageError, match="can be read once"):
        Input(Path(name))


def test_a_device_without_end_is_not_read() -> None:
    with pytest.raises(UsageError, match="is a device"):
        Input(Path("/dev/zero"))
    assert [fault.fault for fault in inspect_file(Path(os.devnull)).faults] == ["the file holds no task"]


def test_a_fault_in_a_document_is_placed_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    lines = json.dumps([ROWS[0], ROWS[1], ROWS[2]], indent=2).splitlines()
    lines[8] = lines[8].replace('"input":', '"input"')
    path.write_text("\n".join(lines))
    found = inspect_file(path)
    [fault] = found.faults
    assert fault.at(path).startswith(f"{path}:7: [1]: invalid JSON: Expecting ':' delimiter, near ")
    assert [task.instruction for task in found.tasks] == ["Übersetze: „Hund“", "漢字"]
    path.write_text(json.dumps(ROWS)[:-30])
    assert [fault.line for fault in inspect_file(path).faults] == [1]
    assert len(inspect_file(path).tasks) == 2
    path.write_text(json.dumps(ROWS)[:-1])
    assert "ends within an array" in inspect_file(path).faults[0].fault


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("sep=;\r\ninstruction;output\r\nGo.;x\r\n", 1),
        ("instruction,output,\nGo.,x,\nStay.,y\n", 2),
        ("instruction\toutput\nGo, now.\tx;y\n", 1),
        ("Question,Answer\nGo?,x\n", 1),
        ("\n\ninstruction,output\n\nGo.,x\n,\n", 1),
        ("instruction,output\n" + 'Go.,"' + "x" * 200_000 + '"\n', 1),
        ('instruction,output\n"Say \\"a\\", then b.",x\n"C:\\dir",y\n', 2),
        ('instruction,output\n"a ""b""","C:\\"\n', 1),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, text: str, rows: int) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, newline="")
    assert len(read(path)) == rows


JSON_TEXT = st.text('aé"\\\n{}[],: \u2028', max_size=6)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | JSON_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(JSON_TEXT, inner),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(JSON_TEXT, JSON_VALUES), max_size=4), st.sampled_from([None, 0, 3]), st.integers(1, 9))
def test_a_document_is_the_same_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, Any]], indent: int | None, piece: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.json"
    written_out = json.dumps(values, indent=indent, ensure_ascii=False)
    path.write_text(written_out, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studio.seeds.json_file.HEAD", 1)
        patch.setattr(Input, "chunks", lambda _self: (written_out[at : at + piece] for at in range(0, len(written_out), piece)))
        records = list(parse_json(Input(path)))
    assert "[" + ", ".join(written(record.raw) for record in records) + "]" == json.dumps(values)
    assert all(not record.faults for record in records)

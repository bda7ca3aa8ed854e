"""CSV and plain text as seed files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.records import Instance
from studio.seeds.reading import inspect_file, read_tasks


def csv_file(tmp_path: Path, text: str, name: str = "seeds.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def faults(path: Path) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.field, fault.fault) for fault in inspect_file(path).faults]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    rows = [["Name", " Instruction ", "input", "output", "is_classification", "id", "note"]]
    rows += [["n", "Good, or; bad?", "a|b\tc", "good", "YES", "7", "ignored"], ["", "Only this.", "", "", "", "", ""]]
    path = tmp_path / "seeds.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    first, second = read_tasks(path)
    assert (first.key, first.name, first.instruction, first.is_classification) == ("7", "n", "Good, or; bad?", True)
    assert first.instances == (Instance("a|b\tc", "good"),)
    assert second.instances == ()


def test_rows_of_one_instruction_are_instances_of_one_task(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,instruction,input,output\n7,Double it.,1,2\n8,Other.,,x\n7,Double it.,2,4\n")
    assert [task.instances for task in read_tasks(path)] == [(Instance("1", "2"), Instance("2", "4")), (Instance("", "x"),)]


def test_line_breaks_within_fields_keep_line_numbers_right(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '\ninstruction,output\n"two\nlines",x\n,y\n')
    found = inspect_file(path)
    assert found.tasks[0].instruction == "two\nlines"
    assert found.lines == (3,)
    assert faults(path) == [(5, "instruction", "empty")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "frage,b\na,b\n",
            (1, "", "the header has no column `instruction`, nor one that stands for it: frage, b (--map says which one it is)"),
        ),
        ("instruction,output,output\na,b,c\n", (1, "", "the header has the column output twice")),
        ("instruction,input,output\nDo it.,x,\n", (2, "output", "empty, though there is an input")),
        ("instruction,is_classification\nDo it.,maybe\n", (2, "is_classification", "neither true nor false")),
        ("instruction,output\nDo it.,x,y\n", (2, "", "3 fields where the header has 2")),
        ("instruction,output\nDo it.,x\nDo it.,x\n", (3, "instruction", "the same as line 2")),
        ('instruction,output\nDo it.,"x\n', (2, "", "broken CSV: a quote is opened and never closed")),
    ],
)
def test_csv_faults(tmp_path: Path, text: str, expected: tuple[int, str, str]) -> None:
    assert faults(csv_file(tmp_path, text)) == [expected]


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "seeds.csv"
    path.write_bytes(b"instruction\nGood one.\ncaf\xe9\n")
    [(line, _, fault)] = faults(path)
    assert (line, fault[:35]) == (3, "not UTF-8: byte 0xE9 at column 4 (W")


def test_plain_text_is_one_instruction_a_line(tmp_path: Path) -> None:
    path = tmp_path / "seeds.txt"
    path.write_bytes("\ufeff  Write a poem. \r\n\r\nSay\u2028hello\nlast".encode())
    tasks = read_tasks(path)
    assert [task.instruction for task in tasks] == ["Write a poem.", "Say\u2028hello", "last"]
    assert not any(task.instances or task.is_classification for task in tasks)


@pytest.mark.parametrize(
    ("text", "kind"), [('{"instruction": "a"}\n', "instructions"), ("instruction;output\na;b\n", "csv"), ("Write a poem.\n", "text")]
)
def test_format_is_seen_in_the_content_when_the_suffix_is_silent(tmp_path: Path, text: str, kind: str) -> None:
    assert inspect_file(csv_file(tmp_path, text, "seeds")).format == kind


@given(st.lists(st.tuples(st.text(min_size=1), st.text(), st.text(min_size=1)), min_size=1, max_size=6))
def test_what_csv_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    # What a CSV file cannot hold, or a task must not be: NUL, surrogates, blanks alone.
    clean = [tuple("".join(c for c in text if c != "\0" and not "\ud800" <= c <= "\udfff") for text in row) for row in rows]
    kept = {f"{place} {row[0]}": Instance(row[1], "x" + row[2]) for place, row in enumerate(clean)}
    path = tmp_path_factory.getbasetemp() / "written.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["instruction", "input", "output"])
        writer.writerows((name, instance.input, instance.output) for name, instance in kept.items())
    assert {task.instruction: task.instances[0] for task in read_tasks(path)} == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'instruction','output'\n'a, b','it''s'\n", [("a, b", "it's")]),
        ("instruction,output\n'a, b','c'\n'd','e'\n", [("a, b", "c"), ("d", "e")]),
        ("instruction,output\n'tis so,don't\nd,'e'\n", [("'tis so", "don't"), ("d", "'e'")]),
        ("~instruction~;~output~\n~a; b~;~c~\n", [("a; b", "c")]),
        ('sep=|\ninstruction|output\na|"b|c"\n', [("a", "b|c")]),
        ('"instruction","my\noutput","output"\na,,b\n', [("a", "b")]),
        ('instruction,output\na,"' + "x" * 500_000 + '"\n', [("a", "x" * 500_000)]),
    ],
)
def test_quotes_of_any_kind_and_fields_of_any_length(tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    found = inspect_file(csv_file(tmp_path, text))
    assert [(task.instruction, task.instances[0].output) for task in found.tasks] == expected
    assert found.faults == ()


def test_columns_whose_names_differ_by_capitals_are_two(tmp_path: Path) -> None:
    found = inspect_file(csv_file(tmp_path, "Instruction,output,Output\na,b,c\n"))
    assert (found.tasks[0].instances[0].output, found.notes) == ("b", ("not taken: Output (1 record)",))

"""Reading seed files: what loads, and what is said of what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import ExitCode, UsageError
from studio.records import Instance, SeedTask
from studio.seeds.reading import bundled_seeds, inspect_file, read_tasks
from support.nasty_text import NASTY_TEXTS

GOOD = {
    "id": "seed_task_0",
    "name": "greeting",
    "instruction": "Greet a guest.",
    "instances": [{"input": "", "output": "Welcome!"}],
    "is_classification": False,
}


OLD_WINDOWS = "Windows-1252? save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8"


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def faults(path: Path) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.field, fault.fault) for fault in inspect_file(path).faults]


def test_loads_the_originals_schema(tmp_path: Path) -> None:
    more = {**GOOD, "id": 7, "instruction": "Other.", "extra": [1], "instances": [{"input": "a", "output": "b", "note": 1}]}
    path = write(tmp_path / "seeds.jsonl", GOOD, more)
    assert read_tasks(path) == [
        SeedTask("seed_task_0", "greeting", "Greet a guest.", (Instance("", "Welcome!"),), False),
        SeedTask("7", "greeting", "Other.", (Instance("a", "b"),), False),
    ]


def test_id_and_name_are_optional(tmp_path: Path) -> None:
    record = {key: GOOD[key] for key in ("instruction", "instances", "is_classification")}
    assert read_tasks(write(tmp_path / "seeds.jsonl", record))[0].key == ""


def test_bundled_seeds_load_and_are_175() -> None:
    tasks = read_tasks(bundled_seeds())
    assert len(tasks) == 175
    assert all(task.instances for task in tasks)


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_nasty_text_loads_as_it_is(tmp_path: Path, text: str) -> None:
    record = {**GOOD, "instruction": "x" + text, "instances": [{"input": text, "output": "y" + text}]}
    task = read_tasks(write(tmp_path / "seeds.jsonl", record))[0]
    assert task.instruction == "x" + text
    assert task.instances == (Instance(text, "y" + text),)


def test_lone_surrogates_become_replacement_characters(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps({**GOOD, "instruction": "cut \ud83d"}) + "\n")
    assert read_tasks(path)[0].instruction == "cut \ufffd"
    assert inspect_file(path).notes == ("halves of surrogate pairs, which no text can hold, replaced by U+FFFD: instruction (1 record)",)


@pytest.mark.parametrize(
    ("change", "field", "fault"),
    [
        ({"instruction": None}, "instruction", "null where text is needed"),
        ({"instruction": 5}, "instruction", "a number where text is needed"),
        ({"instruction": " \n"}, "instruction", "empty"),
        ({"instances": []}, "instances", "empty: at least one instance is needed"),
        ({"instances": {}}, "instances", "an object where a list of objects with input and output is needed"),
        ({"instances": ["x"]}, "instances[0]", "text where an object with input and output is needed"),
        ({"instances": [{"input": "", "output": ""}]}, "instances[0].output", "empty"),
        ({"instances": [{"input": "x"}]}, "instances[0].output", "empty"),
        ({"instances": [{"input": "", "output": "x"}, {"input": [1], "output": "x"}]}, "instances[1].input", "a list where text is needed"),
        ({"is_classification": "maybe"}, "is_classification", "neither true nor false"),
        ({"is_classification": 2}, "is_classification", "a number where true or false is needed"),
    ],
)
def test_names_line_field_and_fault(tmp_path: Path, change: dict[str, object], field: str, fault: str) -> None:
    path = write(tmp_path / "seeds.jsonl", GOOD, {**GOOD, "id": "b", "instruction": "Other.", **change})
    assert faults(path) == [(2, field, fault)]


def test_a_missing_instruction_is_told_with_the_keys_there_are(tmp_path: Path) -> None:
    path = write(tmp_path / "seeds.jsonl", {"text": "Greet.", "made": 1})
    assert faults(path) == [(1, "instruction", "missing: the keys are text, made")]


@pytest.mark.parametrize(("value", "known"), [(None, None), ("", None), ("No", False), (1, True), ("TRUE", True), (False, False)])
def test_whether_a_task_is_classification_may_be_unknown(tmp_path: Path, value: object, known: bool | None) -> None:
    path = write(tmp_path / "seeds.jsonl", {**GOOD, "is_classification": value})
    assert [task.is_classification for task in read_tasks(path)] == [known]


def test_answers_under_a_name_that_nobody_knows_are_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "seeds.jsonl", {"instruction": "Greet.", "instance": [{"input": "", "output": "Hi."}], "tags": ["a"]})
    assert faults(path) == [(0, "", "1 record without an output that is known as one; not taken: instance (1 record)")]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b'{"instruction": nope}', "invalid JSON: Expecting value at column 17"),
        (b"[1, 2]", "a list where an object is needed; write one object on each line"),
        (b'"text"', "text where an object is needed"),
        (b"null", "null where an object is needed"),
        (b'{"instruction": "caf\xe9"}', f"not UTF-8: byte 0xE9 at column 21 ({OLD_WINDOWS})"),
        (b'{"instruction": "a\0b"}', "NUL byte at column 19"),
    ],
)
def test_names_what_is_wrong_with_a_line(tmp_path: Path, line: bytes, fault: str) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    assert faults(path) == [(2, "", fault)]


def test_deeply_nested_and_huge_numbers_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"a": ' * 200_000 + "\n" + '{"id": ' + "1" * 10_000 + "}\n" + "[" * 200_000)
    assert [line for line, _, _ in faults(path)] == [1, 2, 3]


def test_half_written_last_line(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD)[:40])
    [(line, _, fault)] = faults(path)
    assert line == 2
    assert fault.startswith("half-written last line")


def test_complete_last_line_needs_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps(GOOD))
    assert len(read_tasks(path)) == 1


def test_duplicates_name_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "seeds.jsonl", GOOD, {**GOOD, "instruction": "Greet  a guest. "})
    assert faults(path) == [
        (2, "id", "'seed_task_0' is the id of line 1 too"),
        (2, "instruction", "the same as line 1"),
    ]


@pytest.mark.parametrize(
    "mark", [b"SQLite format 3\0", b"PK\x03\x04", b"PARE", b"version https://git-lfs", b"\n<!DOCTYPE HTML>", b"x" * 257 + b"ustar"]
)
def test_what_is_no_text_is_named(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(mark + b"...")
    with pytest.raises(UsageError, match="not text") as caught:
        inspect_file(path)
    assert caught.value.hint


def test_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n  \n")
    assert len(read_tasks(path)) == 1


def test_error_names_the_first_fault_and_how_many_more(tmp_path: Path) -> None:
    path = write(tmp_path / "seeds.jsonl", 1, {**GOOD, "instruction": ""}, GOOD)
    with pytest.raises(UsageError) as caught:
        read_tasks(path)
    assert caught.value.message == f"{path}:1: a number where an object is needed (and 1 more fault)"
    assert "studio seeds check" in caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_tasks_is_a_fault(tmp_path: Path, content: str) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(content)
    assert faults(path) == [(0, "", "the file holds no task")]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        inspect_file(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="is a folder"):
        inspect_file(tmp_path)


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "arbitrary"
    path.write_bytes(content)
    for suffix in (".jsonl", ".csv", ".txt", ""):
        path = path.rename(path.with_suffix(suffix))
        try:
            found = inspect_file(path)
        except UsageError as error:
            assert str(path) in error.message
            continue
        assert found.tasks or found.faults


ROWS = [{"instruction": "One.", "output": "1"}, {"instruction": "Two.", "output": "2"}]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"meta": {"v": 1}, "dataset": {"train": {"rows": ROWS}}}, "dataset.train.rows"),
        ({"data": {"train": ROWS}}, "data.train"),
        ({"data": {"train": ROWS, "by": "me"}, "licence": "mit"}, "data.train"),
    ],
)
def test_records_in_the_depth_of_a_document(tmp_path: Path, document: object, path: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(document), "utf-8")
    found = inspect_file(file)
    assert [task.instruction for task in found.tasks] == ["One.", "Two."]
    assert f"the records stand in {path}; nothing else of the document is taken" in found.notes


def test_two_lists_in_the_depth_of_a_document_are_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"data": {"train": ROWS, "test": ROWS}}), "utf-8")
    [fault] = inspect_file(file).faults
    assert fault.fault.startswith("records stand under train and test")

"""Parquet and Arrow files hold what the same rows hold as JSON lines, whatever the types of their columns."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import struct
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import UsageError
from studio.seeds.fields import NotANumber, Number
from studio.seeds.inputs import Input
from studio.seeds.reading import inspect_file, parse

ROWS: list[dict[str, Any]] = [
    {"instruction": "Übersetze: „Hund“", "input": "", "output": "dog\u2028🐕"},
    {"instruction": "Zähle, bitte; ja?", "input": 'a "b"\\', "output": "2\n3"},
    {"instruction": "漢字", "input": None, "output": "é"},
]


def write_parquet(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path, row_group_size=2)


def write_file(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_stream(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS = {"parquet": write_parquet, "arrow": write_file, "stream": write_stream}


def values(path: Path) -> list[Any]:
    return [parsed.raw for parsed in parse(Input(path))]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["data", "data.jsonl", "data.parquet", "data.csv"])
def test_rows_are_those_of_json_lines_whatever_the_name_says(tmp_path: Path, kind: str, name: str) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    WRITERS[kind](tmp_path / name, pa.Table.from_pylist(ROWS))
    found = inspect_file(tmp_path / name)
    assert found.tasks == inspect_file(lines).tasks and len(found.tasks) == 3
    assert (found.format, found.faults, found.places) == ("alpaca", (), ("[0]", "[1]", "[2]"))


@pytest.mark.parametrize("kind", WRITERS)
def test_conversations_come_as_lists_of_structs(tmp_path: Path, kind: str) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "reasoning_content": "hm"}]
    shares = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]
    instances = [{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]
    for place, row in enumerate([{"messages": turns}, {"conversations": shares}, {"instruction": "Hi", "instances": instances}]):
        path = tmp_path / str(place)
        WRITERS[kind](path, pa.Table.from_pylist([row]))
        lines = tmp_path / "lines.jsonl"
        lines.write_text(json.dumps(row))
        assert inspect_file(path).tasks == inspect_file(lines).tasks
        assert inspect_file(path).faults == ()


def test_a_sequence_of_structs_as_datasets_writes_it_is_a_conversation(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"conversations": {"from": ["human", "gpt"], "value": ["Hi", "Ho"]}}])
    write_parquet(tmp_path / "x", table)
    [task] = inspect_file(tmp_path / "x").tasks
    assert (task.instruction, task.instances[0].output) == ("Hi", "Ho")


def test_values_of_every_type_are_as_they_are_written(tmp_path: Path) -> None:
    when = datetime.datetime(2020, 1, 2, 3, 4, 5)
    columns = {
        "large": pa.array(["x"], pa.large_string()),
        "view": pa.array(["x"], pa.string_view()),
        "word": pa.array(["x"]).dictionary_encode(),
        "int": pa.array([2**60 + 1]),
        "double": pa.array([0.1]),
        "float": pa.array([0.1], pa.float32()),
        "nan": pa.array([float("nan")]),
        "money": pa.array([Decimal("1.50")]),
        "day": pa.array([when.date()]),
        "time": pa.array([when], pa.timestamp("ns")),
        "yes": pa.array([True]),
        "none": pa.array([None], pa.string()),
        "null": pa.nulls(1),
        "map": pa.array([[("k", 1.5)]], pa.map_(pa.string(), pa.float32())),
        "list": pa.array([[Decimal("1.50"), None]]),
        "fixed": pa.array([[0.5, 1.5]], pa.list_(pa.float32(), 2)),
        "struct": pa.array([{"at": when, "words": ["a"]}]),
    }
    write_file(tmp_path / "x", pa.table(columns))
    [found] = values(tmp_path / "x")
    assert found == {
        **dict.fromkeys(("large", "view", "word"), "x"),
        "int": str(2**60 + 1),
        "double": "0.1",
        "float": "0.1",
        "nan": "NaN",
        "money": "1.50",
        "day": "2020-01-02",
        "time": "2020-01-02 03:04:05.000000000",
        "yes": True,
        "none": None,
        "null": None,
        "map": {"k": "1.5"},
        "list": ["1.50", None],
        "fixed": ["0.5", "1.5"],
        "struct": {"at": "2020-01-02 03:04:05.000000", "words": ["a"]},
    }
    assert all(isinstance(found[name], Number) for name in ("int", "double", "float", "money"))
    assert isinstance(found["nan"], NotANumber) and isinstance(found["list"][0], Number)


@pytest.mark.parametrize("kind", WRITERS)
def test_bytes_pictures_and_pandas_index_are_told_and_not_taken(tmp_path: Path, kind: str) -> None:
    row = {"instruction": "Hi", "output": "Ho", "image": {"bytes": b"\xff\xd8", "path": "a.jpg"}, "blob": b"\xff", "__index_level_0__": 7}
    WRITERS[kind](tmp_path / "x", pa.Table.from_pylist([row]))
    found = inspect_file(tmp_path / "x")
    assert [task.instruction for task in found.tasks] == ["Hi"]
    assert set(found.notes) == {"not taken, for they hold bytes: image, blob", "the index that pandas wrote is not taken"}


def test_numbers_that_stand_for_classes_are_their_names(tmp_path: Path) -> None:
    features = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}, "other": {"names": "x", "_type": "ClassLabel"}, "odd": 7}
    table = pa.table({"instruction": ["a", "b", "c"], "label": [1, -1, None], "other": [0, 1, 2]})
    for said, labels in (
        ({"info": {"features": {**features, "odd": {}}}}, ["good", "-1", None]),
        ({"info": {"features": features}}, ["1", "-1", None]),
    ):
        write_parquet(tmp_path / "x", table.replace_schema_metadata({"huggingface": json.dumps(said)}))
        assert [row["label"] for row in values(tmp_path / "x")] == labels
        assert [row["other"] for row in values(tmp_path / "x")] == ["0", "1", "2"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**62), 2**62).map(float))


@settings(max_examples=25)
@given(st.lists(st.tuples(TEXTS, TEXTS, NUMBERS), min_size=1, max_size=5), st.sampled_from(sorted(WRITERS)))
def test_any_rows_are_those_of_json(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, float | None]], kind: str
) -> None:
    rows = [{"instruction": "x" + asked, "output": answer, "score": score} for asked, answer, score in texts]
    folder = tmp_path_factory.getbasetemp()
    WRITERS[kind](folder / "any", pa.Table.from_pylist(rows))
    (folder / "any.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert values(folder / "any") == values(folder / "any.jsonl")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    WRITERS[kind](path, pa.Table.from_pylist(ROWS * 50))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="and damaged: ") as caught:
        list(parse(Input(path)))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("kind", ["arrow", "stream"])
def test_texts_whose_places_lie_are_found_before_they_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    WRITERS[kind](path, pa.table({"instruction": ["hello", "world"]}))
    there, lying = struct.pack("<3i", 0, 5, 10), struct.pack("<3i", 0, 5, 10**9)
    assert there in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(there, lying))
    with pytest.raises(UsageError, match="is Arrow, and damaged: "):
        list(parse(Input(path)))


@pytest.mark.parametrize("kind", WRITERS)
def test_texts_that_are_no_utf_8_are_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    WRITERS[kind](path, pa.table({"instruction": ["hello"]}))
    path.write_bytes(path.read_bytes().replace(b"hello", b"h\xffllo"))
    with pytest.raises(UsageError, match="UTF8"):
        list(parse(Input(path)))


@pytest.mark.parametrize(("library", "kind"), [("pyarrow", "parquet"), ("pyarrow", "stream"), ("python_calamine", ""), ("zstandard", "")])
def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, kind: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" if library == "python_calamine" else b"\x28\xb5\x2f\xfd")
    if kind:
        WRITERS[kind](path, pa.Table.from_pylist(ROWS))
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match="with packages that are not installed") as caught:
        list(parse(Input(path)))
    assert "pip install 'self-instruct-studio[data]'" in caught.value.hint


def test_two_columns_of_one_name_are_told(tmp_path: Path) -> None:
    write_file(tmp_path / "x", pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["instruction", "instruction"]))
    with pytest.raises(UsageError, match="column instruction twice"):
        list(parse(Input(tmp_path / "x")))


@pytest.mark.parametrize("kind", WRITERS)
def test_packed_files_and_pipes_are_read(tmp_path: Path, kind: str) -> None:
    plain, packed, pipe = tmp_path / "x", tmp_path / "x.gz", tmp_path / "pipe"
    WRITERS[kind](plain, pa.Table.from_pylist(ROWS))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", plain, pipe]):
        piped = inspect_file(pipe)
    assert inspect_file(packed).tasks == piped.tasks == inspect_file(plain).tasks


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """One row group of eighty megabytes, of which pyarrow never holds a fourth."""
    path = tmp_path / "x.parquet"
    schema = pa.schema({"instruction": pa.string(), "output": pa.string()})
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        table = pa.table({"instruction": [f"Say {n}" for n in range(50_000)], "output": [f"{n} " * 300 for n in range(50_000)]}, schema)
        writer.write_table(table)
    code = (
        "import sys, pyarrow\nfrom pathlib import Path\nfrom studio.seeds.inputs import Input\nfrom studio.seeds.reading import parse\n"
        "number = sum(1 for parsed in parse(Input(Path(sys.argv[1]))))\nprint(number, pyarrow.default_memory_pool().max_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    number, held = map(int, done.stdout.split())
    assert number == 50_000
    assert held < path.stat().st_size / 4

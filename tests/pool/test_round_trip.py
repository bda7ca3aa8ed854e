"""Out of a pool and into another one: what each format keeps comes back byte for byte, and what it does not keep is told."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from studio.pool.exchange.formats import FORMATS, INSTANCES
from studio.pool.exchange.importing import ImportOptions, import_files
from studio.pool.pool import Pool
from studio.records import Instance, Origin, SeedTask, Turn
from studio.seeds.inputs import Input
from studio.seeds.reading import parse
from support.nasty_text import NASTY_TEXTS
from support.pairs import pool_with_pairs
from support.pools import export

MORE = (
    *("\n\nOutput:", "Output: x\n\nOutput: y", "a\n\nb", "Human: x\n\nAssistant: y", "<think>Hm.</think>\n\nYes", "half \ud83d"),
    *("0", "true", "Example 1\nOutput: x", '[{"role": "user"}]', "\ufeffmark", "null", "Class label: x"),
)
ANY = st.sampled_from((*NASTY_TEXTS, *MORE)) | st.text(max_size=6)
TEXT = ANY.filter(str.strip)
ROLES = st.sampled_from(("user", "assistant", "system", "tool", "observation"))
TURN = st.builds(Turn, ROLES, ANY) | st.builds(Turn, st.just("assistant"), TEXT, TEXT)
EXCHANGES = st.lists(st.tuples(st.builds(Turn, st.just("user"), TEXT), st.builds(Turn, st.just("assistant"), TEXT)), max_size=2)
TURNS = st.lists(TURN, max_size=3) | EXCHANGES.map(lambda pairs: [turn for pair in pairs for turn in pair])
INSTANCE = st.builds(
    Instance,
    st.just("") | ANY,
    TEXT,
    st.just("") | TEXT,
    st.just("") | TEXT,
    st.just(()) | TURNS.map(tuple),
)
TASKS = st.lists(
    st.builds(
        SeedTask, ANY, ANY, TEXT, st.lists(INSTANCE, min_size=1, max_size=3, unique=True).map(tuple), st.sampled_from((True, False, None))
    ),
    min_size=1,
    max_size=4,
)
OF_THE_ORIGINAL = {"raw_instances", "instance_metadata", "instruction_metadata", "most_similar", "avg_similarity_score"}
SINGLE = tuple(name for name, each in FORMATS.items() if not each.paired and not each.files and name != "raw")
BRIEFLY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def bring(pool: Path, path: Path, **options: Any) -> Path:
    """A new pool with the tasks of a file."""
    with Pool.create(pool, []) as made:
        [report] = import_files(made.tasks, [path], ImportOptions(**options))
        assert report.tally.untaken.keys() <= OF_THE_ORIGINAL
    return pool


def through(folder: Path, first: Path, name: str, suffix: str = "jsonl") -> tuple[Path, Path, Path]:
    """Three exports, each of a pool that has the one before it."""
    found = []
    pool = first
    for number in range(3):
        found.append(folder / f"{name}-{number}.{suffix}")
        export(pool, found[-1], name)
        if number < 2:
            brought = found[-1] / INSTANCES if found[-1].is_dir() else found[-1]
            pool = bring(folder / f"{name}-{number}.db", brought)
    return found[0], found[1], found[2]


def in_the_order_of_questions(path: Path) -> list[bytes]:
    """The lines of a file, each once, those of one question together where its first line stands."""
    lines = path.read_bytes().splitlines(keepends=True)
    grouped: dict[str, dict[bytes, None]] = defaultdict(dict)
    for line, parsed in zip(lines, parse(Input(path)), strict=True):
        assert parsed.task is not None
        grouped[parsed.task.instruction][line] = None
    # White space aside two questions are one: of the second the first's blanks are taken, which no format can help.
    assume(len({" ".join(text.split()) for text in grouped}) == len(grouped))
    return [line for group in grouped.values() for line in group]


def made(folder: Path, tasks: Sequence[SeedTask]) -> Path:
    assume(len({" ".join(task.instruction.split()) for task in tasks}) == len(tasks))
    with Pool.create(folder / "first.db", []) as pool:
        pool.tasks.add(tasks, Origin.IMPORTED)
    return folder / "first.db"


@pytest.mark.parametrize("name", SINGLE)
@BRIEFLY
@given(tasks=TASKS)
def test_what_a_format_holds_comes_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, name: str, tasks: list[SeedTask]) -> None:
    folder = tmp_path_factory.mktemp("trip")
    first, second, third = through(folder, made(folder, tasks), name)
    assert second.read_bytes().splitlines(keepends=True) == in_the_order_of_questions(first)
    assert third.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", [*SINGLE, "raw"])
@settings(BRIEFLY, max_examples=5)
@given(tasks=TASKS)
def test_it_comes_back_as_parquet_too(tmp_path_factory: pytest.TempPathFactory, name: str, tasks: list[SeedTask]) -> None:
    folder = tmp_path_factory.mktemp("trip")
    _, second, third = through(folder, made(folder, tasks), name, "parquet")
    assert third.read_bytes() == second.read_bytes()


CONTENT = ("key", "name", "instruction", "is_classification")


def content(path: Path) -> list[dict[str, Any]]:
    """What the records of a raw export, or of the original's files, hold of tasks."""
    names = ("input", "output", "thoughts", "system", "turns")
    found = []
    for line in path.read_bytes().splitlines():
        record = json.loads(line)
        instances = [{name: each[name] for name in names if name in each} for each in record["instances"]]
        found.append({**{name: record.get(name) for name in CONTENT}, "instances": instances})
    return found


def beside(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a raw record says of a task beside its content, and that is something."""
    known = {name: value for name, value in record.items() if name not in (*CONTENT, "instances") and value not in (None, "", [])}
    scores = [{name: each[name] for name in ("agreement", "nats") if name in each} for each in record["instances"]]
    return {**known, **({"instances": scores} if any(scores) else {})}


@BRIEFLY
@given(tasks=TASKS)
def test_raw_keeps_everything_and_is_the_same_from_the_second_time_on(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[SeedTask]
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    first, second, third = through(folder, made(folder, tasks), "raw")
    assert content(second) == content(first)
    assert third.read_bytes() == second.read_bytes()


def test_raw_keeps_what_is_known_of_generated_tasks(tmp_path: Path) -> None:
    first, second, third = through(tmp_path, pool_with_pairs(tmp_path / "pool.db"), "raw")
    assert content(second) == content(first)
    before, after = ([json.loads(line) for line in path.read_bytes().splitlines()] for path in (first, second))
    assert [record["provenance"] for record in after] == [beside(record) for record in before]
    assert any({"parents", "score", "model"} <= record["provenance"].keys() for record in after)
    assert third.read_bytes() == second.read_bytes()


@BRIEFLY
@given(tasks=TASKS)
def test_the_files_of_the_original_keep_the_content_and_are_the_same_from_the_second_time_on(
    tmp_path_factory: pytest.TempPathFactory, tasks: list[SeedTask]
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    first, second, third = through(folder, made(folder, tasks), "self-instruct")
    assert content(second / INSTANCES) == content(first / INSTANCES)
    for path in second.iterdir():
        assert (third / path.name).read_bytes() == path.read_bytes()

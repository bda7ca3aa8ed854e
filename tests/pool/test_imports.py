"""Tasks that are brought: those of equal instructions become one, and the files that they came from stand in the pool, for all to see."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import UsageError
from studio.insight.statistics import statistics
from studio.insight.statistics_report import file_rows, report
from studio.launch import Opening, RunRequest
from studio.loop.runs import Configuration, RunOptions
from studio.pool import imports
from studio.pool.exchange.importing import ImportOptions, import_files
from studio.pool.imports import Added, ImportedFile
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, SeedTask, Task
from support.tables import printed

LINES = "".join(json.dumps({"instruction": f"Say {n}", "output": str(n)}) + "\n" for n in range(3))


def test_a_file_is_noted_with_what_it_brought(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.jsonl", tmp_path / "packed.jsonl.gz"
    plain.write_text(LINES)
    packed.write_bytes(gzip.compress((LINES + '{"instruction": "Say 0", "output": "nought"}\n').encode()))
    with Pool.create(tmp_path / "pool.db", []) as pool:
        import_files(pool.tasks, [plain, packed], ImportOptions())
        first, second = pool.imports.all()
    for found, path in ((first, plain), (second, packed)):
        stored = path.read_bytes()
        assert (found.name, found.sha256, found.size) == (path.name, hashlib.sha256(stored).hexdigest(), len(stored))
        assert (found.origin, found.format, found.licence) == (Origin.IMPORTED, "alpaca", "") and found.imported_at
    assert (first.records, first.tasks, first.joined) == (3, 3, 0)
    assert (second.records, second.tasks, second.joined) == (4, 0, 1)


def test_what_is_refused_is_not_noted(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(LINES)
    bad.write_text("{}\n")
    with Pool.create(tmp_path / "pool.db", []) as pool:
        with pytest.raises(UsageError):
            import_files(pool.tasks, [good, bad], ImportOptions())
        assert pool.imports.all() == []


def test_seeds_of_a_new_pool_are_noted_and_told(tmp_path: Path) -> None:
    seeds = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    seeds[0].write_text(LINES)
    seeds[1].write_text(LINES + '{"instruction": "Sing", "output": "la"}\n')
    opening = Opening(RunRequest(tmp_path / "pool.db", Configuration(RunOptions()), tuple(seeds)))
    files = opening.files
    opening.close()
    assert [(each.name, each.records, each.tasks) for each in files] == [("a.jsonl", 3, 3), ("b.jsonl", 4, 1)]
    Pool.create(
        tmp_path / "pool.db", [], files=[*files, ImportedFile("x|y\x1b", Origin.SEED, "text", "f" * 64, 1, 1, 1, licence="mit")]
    ).close()
    with Queries.open(tmp_path / "pool.db") as reader:
        figures = statistics(reader)
    assert [(each.name, each.origin) for each in figures.files[:2]] == [("a.jsonl", "seed"), ("b.jsonl", "seed")]
    assert file_rows(figures)[2] == ("x|y␛", "seed", "text", "1", "mit", "f" * 12)


def test_of_many_files_a_terminal_gets_the_first(tmp_path: Path) -> None:
    files = [ImportedFile(f"part{number:02}", Origin.SEED, "text", "f" * 64, 1, 1, 1) for number in range(40)]
    Pool.create(tmp_path / "pool.db", [], files=files).close()
    with Queries.open(tmp_path / "pool.db") as reader:
        figures = statistics(reader)
    shown = printed(report(figures), 120)
    assert "part29" in shown and "part30" not in shown and "and 10 more files" in shown
    assert len(file_rows(figures)) == 40


few = st.sampled_from(("", "a", "b"))
instances = st.builds(Instance, few, st.sampled_from(("x", "y")), few)
tasks = st.builds(
    SeedTask,
    key=st.just(""),
    name=few,
    instruction=st.sampled_from(("One.", "Two.", " One. ")),
    instances=st.lists(instances, max_size=3).map(tuple),
    is_classification=st.sampled_from((None, True, False)),
)


def brought(given_tasks: list[SeedTask], long: int) -> tuple[list[Added], list[Task]]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "_LONG", long)
        with Pool.create(Path(folder) / "pool.db", ()) as pool:
            with pool.tasks.importing(Origin.IMPORTED) as adding:
                added = [adding.add(task) for task in given_tasks]
            return added, pool.tasks.many(list(pool.tasks.ids()))


@given(st.lists(tasks, min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_what_waits_is_joined_as_what_is_written(given_tasks: list[SeedTask]) -> None:
    # A task that may have no instance while it waits is written as soon as another of its instruction comes.
    assert brought(given_tasks, 20) == brought(given_tasks, 0)

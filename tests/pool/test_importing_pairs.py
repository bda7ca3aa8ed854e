"""Pairs of a better and a worse answer: kept apart from the data, tied to each other, and out again as they came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.errors import PoolError
from studio.pool.exchange.export import ExportOptions, export_to_files
from studio.pool.exchange.importing import FileReport, ImportOptions, import_files
from studio.pool.pool import Pool, Queries
from support.generated_pool import build_pool
from support.pairs import pool_with_pairs, task_of
from support.pools import ask, assert_sound


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return build_pool(tmp_path / "pool.db", (), with_import=False)


def pair(chosen: str, rejected: str, prompt: str = "Q") -> dict[str, str]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def bring(pool: Path, records: list[dict[str, Any]], **options: Any) -> FileReport:
    path = pool.with_name("pairs.jsonl")
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    with Pool.open(pool) as opened:
        [report] = import_files(opened.tasks, [path], ImportOptions(**options))
    assert_sound(pool)
    return report


def export(pool: Path, name: str = "preference-text") -> Path:
    target = pool.with_name(f"{pool.stem}.{name}.jsonl")
    with Queries.open(pool) as source:
        export_to_files(source.stream, target, ExportOptions(name), pool)
    return target


def pairs(path: Path) -> list[tuple[str, str, str]]:
    """Prompt, chosen and rejected of each line."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [(row["prompt"], row["chosen"], row["rejected"]) for row in rows]


def test_the_worse_answer_is_kept_and_is_not_data(pool: Path) -> None:
    report = bring(pool, [pair("A", "B")])
    assert (report.imported, report.worse) == (1, 1)
    assert any("1 worse answer of pairs kept" in note for note in report.notes())
    rows = ask(pool, "SELECT output, verdict, reason, lost_to FROM instances WHERE task_id = 3 ORDER BY position")
    assert rows == [("A", "accepted", "valid", None), ("B", "rejected", "dispreferred", 0)]
    assert json.loads(export(pool, "alpaca").read_text()) == {"instruction": "Q", "input": "", "output": "A"}
    [line] = export(pool).read_text().splitlines()
    assert json.loads(line) == {
        **pair("A", "B"),
        "evidence": {"because": "imported", "reason": "", "chosen": 1.0, "rejected": 0.0, "raters": 0},
    }


def test_only_those_are_paired_that_came_as_a_pair(pool: Path) -> None:
    report = bring(pool, [pair("A", "B"), pair("C", "D"), pair("A", "E"), pair("A", "B")])
    assert (report.imported, report.joined, report.worse, report.duplicates) == (1, 1, 3, 1)
    assert pairs(export(pool)) == [("Q", "A", "B"), ("Q", "A", "E"), ("Q", "C", "D")]
    again = bring(pool, [pair("C", "D"), pair("A", "F")])
    assert (again.imported, again.joined, again.worse, again.duplicates) == (0, 0, 1, 1)
    assert pairs(export(pool)) == [("Q", "A", "B"), ("Q", "A", "E"), ("Q", "A", "F"), ("Q", "C", "D")]


def test_a_ranking_is_kept_and_a_contradiction_gives_nothing(pool: Path) -> None:
    bring(pool, [pair("A", "B"), pair("B", "C"), pair("X", "Y", "other"), pair("Y", "X", "other")])
    assert pairs(export(pool)) == [("Q", "A", "B"), ("Q", "B", "C")]


def test_a_pair_whose_better_answer_a_person_changed_or_dropped_is_none(pool: Path) -> None:
    bring(pool, [pair("A", "B"), pair("C", "D", "other")])
    with Pool.open(pool) as opened:
        from studio.pool.actions.ledger import Note

        first, second = (opened.instances.of_task(task_of(opened, name))[0].id for name in ("Q", "other"))
        opened.ledger.change_instance(Note("edit instance", "x"), first, {"output": "Better.", "verdict": "accepted", "reason": "edited"})
        opened.ledger.change_instance(Note("drop instance", "x"), second, {"verdict": "rejected", "reason": "by_hand"})
    assert pairs(export(pool)) == [("Q", "Better.", "A")]


def test_instructions_alone_leave_the_pairs_out(pool: Path) -> None:
    report = bring(pool, [pair("A", "B")], instructions_only=True)
    assert (report.imported, report.worse, report.left_out) == (1, 0, 1)
    with pytest.raises(PoolError, match="nothing to export"):
        export(pool)


def test_pairs_do_not_join_what_is_no_import(tmp_path: Path) -> None:
    pool = pool_with_pairs(tmp_path / "pool.db")
    report = bring(pool, [pair("Azure.", "Red.", "Name the colour.")])
    assert (report.imported, report.refused, report.worse) == (0, 2, 0)


@pytest.mark.parametrize("name", ["preference", "preference-text"])
def test_what_comes_back_goes_out_again_as_it_came(tmp_path: Path, name: str) -> None:
    """The texts of the first export are those of the second; from that on, bytes are the same: the evidence is then the import."""
    known = pool_with_pairs(tmp_path / "known.db")
    files = [export(known, name)]
    for number in range(3):
        pool = build_pool(tmp_path / f"{number}.db", (), with_import=False)
        with Pool.open(pool) as opened:
            [report] = import_files(opened.tasks, [files[-1]], ImportOptions())
        assert set(report.tally.untaken) == {"evidence"}
        files.append(export(pool, name))
    assert pairs(files[1]) == pairs(files[0])
    assert files[1].read_bytes() == files[2].read_bytes() == files[3].read_bytes() != files[0].read_bytes()

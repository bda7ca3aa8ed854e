"""Pairs of a better and a worse answer: kept apart from the data, tied to each other, and out again as they came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import PoolError
from studio.insight.lint.api import LintOptions
from studio.insight.lint.run import chosen_lints, without_findings
from studio.insight.tables import silent
from studio.pool.browse import Keep
from studio.pool.exchange.export import ExportOptions, export_to_files
from studio.pool.exchange.importing import FileReport, ImportOptions, import_files
from studio.pool.ledger import Note
from studio.pool.pool import Pool, Queries
from support.generated_pool import build_pool
from support.nasty_text import NASTY_TEXTS
from support.pairs import EDITED, edit, pool_with_pairs, task_of
from support.pools import ask, assert_sound, export


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


def exported(pool: Path, name: str = "preference-text") -> Path:
    target = pool.with_name(f"{pool.stem}.{name}.jsonl")
    export(pool, target, name)
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
    assert json.loads(exported(pool, "alpaca").read_text()) == {"instruction": "Q", "input": "", "output": "A"}
    [line] = exported(pool).read_text().splitlines()
    assert json.loads(line) == {
        **pair("A", "B"),
        "evidence": {"because": "imported", "reason": "", "chosen": 1.0, "rejected": 0.0, "raters": 0},
    }


def test_a_pair_without_a_better_answer_is_a_fault_of_its_own(pool: Path) -> None:
    report = bring(pool, [pair("A", "B"), pair(" ", "Only a worse one.", "other"), pair("", "", "a third")], skip_invalid=True)
    assert (report.imported, report.tally.faulty, report.worse) == (2, 1, 1)
    assert pairs(exported(pool)) == [("Q", "A", "B")]


def test_only_those_are_paired_that_came_as_a_pair(pool: Path) -> None:
    report = bring(pool, [pair("A", "B"), pair("C", "D"), pair("A", "E"), pair("A", "B")])
    assert (report.imported, report.joined, report.worse, report.duplicates) == (1, 1, 3, 1)
    assert pairs(exported(pool)) == [("Q", "A", "B"), ("Q", "A", "E"), ("Q", "C", "D")]
    again = bring(pool, [pair("C", "D"), pair("A", "F")])
    assert (again.imported, again.joined, again.worse, again.duplicates) == (0, 0, 1, 1)
    assert pairs(exported(pool)) == [("Q", "A", "B"), ("Q", "A", "E"), ("Q", "A", "F"), ("Q", "C", "D")]


def test_a_ranking_is_kept_and_a_contradiction_gives_nothing(pool: Path) -> None:
    bring(pool, [pair("A", "B"), pair("B", "C"), pair("X", "Y", "other"), pair("Y", "X", "other")])
    assert pairs(exported(pool)) == [("Q", "A", "B"), ("Q", "B", "C")]


def test_a_pair_whose_better_answer_a_person_changed_or_dropped_is_none(pool: Path) -> None:
    bring(pool, [pair("A", "B"), pair("C", "D", "other")])
    with Pool.open(pool) as opened:
        first, second = (opened.instances.of_task(task_of(opened, name))[0].id for name in ("Q", "other"))
        opened.ledger.change_instance(Note("edit instance", "x"), first, {"output": "Better.", "verdict": "accepted", "reason": "edited"})
        opened.ledger.change_instance(Note("drop instance", "x"), second, {"verdict": "rejected", "reason": "by_hand"})
    assert pairs(exported(pool)) == [("Q", "Better.", "A")]


def test_instructions_alone_leave_the_pairs_out(pool: Path) -> None:
    report = bring(pool, [pair("A", "B")], instructions_only=True)
    assert (report.imported, report.worse, report.left_out) == (1, 0, 1)
    with pytest.raises(PoolError, match="nothing to export"):
        exported(pool)


def test_pairs_do_not_join_what_is_no_import(tmp_path: Path) -> None:
    pool = pool_with_pairs(tmp_path / "pool.db")
    report = bring(pool, [pair("Azure.", "Red.", "Name the colour.")])
    assert (report.imported, report.refused, report.worse) == (0, 2, 0)


@pytest.mark.parametrize("name", ["preference", "preference-text"])
def test_what_comes_back_goes_out_again_as_it_came(tmp_path: Path, name: str) -> None:
    """The texts of the first export are those of the second; from that on, bytes are the same: the evidence is then the import."""
    known = pool_with_pairs(tmp_path / "known.db")
    files = [exported(known, name)]
    for number in range(3):
        pool = build_pool(tmp_path / f"{number}.db", (), with_import=False)
        with Pool.open(pool) as opened:
            [report] = import_files(opened.tasks, [files[-1]], ImportOptions())
        assert set(report.tally.untaken) == {"evidence"}
        files.append(exported(pool, name))
    assert pairs(files[1]) == pairs(files[0])
    assert files[1].read_bytes() == files[2].read_bytes() == files[3].read_bytes() != files[0].read_bytes()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3) | st.sampled_from(NASTY_TEXTS)
PAIRS = st.lists(st.tuples(st.sampled_from(["Q", "Other"]), TEXT.filter(str.strip), TEXT), min_size=1, max_size=12)


@settings(max_examples=20, deadline=None)
@given(PAIRS)
def test_all_that_was_said_of_two_answers_comes_out_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str, str]]
) -> None:
    said = {(prompt, chosen.strip(), rejected.strip()) for prompt, chosen, rejected in records if chosen.strip() and rejected.strip()}
    expected = {each for each in said if each[1] != each[2] and (each[0], each[2], each[1]) not in said}
    pool = build_pool(tmp_path_factory.mktemp("pairs") / "pool.db", (), with_import=False)
    bring(pool, [pair(chosen, rejected, prompt) for prompt, chosen, rejected in records])
    if not expected:
        with pytest.raises(PoolError, match="nothing to export"):
            exported(pool)
        return
    found = pairs(exported(pool))
    assert len(found) == len(expected)
    assert {(prompt, chosen.strip(), rejected.strip()) for prompt, chosen, rejected in found} == expected
    assert set(found) <= set(records), "to the letter"


def test_the_better_answer_has_to_be_among_what_is_asked_for(tmp_path: Path) -> None:
    pool = pool_with_pairs(tmp_path / "pool.db")
    target = tmp_path / "data.jsonl"

    def because(**options: Any) -> list[str]:
        export(pool, target, "preference", **options)
        return [json.loads(line)["evidence"]["because"] for line in target.read_text().splitlines()]

    assert because(keep=Keep(min_agreement=0.5, scored=True)) == ["checked", "agreement"]
    assert because(keep=Keep(min_quality=0.8)) == ["rated"]
    summary = export(pool, target, "preference", split=0.5)
    assert sum(summary.records.values()) == 5 and all(summary.records.values())
    with Pool.open(pool) as opened:
        edit(opened, EDITED, "of the sky", "Ask ada.rent@somewhere.org about it.")
    options = ExportOptions("preference")
    with Queries.open(pool) as source, source.one_state():
        sound = without_findings(source, chosen_lints(["email"], with_file=False), LintOptions(), options, silent)
        summary = export_to_files(sound, target, options, pool)
    assert dict(summary.kinds) == {"rated": 1, "checked": 2, "agreement": 1}

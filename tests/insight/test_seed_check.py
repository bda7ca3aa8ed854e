"""The figures of seed files and `studio seeds`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from studio.cli.task_files import seeds_command
from studio.insight.overlap.files import seed_figures
from studio.seeds.reading import bundled_seeds, inspect_file


def seed(instruction: str, *, classification: bool = False, given: str = "") -> str:
    instances = [{"input": given, "output": "x"}]
    return json.dumps({"instruction": instruction, "instances": instances, "is_classification": classification}) + "\n"


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.jsonl"
    path.write_text(
        seed("Write a short poem about the sea")
        + seed("List five reasons to learn chess", given="n")
        + seed("Write a short poem about the wind", classification=True)
        + seed("Write a long story about the wind")
    )
    return path


def test_figures(seeds: Path) -> None:
    found = seed_figures(inspect_file(seeds))
    assert (found.tasks, found.classification, found.instances, found.empty_inputs) == (4, 1, 4, 3)
    assert found.classification_share == 0.25
    assert found.empty_input_share == 0.75
    assert found.mean_words == pytest.approx(27 / 4)
    assert found.highest is not None
    assert (found.highest.line, found.highest.other) == (3, 1)
    assert found.highest.score == pytest.approx(6 / 7)
    assert [(pair.line, pair.other) for pair in found.similar] == [(3, 1), (4, 3), (4, 1)]
    assert "not new" in found.similar[0].warning


def test_many_tasks_are_compared_across_chunks(tmp_path: Path) -> None:
    path = tmp_path / "seeds.txt"
    path.write_text("".join(f"Task{n} word{n} thing{n}\n" for n in range(400)) + "Task3 word3 thing3 more\n")
    found = seed_figures(inspect_file(path))
    assert [(pair.line, pair.other) for pair in found.similar] == [(401, 4)]


def test_check_prints_figures_and_exits_with_0(seeds: Path) -> None:
    result = CliRunner().invoke(seeds_command, ["check", str(seeds)])
    assert result.exit_code == 0
    assert "4 tasks (self-instruct), 25.0% classification" in result.output
    assert f"{seeds}:3: warning: ROUGE-L 0.86 to line 1" in result.output


def test_check_lists_every_fault_and_exits_with_2(seeds: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad\x1b[31m.jsonl"
    bad.write_text('{"instruction": "\\u001b[2J", "input": "x"}\nnope\n')
    result = CliRunner().invoke(seeds_command, ["check", str(seeds), str(bad)])
    assert result.exit_code == 2
    assert ":1: output: empty, though there is an input" in result.output
    assert ":2: invalid JSON" in result.output
    assert "\x1b" not in result.output


def test_check_json(seeds: Path) -> None:
    seeds.write_text(seeds.read_text() + "nope\n")
    result = CliRunner().invoke(seeds_command, ["check", "--json", str(seeds)])
    assert result.exit_code == 2
    [found] = json.loads(result.output)["files"]
    assert (found["tasks"], found["classification"], found["empty_inputs"]) == (4, 1, 3)
    assert found["faults"] == [{"line": 5, "index": None, "field": "", "fault": "invalid JSON: Expecting value at column 1"}]
    assert found["warnings"][0]["line"] == 3


def test_path_prints_where_the_bundled_seeds_are() -> None:
    result = CliRunner().invoke(seeds_command, ["path"])
    assert Path(result.output.strip()) == bundled_seeds()


def test_bundled_seeds_pass_their_own_check() -> None:
    found = seed_figures(inspect_file(bundled_seeds()))
    assert not found.similar
    assert 0.10 <= found.classification_share <= 0.20
    assert 0.20 <= found.empty_input_share <= 0.40
    assert 12 <= found.mean_words <= 18

"""What each lint says of a hand-made table, and that its help states those figures."""

from __future__ import annotations

import pytest

from studio.insight.lint.api import LintTask, Measured
from studio.insight.lint.registry import LINTS
from studio.pool.stream import LintInstance
from support.lint_tables import FAULTY, SOUND, Row

CHECKS = [code for code, lint in LINTS.items() if lint.check is not None]


def reported(code: str, row: Row) -> bool:
    """Whether the lint reports the task of a row; each finding must name the task and words of it."""
    check = LINTS[code].check
    assert check is not None
    instruction, given, answer = row
    findings = list(check(LintTask(7, instruction, False, (LintInstance(9, given, answer),))))
    for finding in findings:
        assert finding.task_id == 7
        assert finding.instance_id in (None, 9)
        assert finding.words.rstrip("…") in f"{instruction}\n{given}\n{answer}"
    return bool(findings)


def test_every_lint_of_single_tasks_has_a_table() -> None:
    assert set(FAULTY) == set(SOUND) == set(CHECKS)


@pytest.mark.parametrize("code", CHECKS)
def test_the_figures_in_the_help_are_those_of_the_table(code: str) -> None:
    faulty = [reported(code, row) for row in FAULTY[code]]
    sound = [reported(code, row) for row in SOUND[code]]
    assert Measured(sum(faulty), len(faulty), sum(sound), len(sound)) == LINTS[code].measured


@pytest.mark.parametrize("code", CHECKS)
def test_no_lint_reports_an_empty_task(code: str) -> None:
    assert not reported(code, ("", "", ""))


@pytest.mark.parametrize(
    "piece", ["“", "'", '"', " ", "\n", "[your ", "a@a.", "1 ", "the following ", "I am ", "password is ", "this text "]
)
def test_a_long_text_of_one_piece_is_looked_through(piece: str) -> None:
    """Patterns that take the square of a text's length would not come back from this."""
    text = piece * 20_000
    for code in CHECKS:
        for row in ((text, "", "no"), ("Summarise the following text", text, text), ("Name it", "", f"I'm sorry{text}")):
            reported(code, row)

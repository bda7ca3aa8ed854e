"""`studio lint`: what is wrong with a pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio.cli.shared import INPUT, POOL, print_json, progress_bar
from studio.errors import UsageError

if TYPE_CHECKING:
    from studio.insight.lint.api import LintOptions


def split_codes(texts: tuple[str, ...]) -> list[str]:
    """The lint codes of options such as `--only email,phone`, each of which may be repeated."""
    return [code.strip() for text in texts for code in text.split(",") if code.strip()]


class _LintCommand(click.Command):
    """Lists the lints in its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's signature)
        from studio.insight.lint.registry import LINTS

        with formatter.section("Lints (more with --explain CODE)"):
            formatter.write_dl([(lint.code, lint.title) for lint in LINTS.values()])


@click.command(cls=_LintCommand)
@click.argument("pool", type=POOL, required=False)
@click.option("--against", type=INPUT, multiple=True, metavar="FILE", help="Compare with an evaluation file, too; may be repeated.")
@click.option("--only", multiple=True, metavar="CODE,...", help="Look for these faults only.")
@click.option(
    "--near", type=click.FloatRange(0.5, 1), default=0.8, show_default=True, help="Jaccard index of near-duplicates, from 0.5 to 1."
)
@click.option("--overlap", type=click.FloatRange(0.1, 1), default=0.7, show_default=True, help="ROUGE-L of contaminated instructions.")
@click.option("--explain", metavar="CODE", help="Say what a lint looks for and how far to trust it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the ids of all tasks and instances.")
def lint_command(
    pool: Path | None, against: tuple[Path, ...], only: tuple[str, ...], near: float, overlap: float, explain: str | None, as_json: bool
) -> None:
    """Look for what is wrong with the data of POOL: its active tasks, seeds too, with their accepted instances.

    Nothing is changed. `studio export --exclude-lint CODE,...` leaves the findings out; in the pool screen, find lint:CODE shows them.
    """
    if explain is not None:
        _explain(explain)
        return
    if pool is None:
        raise UsageError("no pool is named", "studio lint POOL, or studio lint --explain CODE")
    from studio.insight.lint.api import LintOptions

    _lint(pool, split_codes(only), LintOptions(near, overlap, against), as_json)


def _explain(code: str) -> None:
    from studio.insight.lint.registry import find_lint
    from studio.insight.lint.run import explanation

    width = 100
    for line in explanation(find_lint(code)):
        click.echo(click.wrap_text(line, width) if line else "")


def _lint(pool: Path, codes: list[str], options: LintOptions, as_json: bool) -> None:
    from studio.insight.lint.registry import chosen_lints
    from studio.insight.lint.run import report_lines, run_lints
    from studio.pool.pool import Queries

    lints = chosen_lints(codes, with_file=bool(options.against))
    with Queries.open(pool) as reader, reader.one_state(), progress_bar() as progress:
        report = run_lints(reader.stream, lints, options, progress)
    if as_json:
        print_json({"pool": str(pool), **report.as_dict()})
        return
    for line in report_lines(report):
        click.echo(line)

"""`studio show`, `stats`, `diversity` and `lint`: how a task came about, a pool's figures, how diverse it is, what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import INPUT, JSON, OUTPUT, POOL, print_figures, print_json, progress_bar, write_text
from studio.cli.task_files import gather
from studio.errors import UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from studio.insight.diversity import Diversity
    from studio.insight.lint.api import LintOptions
    from studio.insight.tables import Progress
    from studio.pool.pool import Queries


Figures = tuple[dict[str, Any], Callable[[], "RenderableType"]]
"""As plain values, and as tables."""
_LINES = 20


@click.command()
@click.argument("pool", type=POOL)
@click.argument("reference", required=False, metavar="[ID]")
@click.option("--search", metavar="TEXT", help="List the tasks whose instruction has these words.")
@click.option("--rejected", is_flag=True, help="List rejected candidates, the newest first, with the reason.")
@click.option("--tree", is_flag=True, help="Show whom the task descends from, up to the seeds, and what descends from it.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="Lines of a list (20 without it), or tasks in either direction of a tree (200 without it)."
)
@click.option("--prompts", is_flag=True, help="Show the full prompts, too.")
@JSON
def show_command(
    pool: Path, reference: str | None, search: str | None, rejected: bool, tree: bool, limit: int | None, prompts: bool, as_json: bool
) -> None:
    """Show one task or candidate of POOL and the whole story of how it came about.

    ID is a task's (176) or a candidate's (c12). Without one, the newest tasks are listed.
    """
    from studio.pool.pool import Queries

    if reference is not None and (search is not None or rejected):
        raise UsageError("an ID cannot be combined with --search or --rejected", "leave one of them out")
    if tree and reference is None:
        raise UsageError("--tree shows the lineage of one task", "name its ID: studio show POOL 176 --tree")
    with Queries.open(pool) as reader:
        if reference is None:
            _list(reader, search, rejected, limit or _LINES, as_json)
        elif tree:
            _tree(reader, reference, limit, as_json)
        else:
            _tell(reader, reference, prompts, as_json)


def _tell(reader: Queries, reference: str, prompts: bool, as_json: bool) -> None:
    from studio.insight.story import story_of
    from studio.insight.story_report import story_report

    story = story_of(reader, reference)
    print_figures(story.as_dict(), lambda: story_report(story, prompts=prompts), as_json)


def _tree(reader: Queries, reference: str, limit: int | None, as_json: bool) -> None:
    from studio.insight.family import LIMIT, family_of, family_report

    family = family_of(reader, reference, limit or LIMIT)
    print_figures(family.as_dict(), lambda: family_report(family), as_json, soft_wrap=True)


def _list(reader: Queries, search: str | None, rejected: bool, limit: int, as_json: bool) -> None:
    rows: list[dict[str, str]]
    if rejected:
        rows = [{"id": f"c{each.id}", "kind": each.reason, "text": each.text} for each in reader.candidates.rejected(limit, search)]
    else:
        ids = reader.tasks.search(search, limit) if search is not None else reader.tasks.newest(limit)
        rows = [
            {"id": str(task.id), "kind": "held out" if task.held_out else str(task.origin), "text": task.instruction}
            for task in reader.tasks.many(ids)
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['id']:>7}  {row['kind']:<12}  {display_line(row['text'], 120)}")
    if not rows:
        click.echo("nothing found", err=True)


@click.command()
@click.argument("pool", type=POOL)
@click.option("--lineage", is_flag=True, help="Show instead what became of each seed, and acceptance by generation.")
@JSON
def stats_command(pool: Path, lineage: bool, as_json: bool) -> None:
    """Show figures of POOL beside the paper's.

    Tasks by origin, classification share, instances, empty inputs, words and their distribution, what a task costs, why candidates fell,
    what each source of instructions brought and how raters found it where there is more than one, acceptance and new opening words by
    round, what another 1,000 candidates would bring at the acceptance of the latest 200, and how similar the generated tasks are to the
    seeds and to each other. Works beside a running session.
    """
    from studio.pool.pool import Queries

    with Queries.open(pool) as reader, progress_bar() as progress:
        plain, tables = (_lineage if lineage else _statistics)(reader, progress)
    print_figures(plain, tables, as_json)


def _statistics(reader: Queries, progress: Progress) -> Figures:
    from studio.insight.statistics import statistics
    from studio.insight.statistics_report import report

    figures = statistics(reader, progress)
    return asdict(figures), lambda: report(figures)


def _lineage(reader: Queries, progress: Progress) -> Figures:
    from studio.insight.lineage import lineage, lineage_report

    figures = lineage(reader, progress)
    return figures.as_dict(), lambda: lineage_report(figures)


@click.command()
@click.argument("pool", type=POOL)
@click.option(
    "--origin",
    type=click.Choice(["generated", "seed", "imported", "all"], case_sensitive=False),
    default="generated",
    show_default=True,
    help="Which tasks to look at.",
)
@click.option("--words", is_flag=True, help="Measure the words only: needs no parser.")
@click.option("--html", "page", type=OUTPUT, metavar="FILE", help="Also write verbs and objects as a sunburst, one HTML file.")
@click.option("--pipeline", metavar="NAME", help="spaCy pipeline: an installed package or a folder. [the small English one]")
@click.option("--sample", type=click.IntRange(min=2), metavar="N", help="Instructions of the self-ROUGE-L. [1000]")
@click.option("--seed", default="0", show_default=True, metavar="TEXT", help="Which instructions are sampled.")
@JSON
def diversity_command(
    pool: Path, origin: str, words: bool, page: Path | None, pipeline: str | None, sample: int | None, seed: str, as_json: bool
) -> None:
    """Show how diverse the instructions of POOL are, beside the paper's figures.

    The 20 most common root verbs with their 4 most common direct objects, found by spaCy's dependency parser (pip install
    'self-instruct-studio[diversity]'), and how many of each round are new. Distinct words and pairs of words, the type-token ratio, and
    how similar sampled instructions are to each other. English only, but for the words. Works beside a running session.
    """
    if words and page is not None:
        raise UsageError("--html shows verbs and objects, which --words leaves out", "leave out one of the two")
    if words and pipeline is not None:
        raise UsageError("--words needs no parser, so --pipeline has no say", "leave out one of the two")
    figures = _measured(pool, origin, pipeline, words, sample, seed)
    if page is not None:
        from studio.insight.phrases import sunburst

        assert figures.phrases is not None
        write_text(sunburst(figures.phrases, pool.name), page)
        click.echo(f"wrote {display_line(str(page))}", err=True)
    from studio.insight.diversity import diversity_report

    print_figures(figures.as_dict(), lambda: diversity_report(figures), as_json)


def _measured(pool: Path, origin: str, pipeline: str | None, words: bool, sample: int | None, seed: str) -> Diversity:
    from studio.insight.diversity import SAMPLE, diversity
    from studio.insight.phrases import load_parser
    from studio.pool.pool import Queries
    from studio.records import Origin

    wanted = None if origin == "all" else Origin(origin)
    with Queries.open(pool) as reader:
        parser = None if words else load_parser(pipeline)
        with progress_bar() as progress:
            return diversity(reader, wanted, parser, sample=sample or SAMPLE, seed=seed, progress=progress)


def split_codes(texts: tuple[str, ...]) -> list[str]:
    """The lint codes of options such as `--only email,phone`, each of which may be repeated."""
    return [code.strip() for text in texts for code in text.split(",") if code.strip()]


class _LintCommand(click.Command):
    """Lists the lints in its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's signature)
        from studio.insight.lint.run import LINTS

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
        _explain(explain, as_json)
        return
    if pool is None:
        raise UsageError("no pool is named", "studio lint POOL, or studio lint --explain CODE")
    from studio.insight.lint.api import LintOptions

    _lint(pool, split_codes(only), LintOptions(near, overlap, tuple(gather(against).paths)), as_json)


def _explain(code: str, as_json: bool) -> None:
    from studio.insight.lint.run import explanation, find_lint

    lint, width = find_lint(code), 100
    if as_json:
        print_json({"code": lint.code, "title": lint.title, "explanation": "\n".join(explanation(lint))})
        return
    for line in explanation(lint):
        click.echo(click.wrap_text(line, width) if line else "")


def _lint(pool: Path, codes: list[str], options: LintOptions, as_json: bool) -> None:
    from studio.insight.lint.run import chosen_lints, report_lines, run_lints
    from studio.pool.pool import Queries

    lints = chosen_lints(codes, with_file=bool(options.against))
    with Queries.open(pool) as reader, reader.one_state(), progress_bar() as progress:
        report = run_lints(reader.stream, lints, options, progress)
    if as_json:
        print_json({"pool": str(pool), **report.as_dict()})
        return
    for line in report_lines(report):
        click.echo(line)

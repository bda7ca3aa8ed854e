"""`studio import`: other people's and one's own tasks into a pool."""

from __future__ import annotations

from pathlib import Path

import click

from studio.cli.arguments import INPUT, POOL

_ORIGINS = ("imported", "seed")


@click.command("import")
@click.argument("pool", type=POOL)
@click.argument("files", nargs=-1, required=True, type=INPUT, metavar="FILE...")
@click.option(
    "--format",
    "format_name",
    default="auto",
    show_default=True,
    help="auto, self-instruct (the seed schema), machine-generated, alpaca, csv, text or jsonl.",
)
@click.option(
    "--as", "origin", type=click.Choice(_ORIGINS), default="imported", show_default=True, help="What the tasks count as in the pool."
)
def command(pool: Path, files: tuple[Path, ...], format_name: str, origin: str) -> None:
    """Add the tasks of each FILE to POOL, all or none. Instructions that the pool has already are skipped."""
    from studio.pool.importers import find_importer
    from studio.pool.importing import import_files
    from studio.pool.store import Pool
    from studio.records import Origin
    from studio.text import display_line

    if format_name != "auto":
        find_importer(format_name)
    with Pool.open(pool) as opened:
        reports = import_files(opened, files, format_name, Origin(origin))
    for report in reports:
        name = display_line(str(report.path))
        click.echo(
            f"{name}: {report.imported} tasks imported as {origin} ({report.format}), {report.duplicates} skipped as duplicates", err=True
        )

"""The diversity of the generated tasks: root verbs and objects where a parser is installed, words everywhere."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from studio.errors import UsageError
from studio.insight.diversity_figures import diversity
from studio.insight.diversity_report import diversity_report
from studio.insight.parser import Parser, load_parser
from studio.pool.pool import Queries
from studio.records import Origin
from studio.text import display_line
from studio.tui.widgets.figures_pane import FiguresPane

MOST = 20_000
"""Tasks that are measured beside a screen; of more, a minute's work, the command tells."""
BATCH = 16
"""Instructions that are parsed at a time: the parser lets no other thread run meanwhile, and keys are not to wait."""


class DiversityPane(FiguresPane):
    """Loads the parser once, with the first look."""

    _parser: Parser | None = None
    _missing = ""

    def figures(self, pool: Queries) -> RenderableType:
        """Measure the generated tasks of `pool`."""
        tasks = pool.count_active(Origin.GENERATED)
        if not tasks:
            return Text("No generated task yet. Press 1 and play a round; how diverse its tasks are will stand here.")
        if tasks > MOST:
            return Text(f"{tasks:,} generated tasks take a while: studio diversity POOL measures them with a progress bar.")
        if self._parser is None:
            try:
                self._parser = load_parser(batch=BATCH)
            except UsageError as error:
                self._missing = f"Words only: {error.message}; {error.hint.partition(';')[0]}"
        report = diversity_report(diversity(pool, Origin.GENERATED, self._parser))
        return report if self._parser else Group(report, Text(), Text(display_line(self._missing)))

"""The insight screen: what the pool's figures say, while they change, and the way to let hold what another rule would have decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static, TabbedContent, TabPane

from studio.errors import StudioError, UsageError
from studio.insight.diversity import diversity, diversity_report
from studio.insight.phrases import Parser, load_parser
from studio.insight.studies.comparison import grading_report, grading_tables
from studio.insight.studies.judge import judge_report, judge_tables
from studio.insight.studies.review import review_report, review_tables
from studio.pool.pool import Queries
from studio.records import Origin
from studio.text import display_line
from studio.tui.base import ReadFailed
from studio.tui.insight.figures import Overview, PoolPane
from studio.tui.insight.what_if import WhatIfPane
from studio.tui.keys import bind, key_of
from studio.tui.steering import SteeredScreen, Steerer
from studio.tui.widgets.frame import HeaderFacts, KeyBar, SaidLine, StudioHeader, TooSmall
from studio.tuning.results import evaluation_result, result_tables


class FiguresPane(PoolPane[RenderableType]):
    """Shows figures that are one text with tables."""

    DEFAULT_CSS = """
    FiguresPane { height: 1fr; padding: 0 1; }
    FiguresPane Static { height: auto; width: 100%; }
    """

    def __init__(self, path: Path, *, id: str) -> None:
        super().__init__(path, id=id)
        self._shown = Static("computing …", markup=False)

    def compose(self) -> ComposeResult:
        yield self._shown

    def draw(self, figures: RenderableType) -> None:
        self._shown.update(figures)

    def fail(self, error: StudioError) -> None:
        self._shown.update(Content(display_line(error.words())))


MOST = 20_000
"""Tasks that are measured beside a screen; of more, a minute's work, the command tells."""
BATCH = 16
"""Instructions that are parsed at a time: the parser lets no other thread run meanwhile, and keys are not to wait."""


class DiversityPane(FiguresPane):
    """Loads the parser once, with the first look."""

    _parser: Parser | None = None
    _missing = ""

    def figures(self, pool: Queries) -> RenderableType:
        tasks = pool.figures.active(Origin.GENERATED)
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


_NO_EVALUATION = (
    "No model has been evaluated on tasks that it has not seen: hold some out when the pool is made (--hold-out), then let the base and "
    "the finetuned model answer: studio finetune POOL, studio evaluate POOL."
)
_NO_COMPARISON = f"Nobody has graded two models' answers: press {key_of('compare')}, or studio compare POOL."


class EvaluationPane(FiguresPane):
    """The newest evaluation, then the newest comparison; what is still graded blind is not told here either."""

    def figures(self, pool: Queries) -> RenderableType:
        with pool.one_state():
            evaluations, comparisons = pool.evaluations.all(), pool.comparisons.all()
            if not evaluations:
                return Text(_NO_EVALUATION)
            newest = max(evaluations, key=lambda each: each.id)
            parts: list[RenderableType] = [result_tables(evaluation_result(pool, newest.id)), Text()]
            parts.append(grading_tables(grading_report(pool, comparisons[0])) if comparisons else Text(_NO_COMPARISON))
        return Group(*parts)


_NO_REVIEW = f"Nobody has rated tasks yet: press {key_of('review')}, or studio review POOL."
_NO_JUDGE = (
    "No model has judged the tasks: studio judge POOL. Its opinion filters nothing, and only people's ratings show what it is worth."
)


class OpinionsPane(FiguresPane):
    """Ratings of the newest review, then all judges."""

    def figures(self, pool: Queries) -> RenderableType:
        with pool.one_state():
            reviews = pool.reviews.all()
            judges = judge_report(pool)
            parts: list[RenderableType] = [review_tables(review_report(pool, reviews[0])) if reviews else Text(_NO_REVIEW), Text()]
        parts.append(judge_tables(judges) if judges else Text(_NO_JUDGE))
        return Group(*parts)


PAGES = ("figures", "what-if", "diversity", "opinions", "evaluation")
FOLLOW_S = 2.0
"""How often the screen looks whether a session has written."""


class InsightScreen(SteeredScreen):
    """Made with the pool's path; it reads through connections of its own, beside whoever writes.

    With a `steerer` what another rule would have decided can be applied.
    """

    HELP = """\
## Insight

How the pool grows: what each round brought, why candidates fell, how far the tasks are from the seeds, and the figures of the paper beside
them. It follows a running session. A new opening word is a first word that no instruction before had; what more candidates bring is read
off the acceptance of the latest ones. **]** and **[** turn the pages, as a click on their names does:

- *what if*: another threshold, other filters or, where a model was asked in chat, other limits of likelihood
  and agreement, and which candidates and instances (i7) that would flip; **enter** tells why one was decided as it was
- *diversity*: root verbs with their objects, new verbs by round, and measures of words
- *opinions*: what raters said beside the paper's table 2, and how far a judge agrees with them
- *evaluation*: base and tuned model on the tasks held out, and the grades people gave their answers blind

On *what if*, between stages, **ctrl+s** applies what is shown: each candidate that flips gets a verdict of yours beside the rule's, all in
one action. **u** takes it back, **U** does it again. Tasks that join after their round have no instances until you ask for them.
"""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  (Textual's own type)
    DEFAULT_CSS = """
    InsightScreen TabbedContent, InsightScreen ContentSwitcher { height: 1fr; }
    InsightScreen TabPane { padding: 0; height: 1fr; }
    InsightScreen #columns { height: auto; }
    InsightScreen.-wide #plots { width: 1fr; height: auto; }
    InsightScreen.-wide FigurePlot { height: 11; }
    InsightScreen.-wide Scorecard { width: 1fr; }
    InsightScreen.-narrow #columns { layout: vertical; }
    InsightScreen.-narrow #plots { height: auto; }
    InsightScreen.-empty #columns { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "apply", "Apply", "Decide these candidates so: one action, which u takes back"),
        bind("undo", "undo", "Undo", "Take back the newest of your actions"),
        bind("redo", "redo", "Redo", "Do again what was taken back last", show=False),
        bind("previous", "turn(-1)", "Page before", "The page before: figures, what if, diversity, opinions, evaluation", show=False),
        bind("next", "turn(1)", "Next page", "The next page: figures, what if, diversity, opinions, evaluation"),
        bind("down", "scroll(1)", "Down", "Scroll down", show=False),
        bind("up", "scroll(-1)", "Up", "Scroll up", show=False),
    ]

    OFFERED: ClassVar[Mapping[str, str]] = {"apply": "What if: apply", "undo": "Pool: undo", "redo": "Pool: redo"}

    def __init__(self, path: Path, *, steerer: Steerer | None = None, follow_s: float = FOLLOW_S) -> None:
        super().__init__()
        self.steerer = steerer
        self._path = path
        self._follow_s = follow_s

    def compose(self) -> ComposeResult:
        yield StudioHeader(HeaderFacts(pool=self._path.name), mode="insight")
        yield SaidLine("reading the pool …", id="said", markup=False)
        with TabbedContent():
            panes: tuple[Widget, ...] = (
                Overview(self._path, id="overview"),
                WhatIfPane(self._path),
                DiversityPane(self._path, id="diversity-figures"),
                OpinionsPane(self._path, id="opinion-figures"),
                EvaluationPane(self._path, id="evaluation-figures"),
            )
            for name, pane in zip(PAGES, panes, strict=True):
                with TabPane(name.replace("-", " ").capitalize(), id=name):
                    yield pane
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        self.add_class("-empty")
        self.query_one(Overview).focus()
        self.set_interval(self._follow_s, self._follow)
        self.query_one(Overview).look()

    def on_screen_resume(self) -> None:
        self._follow()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """Applying belongs to what-if, and to a pool that is played."""
        if action not in ("apply", "undo", "redo"):
            return True
        if self.steerer is None or not self.is_mounted or self.query_one(TabbedContent).active != "what-if":
            return False
        preview = self.query_one(WhatIfPane).preview
        return action != "apply" or (preview is not None and any(preview.known))

    @on(WhatIfPane.Decided)
    @on(TabbedContent.TabActivated)
    def _offer_others(self) -> None:
        self.refresh_bindings()
        if (pane := self._pane()) is not None:
            pane.look()

    def action_apply(self) -> None:
        preview = self.query_one(WhatIfPane).preview
        if preview is not None:
            self._steer(lambda steering: f"{steering.apply_what_if(preview.change, preview.known)} · u takes it back")

    def commands(self) -> Iterator[SystemCommand]:
        """The palette's entries for the pages, and for what can be steered."""
        yield from super().commands()
        for page in PAGES:
            if page != self.query_one(TabbedContent).active:
                yield SystemCommand(f"Insight: {page.replace('-', ' ')}", "Turn to this page", partial(self.turn_to, page))

    def changed(self) -> None:
        self.query_one(WhatIfPane).decide()
        self.query_one(Overview).look(now=True)

    def action_turn(self, by: int) -> None:
        active = self.query_one(TabbedContent).active
        self.turn_to(PAGES[(PAGES.index(active) + by) % len(PAGES)])

    def turn_to(self, page: str) -> None:
        self.query_one(TabbedContent).active = page
        if page == "what-if":
            self.query_one(WhatIfPane).enter()
        elif (pane := self._pane()) is not None:
            pane.focus()

    def action_scroll(self, lines: int) -> None:
        if (pane := self._pane()) is not None:
            pane.scroll_relative(y=lines, animate=False)

    def _pane(self) -> PoolPane[Any] | None:
        """The pane of the active tab, if it is one that computes figures."""
        active = next((tabs.active for tabs in self.query(TabbedContent)), "")
        parts = self.query_one(f"#{active}").children if active else ()
        return next((part for part in parts if isinstance(part, PoolPane)), None)

    def _follow(self) -> None:
        if self.is_current:
            self.query_one(Overview).look()
            if (pane := self._pane()) is not None:
                pane.look()

    @on(ReadFailed)
    def _failed(self, event: ReadFailed) -> None:
        self.query_one(SaidLine).fail(event.error)

    @on(Overview.Read)
    def _read(self, event: Overview.Read) -> None:
        first = not self.query_one(StudioHeader).facts.model
        figures, self.query_one(StudioHeader).facts = event.figures, event.facts
        self.set_class(not figures.candidates, "-empty")
        usable = f"{figures.tasks_with_instances:,} of {figures.generated:,} tasks with instances"
        cached = figures.cached_tokens / figures.prompt_tokens if figures.prompt_tokens else 0.0
        words = f"{usable} · {figures.completion_tokens:,} tokens written, {cached:.0%} of prompts cached"
        none = f"{figures.seeds:,} seeds and no candidate yet. Press 1 and play a round; its figures will stand here."
        self.query_one(SaidLine).say(words if figures.candidates else none)
        if not first and self.query_one(TabbedContent).active == "what-if":
            self.query_one(WhatIfPane).decide()

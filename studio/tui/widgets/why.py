"""Why a candidate was decided as it was: everything that led to the verdict, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from studio.loop.lcs import Comparison, Span, compare
from studio.loop.reasons import REASONS
from studio.loop.settings import Method
from studio.loop.tokens import TOKENIZERS
from studio.pool.records import DecisionRecord, InstanceRecord, RequestRecord
from studio.records import Decider, Neighbour, Stage, Task, Verdict
from studio.text import display, spoken
from studio.tui.cells import bar, clip
from studio.tui.repaint import show_text, show_title
from studio.tui.rows import Row
from studio.tui.widgets.pane import Pane

EMPTY = "The candidate under the cursor is explained here:\nwhat it resembles, how its score comes about, which tasks led to it."
PENDING = "Not decided yet: the filter comes after the last completion."
_SHOWN = 4000
"""Characters of a text that are drawn; `studio show` has all of them."""
_BAR = 8
_LCS = "$accent bold underline"
MUTED = "$foreground-muted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the pool knows of a candidate beyond its row. `near` holds the nearest task and the neighbours, by id."""

    neighbours: Sequence[Neighbour]
    near: dict[int, Task]
    parents: Sequence[Task]
    decisions: Sequence[DecisionRecord]
    task: Task | None
    instances: Sequence[InstanceRecord]
    requests: Sequence[RequestRecord]


class Why(Pane):
    """The story of the candidate under the cursor."""

    HELP = """
    The candidate and its most similar task, with the words of their longest common subsequence marked in both: these make up ROUGE-L.
    `L` counts them, `m` and `n` are the words of the two texts; L/m and L/n are recall and precision, F1 their harmonic mean.
    Below: the ten most similar tasks, the in-context tasks it came from, and for an accepted one its classification and instances.
    """

    DEFAULT_CSS = """
    Why { & Static { height: auto; } & #beside { height: auto; } & #beside Static { width: 1fr; }
        & #first { margin-right: 2; }
        &.-stacked #beside { layout: vertical; } &.-stacked #beside Static { width: 1fr; height: auto; margin: 0; } }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._row: Row | None = None
        self._evidence: Evidence | None = None
        self._method: Method | None = None
        self._drawn_width = 0

    def compose(self) -> ComposeResult:
        """Verdict, the two texts beside each other, and the rest."""
        yield Static(EMPTY, markup=False, id="verdict", classes="empty")
        with Horizontal(id="beside"):
            yield Static(markup=False, id="first")
            yield Static(markup=False, id="second")
        yield Static(markup=False, id="rest")

    def show(self, row: Row | None, evidence: Evidence | None, method: Method | None) -> None:
        """Explain `row`; without evidence only what the row itself says."""
        if (row, evidence, method) == (self._row, self._evidence, self._method):
            return
        changed = row is None or self._row is None or row.candidate != self._row.candidate
        self._row, self._evidence, self._method = row, evidence, method
        self._draw()
        if changed:
            self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Another width needs another text. Another height does not."""
        if self.scrollable_content_region.width != self._drawn_width:
            self._draw()

    def on_show(self) -> None:
        """What was drawn while the pane was hidden was drawn for no width at all."""
        self.on_resize()

    def _draw(self) -> None:
        verdict, first, second, rest = (self.query_one(f"#{name}", Static) for name in ("verdict", "first", "second", "rest"))
        row, evidence = self._row, self._evidence
        verdict.set_class(row is None, "empty")
        show_title(self, "Why" if row is None or row.candidate is None else f"Why · candidate c{row.candidate.id}")
        comparison = self._comparison()
        show_text(verdict, _verdict(row, evidence) if row is not None else Content(EMPTY))
        show_text(first, _text("candidate", row.text, comparison.first if comparison else ()) if row is not None else Content())
        show_text(second, self._nearest(comparison))
        second.display = comparison is not None
        self._drawn_width = width = self.scrollable_content_region.width
        # Two columns where there is room for them; here, for what is told between a resize and its message is drawn before `on_resize`.
        self.set_class(width < 56, "-stacked")
        lines = list(_rest(row, evidence, comparison, self._method, width)) if row is not None and evidence is not None else []
        show_text(rest, Content("\n").join(lines))

    def _comparison(self) -> Comparison | None:
        nearest = self._nearest_task()
        if self._row is None or nearest is None or self._method is None:
            return None
        return compare(self._row.text, nearest.instruction, TOKENIZERS[self._method.tokenizer])

    def _nearest_task(self) -> Task | None:
        if self._row is None or self._row.candidate is None or self._evidence is None or self._row.candidate.nearest is None:
            return None
        return self._evidence.near.get(self._row.candidate.nearest)

    def _nearest(self, comparison: Comparison | None) -> Content:
        nearest = self._nearest_task()
        if nearest is None or comparison is None:
            return Content()
        return _text(f"nearest #{nearest.id} {nearest.origin}", nearest.instruction, comparison.second)


def _verdict(row: Row, evidence: Evidence | None) -> Content:
    found = row.candidate
    if found is None:
        return Content.assemble(("· pending  ", "bold"), (PENDING, MUTED))
    word = "✓ accepted" if row.accepted else "✗ rejected"
    style = "$accent bold" if row.overruled else "$success bold" if row.accepted else "$error bold"
    if not row.overruled:
        return Content.assemble((word, style), f"  {spoken(found.reason)}", (f". {REASONS.get(found.reason, '')}", MUTED))
    rule = next((each for each in evidence.decisions if each.decided_by.value == "rule"), None) if evidence else None
    said = f" The rule said: {rule.verdict}, {spoken(rule.reason)}." if rule is not None else ""
    return Content.assemble((f"{word} by you.", style), (said, MUTED))


def _text(label: str, text: str, spans: Sequence[Span]) -> Content:
    """A text under its label, its common words marked; characters that could act on a terminal become visible ones."""
    parts: list[Content | str | tuple[str, str]] = [(f"{label}\n", MUTED)]
    at, shown = 0, text[:_SHOWN]
    for start, stop in spans:
        if stop > len(shown):
            break
        parts += [display(shown[at:start]), (display(shown[start:stop]), _LCS)]
        at = stop
    parts.append(display(shown[at:]))
    if len(text) > _SHOWN:
        parts.append((f" … and {len(text) - _SHOWN:,} characters more", MUTED))
    return Content.assemble(*parts)


def _rest(row: Row, evidence: Evidence, comparison: Comparison | None, method: Method | None, width: int) -> Iterator[Content]:
    if comparison is not None and row.candidate is not None and method is not None:
        yield from _arithmetic(row.candidate.score, comparison, method)
    yield from _task_part(evidence, width)
    if evidence.neighbours:
        yield Content()
        yield Content.styled("most similar tasks then", MUTED)
        for each in evidence.neighbours:
            task = evidence.near.get(each.task_id)
            drawn = bar(each.score, _BAR, method.threshold if method else 1.0)
            head = f" {each.score:.3f}  #{each.task_id:<5} "
            words = clip(task.instruction, max(width - _BAR - len(head), 8)) if task is not None else ""
            yield Content.assemble((drawn + head, MUTED), words)
    if evidence.parents:
        yield Content()
        yield Content.styled("in-context tasks it came from", MUTED)
        for task in evidence.parents:
            head = f"#{task.id:<5} "
            yield Content.assemble((head, MUTED), clip(task.instruction, max(width - len(head), 8)))


def _arithmetic(score: float, found: Comparison, method: Method) -> Iterator[Content]:
    yield Content()
    if not found.m or not found.n:
        yield Content.styled("ROUGE-L 0: one of the texts has no words for this tokeniser.", MUTED)
        return
    yield Content.assemble(
        ("L", "$accent bold"),
        f" = {found.lcs} words in common, in order; ",
        ("m", "bold"),
        f" = {found.m}, ",
        ("n", "bold"),
        f" = {found.n}",
    )
    precision, recall = found.lcs / found.n, found.lcs / found.m
    yield Content(f"R = L/m = {recall:.3f}, P = L/n = {precision:.3f}")
    passes = score <= method.threshold if method.accept_at_threshold else score < method.threshold
    relation = "≤" if score <= method.threshold else ">"
    if not method.accept_at_threshold:
        relation = "<" if score < method.threshold else "≥"
    yield Content.assemble(
        "ROUGE-L = 2RP/(R+P) = ",
        (f"{score:.3f}", "bold"),
        (f" {relation} {method.threshold:g}: {'new' if passes else 'not new'}", "$success" if passes else "$error"),
    )
    if found.score != score:
        yield Content.styled(f"(the two texts have changed since: today they score {found.score:.3f})", "$warning")


def _task_part(evidence: Evidence, width: int) -> Iterator[Content]:
    task = evidence.task
    if task is None:
        return
    yield Content()
    kind = {None: "not yet classified", True: "a classification task", False: "not a classification task"}[task.is_classification]
    asked = next((each for each in evidence.requests if each.stage is Stage.CLASSIFY and each.completion is not None), None)
    sure = ""
    if asked is not None and asked.completion is not None and asked.completion.probability is not None and asked.params.choices:
        sure = f" (P({clip(asked.params.choices[0], 8).strip()})={asked.completion.probability:.2f})"
    yield Content.assemble((f"task #{task.id} ", "bold"), f"{task.state}, {kind}", (sure, MUTED))
    if not evidence.instances:
        return
    accepted = sum(each.verdict is Verdict.ACCEPTED for each in evidence.instances)
    yield Content.styled(f"instances · {accepted} of {len(evidence.instances)} accepted", MUTED)
    for each in evidence.instances:
        yield from _instance(each, width)


def _instance(instance: InstanceRecord, width: int) -> Iterator[Content]:
    good = instance.verdict is Verdict.ACCEPTED
    mark = ("✓ ", "$success") if good else ("✗ ", "$error")
    who = "by you" if instance.decided_by is Decider.HUMAN else spoken(instance.reason)
    reason = "" if good else f"{who}: "
    room = max(width - 6 - len(reason), 8)
    if instance.input:
        yield Content.assemble(mark, (reason, "$error"), ("in  ", MUTED), clip(instance.input, room))
        mark, reason, room = ("  ", ""), "", max(width - 6, 8)
    yield Content.assemble(mark, (reason, "$error"), ("out ", MUTED), clip(instance.output, room))

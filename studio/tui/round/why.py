"""Why a candidate was decided as it was: everything that led to its verdict, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from studio.errors import PoolError
from studio.insight.story import BEFORE_EDIT, EXPLAINED, Measure, Story, source_words, story_of
from studio.loop.filters import REASONS
from studio.loop.novelty import Alignment, Span, align
from studio.loop.settings import Method
from studio.loop.tokens import TOKENIZERS
from studio.pool.candidates import JudgedCandidate
from studio.pool.instances import InstanceRecord
from studio.pool.pool import Queries
from studio.records import Decider, Neighbour, Stage, Task, Verdict
from studio.text import bar, display, display_line, spoken
from studio.tui.base import start_latest
from studio.tui.round.decisions import Row
from studio.tui.round.live import LiveRound
from studio.tui.steering import PoolAccess
from studio.tui.widgets.frame import LONG, MUTED, Pane, clip


@dataclass(frozen=True, slots=True)
class Evidence:
    """A candidate's story; the tasks most similar to it, which the pool keeps of accepted ones alone; and these and the nearest by id."""

    story: Story
    neighbours: Sequence[Neighbour]
    near: dict[int, Task]


def _evidence(reader: Queries, found: JudgedCandidate, known: Sequence[Neighbour]) -> Evidence:
    """What the pool has of a candidate, and what is `known` of its neighbours besides."""
    story = story_of(reader, f"c{found.id}")
    neighbours = story.neighbours or known
    ids = dict.fromkeys([each.task_id for each in neighbours] + ([found.nearest] if found.nearest is not None else []))
    return Evidence(story, neighbours, {task.id: task for task in reader.tasks.many(list(ids))})


EMPTY = "The candidate under the cursor is explained here:\nwhat it resembles, how its score comes about, which tasks led to it."
PENDING = "Not decided yet: the filter comes after the last completion."
_SHOWN = 4000
"""Characters of a text that are drawn; `studio show` has all of them."""
_BAR = 8
_LCS = "$accent bold underline"
_TWO_COLUMNS = 56
"""Cells from which on two texts have room beside each other."""


def _compared(row: Row, nearest: Task | None, method: Method | None) -> Alignment | None:
    if nearest is None or method is None or max(len(row.text), len(nearest.instruction)) > LONG:
        return None
    return align(row.text, nearest.instruction, TOKENIZERS[method.tokenizer])


def _verdict(row: Row, evidence: Evidence | None) -> Content:
    found = row.candidate
    if found is None:
        return Content.assemble(("· pending  ", "bold"), (PENDING, MUTED))
    word = "✓ accepted" if row.accepted else "✗ rejected"
    style = "$accent bold" if row.overruled else "$success bold" if row.accepted else "$error bold"
    if not row.overruled:
        return Content.assemble((word, style), f"  {spoken(found.reason)}", (f". {REASONS.get(found.reason, '')}", MUTED))
    rule = next((each for each in evidence.story.decisions if each.decided_by is Decider.RULE), None) if evidence else None
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


def _rest(row: Row, evidence: Evidence, comparison: Alignment | None, method: Method | None, width: int) -> Iterator[Content]:
    if evidence.story.measures or any(evidence.story.of_instances.values()):
        yield Content()
        yield Content.styled(EXPLAINED, MUTED)
    if comparison is not None and row.candidate is not None and method is not None:
        yield from _arithmetic(row.candidate.score, comparison, method)
    yield from _task_part(evidence.story, width)
    if evidence.neighbours:
        threshold = method.threshold if method else 1.0
        near = ((f"{bar(each.score, _BAR, threshold)} {each.score:.3f}  ", evidence.near[each.task_id]) for each in evidence.neighbours)
        yield from _listed("most similar tasks then", near, width)
    if evidence.story.parents:
        yield from _listed("in-context tasks it came from", (("", task) for task in evidence.story.parents), width)


def _listed(title: str, tasks: Iterable[tuple[str, Task]], width: int) -> Iterator[Content]:
    """Tasks, a line each, behind what is said of each of them."""
    yield Content()
    yield Content.styled(title, MUTED)
    for words, task in tasks:
        head = f"{words}#{task.id:<5} "
        yield Content.assemble((head, MUTED), clip(task.instruction, max(width - len(head), 8)))


def _quality(row: Row, evidence: Evidence | None, method: Method | None, width: int) -> Iterator[Content]:
    """Where a candidate of a chat came from, and its figures as bars against their limits."""
    if method is None or method.asking != "chat":
        return
    if row.source is not None:
        yield Content.assemble(("source     ", MUTED), clip(source_words(row.source), width - 11))
    if row.candidate is not None and row.candidate.nearest is not None:
        score, new = row.candidate.score, method.is_novel(row.candidate.score)
        drawn = (bar(score, _BAR, method.threshold), "$success" if new else "$error")
        words = f"new, the limit is {method.threshold:g}" if new else f"not new, the limit is {method.threshold:g}"
        yield Content.assemble(("ROUGE-L    ", MUTED), drawn, f" {score:.2f}: {words}")
    measures = evidence.story.measures if evidence is not None else ()
    yield from map(_measured, measures)
    if measures and row.candidate is not None and row.candidate.edited:
        yield Content.styled(BEFORE_EDIT, MUTED)


def _measured(measure: Measure, indent: str = "") -> Content:
    """A figure as a bar, with its limit and what that says."""
    style = "" if measure.limit is None else "$success" if measure.passes else "$error"
    return Content.assemble((f"{indent}{measure.name:<10} ", MUTED), (measure.bar(_BAR), style), f" {measure.words}")


def _arithmetic(score: float, found: Alignment, method: Method) -> Iterator[Content]:
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
    passes = method.is_novel(score)
    relation = ("≤>" if method.accept_at_threshold else "<≥")[not passes]
    yield Content.assemble(
        "ROUGE-L = 2RP/(R+P) = ",
        (f"{score:.3f}", "bold"),
        (f" {relation} {method.threshold:g}: {'new' if passes else 'not new'}", "$success" if passes else "$error"),
    )
    if found.score != score:
        yield Content.styled(f"(the two texts have changed since: today they score {found.score:.3f})", "$warning")


def _task_part(story: Story, width: int) -> Iterator[Content]:
    task = story.task
    if task is None:
        return
    yield Content()
    kind = {None: "not yet classified", True: "a classification task", False: "not a classification task"}[task.is_classification]
    asked = next((each for each in story.task_requests if each.stage is Stage.CLASSIFY and each.completion is not None), None)
    sure = ""
    if asked is not None and asked.completion is not None and asked.completion.probability is not None and asked.params.choices:
        sure = f" (P({clip(asked.params.choices[0], 8).strip()})={asked.completion.probability:.2f})"
    yield Content.assemble((f"task #{task.id} ", "bold"), f"{task.state}, {kind}", (sure, MUTED))
    if not story.instances:
        return
    accepted = sum(each.verdict is Verdict.ACCEPTED for each in story.instances)
    yield Content.styled(f"instances · {accepted} of {len(story.instances)} accepted", MUTED)
    for each in story.instances:
        yield from _instance(each, width)
        yield from (_measured(found, "      ") for found in story.of_instances.get(each.id, ()))


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


class Why(Pane):
    """The story of the candidate under the cursor."""

    HELP = """
    The candidate and its most similar task, with the words of their longest common subsequence marked in both: these make up ROUGE-L.
    `L` counts them, `m` and `n` are the words of the two texts; L/m and L/n are recall and precision, F1 their harmonic mean.
    Below: the ten most similar tasks, the in-context tasks it came from, and for an accepted one its classification and instances.
    In chat its figures are drawn as bars with their limits as a cross. *Likelihood*: nats a token of the text as a user's turn, how
    surprising the model finds it; beyond the limit of the round it is rejected as unlikely. *Agreement*: mean ROUGE-L of the answer taken
    with the others drawn. *Sureness*: nats a token of the first answer.
    """
    DEFAULT_CSS = """
    Why Static { height: auto; }
    Why #texts { height: auto; layout: vertical; }
    Why.-beside #texts { layout: horizontal; }
    Why #texts Static { width: 1fr; }
    Why.-beside #nearest { margin-left: 2; }
    Why .-nothing { display: none; }
    """

    def __init__(self, path: Path, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._access = PoolAccess(path)
        self._shown: tuple[Row | None, Evidence | None, Method | None] = (None, None, None)

    def compose(self) -> ComposeResult:
        yield Static(Content.styled(EMPTY, MUTED), markup=False, id="verdict")
        with Container(id="texts"):
            yield Static(markup=False, id="candidate")
            yield Static(markup=False, id="nearest")
        yield Static(markup=False, id="rest")

    def on_unmount(self) -> None:
        self._access.close()

    def explain(self, row: Row | None, live: LiveRound, method: Method | None) -> None:
        """Explain `row`. What the pool knows of it is read beside the screen; until it is there, what was explained before stands."""
        found = None if row is None else row.candidate
        novelty = None if row is None or found is None else live.novelty_of(row.position)
        start_latest(self, "why", self._explain, row, () if novelty is None else novelty.neighbours, method)

    async def _explain(self, row: Row | None, known: Sequence[Neighbour], method: Method | None) -> None:
        evidence, found = None, None if row is None else row.candidate
        if found is not None:
            try:
                evidence = await self._access.ask(lambda reader: _evidence(reader, found, known))
            except PoolError as error:
                self.notify(display_line(error.message, 200), title="The pool cannot be read", severity="error", markup=False)
        self.show(row, evidence, method)

    def show(self, row: Row | None, evidence: Evidence | None, method: Method | None) -> None:
        """Explain `row`; without evidence only what the row itself says."""
        shown = (row, evidence, method)
        if shown == self._shown:
            return
        before, self._shown = self._shown[0], shown
        self.border_title = Content("Why" if row is None or row.candidate is None else f"Why · candidate c{row.candidate.id}")
        self._draw()
        if row is None or before is None or row.candidate != before.candidate:
            self.begin()

    def on_resize(self) -> None:
        """Another width has room for other lines."""
        self._draw()

    def _draw(self) -> None:
        row, evidence, method = self._shown
        width = self.scrollable_content_region.width
        self.set_class(width >= _TWO_COLUMNS, "-beside")
        nothing = Content()
        if row is None:
            texts = (Content.styled(EMPTY, MUTED), nothing, nothing, nothing)
        else:
            nearest_id = None if row.candidate is None else row.candidate.nearest
            nearest = None if evidence is None or nearest_id is None else evidence.near.get(nearest_id)
            found = _compared(row, nearest, method)
            other = nothing
            if nearest is not None and found is not None:
                other = _text(f"nearest #{nearest.id} {nearest.origin}", nearest.instruction, found.second)
            rest = nothing if evidence is None else Content("\n").join(_rest(row, evidence, found, method, width))
            verdict = Content("\n").join([_verdict(row, evidence), *_quality(row, evidence, method, width)])
            texts = (verdict, _text("candidate", row.text, found.first if found is not None else ()), other, rest)
        for name, text in zip(("verdict", "candidate", "nearest", "rest"), texts, strict=True):
            static = self.query_one(f"#{name}", Static)
            static.set_class(not text, "-nothing")
            static.update(text)

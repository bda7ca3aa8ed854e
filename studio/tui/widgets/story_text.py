"""A task or candidate with its story as one scrollable text: what it is, what was decided of it and why, where it came from."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from studio.insight.story import Story
from studio.loop.reasons import REASONS
from studio.pool.records import DecisionRecord, InstanceRecord, RequestRecord
from studio.pool.review_records import Annotation
from studio.records import TaskState, Verdict
from studio.text import display, display_line, spoken

SHOWN = 4000
"""Characters of a text that are drawn; `studio show` has all of them."""

_LINE = 300
_CLASS = {None: "not classified yet", True: "classification", False: "not classification"}

NO_ANNOTATION = Annotation()

Part = str | tuple[str, str]


def story_text(story: Story, *, marked: bool = False, annotation: Annotation = NO_ANNOTATION) -> Content:
    """The story, most important first; all of it is cleaned text, none of it markup."""
    return Content.assemble(*_parts(story, marked, annotation))


def _parts(story: Story, marked: bool, annotation: Annotation) -> Iterator[Part]:
    yield from _head(story, marked)
    if annotation.tags:
        yield from (("Tags: ", "$text-muted"), display_line(", ".join(annotation.tags), _LINE), "\n")
    if annotation.note:
        yield from (("Note: ", "$text-muted"), display(annotation.note), "\n")
    if story.instances:
        yield from _heading("Instances")
        for instance in story.instances:
            yield from _instance(instance)
    if story.decisions:
        yield from _heading("Decided")
        for decision in reversed(story.decisions):
            yield from _decision(decision, story.near)
    if story.neighbours:
        yield from _heading("Most similar tasks then")
        for neighbour in story.neighbours:
            yield from (f"{neighbour.score:.3f}  ", (f"{neighbour.task_id}  ", "$text-muted"))
            yield display_line(story.near.get(neighbour.task_id, ""), _LINE) + "\n"
    if story.parents:
        yield from _heading("In-context tasks, its parents")
        for parent in story.parents:
            yield from ((f"{parent.id} {parent.origin}  ", "$text-muted"), display_line(parent.instruction, _LINE), "\n")
    for request in (story.request, *story.task_requests):
        if request is not None:
            yield from _request(request)


def _head(story: Story, marked: bool) -> Iterator[Part]:
    if story.task is not None:
        task = story.task
        yield (f"Task {task.id}", "bold")
        joined = f" · round {task.round}" if task.round is not None else ""
        yield (f" · {task.origin} · {_CLASS[task.is_classification]}{joined}", "$text-muted")
        if task.state is not TaskState.ACTIVE:
            yield (f" · {task.state}", "bold $text-warning")
        if task.held_out:
            yield (" · held out for evaluation", "bold")
        if marked:
            yield (" · * marked for review", "bold $text-warning")
        yield f"\n\n{_cut(task.instruction)}\n"
        if story.candidate is not None and story.candidate.text != task.instruction:
            yield ("The model wrote: ", "$text-muted")
            yield _cut(story.candidate.text) + "\n"
    elif story.candidate is not None:
        yield (f"Candidate {story.candidate.id}", "bold")
        yield (" · rejected", "bold $text-error")
        yield f"\n\n{_cut(story.candidate.text)}\n"


def _heading(title: str) -> Iterator[Part]:
    yield "\n"
    yield (f"{title}\n", "bold $text-primary")


def _instance(instance: InstanceRecord) -> Iterator[Part]:
    accepted = instance.verdict is Verdict.ACCEPTED
    if not accepted:
        yield (f"✗ {spoken(display_line(instance.reason, 40))} ", "bold $text-error")
        yield (f"{REASONS.get(instance.reason, '')}\n", "$text-muted")
    mark = ("✓ ", "bold $text-success") if accepted else "  "
    if instance.input:
        yield from (mark, ("input   ", "$text-muted"), _indented(instance.input))
        mark = "  "
    yield from (mark, ("output  ", "$text-muted"), _indented(instance.output))


def _indented(text: str) -> str:
    return _cut(text).replace("\n", "\n          ") + "\n"


def _decision(decision: DecisionRecord, near: dict[int, str]) -> Iterator[Part]:
    accepted = decision.verdict is Verdict.ACCEPTED
    yield (f"{'✓' if accepted else '✗'} {decision.verdict}", "bold $text-success" if accepted else "bold $text-error")
    yield f" by {decision.decided_by}: {spoken(display_line(decision.reason, 40))}. {REASONS.get(decision.reason, '')}\n"
    yield f"  ROUGE-L {decision.score:.4f} to the nearest, {decision.seed_score:.4f} to a seed, {decision.mean_score:.4f} on average\n"
    if decision.nearest is not None:
        yield from (("  nearest: ", "$text-muted"), f"{decision.nearest}  {display_line(near.get(decision.nearest, ''), _LINE)}\n")


def _request(request: RequestRecord) -> Iterator[Part]:
    yield from _heading(f"Request {request.round}/{request.stage}/{request.ordinal}")
    params = request.params
    yield (
        f"{display_line(request.model.name, 60)} · seed {request.seed} · temperature {params.temperature:g} · top_p {params.top_p:g}\n",
        "$text-muted",
    )
    if request.completion is None:
        yield "not answered yet\n"
        return
    done = request.completion
    yield (f"{done.completion_tokens} tokens, finished: {done.finish_reason}\n", "$text-muted")
    yield _cut(done.text) + "\n"


def _cut(text: str) -> str:
    """`text` made harmless, as far as it is drawn: breaking a line of 100 KB into a narrow pane takes seconds."""
    more = f" … and {len(text) - SHOWN:,} characters more" if len(text) > SHOWN else ""
    return display(text[:SHOWN]) + more

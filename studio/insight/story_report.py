"""A story as text for a terminal. Everything a model wrote passes through `display` and is never markup."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from studio.insight.story import Story
from studio.loop.reasons import REASONS
from studio.pool.records import DecisionRecord, InstanceRecord, RequestRecord
from studio.text import display, display_line


def story_report(story: Story, *, prompts: bool) -> Group:
    """The story in sections; `prompts` adds the full prompts."""
    return Group(*_sections(story, prompts))


def _sections(story: Story, prompts: bool) -> Iterator[Text | Padding]:
    yield from _head(story)
    if story.decisions:
        yield from _section("Decisions", (line for each in story.decisions for line in _decision(each, story.near)))
    if story.neighbours:
        yield from _section(
            "Most similar tasks then", (f"{n.score:.4f}  {_task(n.task_id, story.near[n.task_id])}" for n in story.neighbours)
        )
    if story.parents:
        yield from _section("In-context tasks", (f"{_task(each.id, each.instruction)}  ({each.origin})" for each in story.parents))
    if story.request:
        yield from _section(f"Request {_place(story.request)}", _exchange(story.request, prompts))
    for request in story.task_requests:
        yield from _section(f"Request {_place(request)}", _exchange(request, prompts))
    if story.instances:
        yield from _section("Instances", (line for each in story.instances for line in _instance(each)))


def _head(story: Story) -> Iterator[Text]:
    if story.task:
        task = story.task
        kind = {None: "not yet classified", True: "classification", False: "not classification"}[task.is_classification]
        joined = f", round {task.round}" if task.round is not None else ""
        apart = ", held out for evaluation" if task.held_out else ""
        yield Text(f"task {task.id}: {task.origin}, {task.state}, {kind}{joined}{apart}", style="bold")
        yield Text(display(task.instruction))
    elif story.candidate:
        yield Text(f"candidate c{story.candidate.id}: not in the pool", style="bold")
        yield Text(display(story.candidate.text))


def _section(title: str, lines: Iterator[str]) -> Iterator[Text | Padding]:
    yield Text()
    yield Text(title, style="bold")
    for line in lines:
        yield Padding(Text(line), (0, 0, 0, 2))


def _decision(decision: DecisionRecord, near: dict[int, str]) -> Iterator[str]:
    yield f"{decision.verdict} by {decision.decided_by}: {decision.reason}. {REASONS.get(decision.reason, '')}"
    yield f"highest ROUGE-L {decision.score:.4f}, to a seed {decision.seed_score:.4f}, mean over the pool {decision.mean_score:.4f}"
    if decision.nearest is not None:
        yield f"nearest: {_task(decision.nearest, near[decision.nearest])}"


def _exchange(request: RequestRecord, prompts: bool) -> Iterator[str]:
    yield f"model {display_line(request.model.name)}, seed {request.seed}, {_params(request)}"
    if prompts:
        yield "prompt:"
        yield display(request.prefix + request.suffix)
    if request.completion is None:
        yield "not answered yet"
        return
    done = request.completion
    detail = f" ({display_line(done.detail, 60)})" if done.detail.strip() else ""
    yield (
        f"finished: {done.finish_reason}{detail}; tokens: {done.prompt_tokens} prompt ({done.cached_tokens} cached), "
        f"{done.completion_tokens} written"
    )
    if done.probability is not None and request.params.choices:
        yield f"probability of {display_line(request.params.choices[0].strip(), 20)}: {done.probability:.4f}, read from the logits"
        yield "the model chose:"
    else:
        yield "the model wrote:"
    yield display(done.text)


def _instance(instance: InstanceRecord) -> Iterator[str]:
    yield f"{instance.verdict}: {instance.reason}"
    yield f"  input:  {display(instance.input)}" if instance.input else "  input:  (none)"
    yield f"  output: {display(instance.output)}"


def _task(task_id: int, instruction: str) -> str:
    return f"{task_id}  {display_line(instruction, 100)}"


def _place(request: RequestRecord) -> str:
    return f"{request.round}/{request.stage}/{request.ordinal}"


def _params(request: RequestRecord) -> str:
    params = request.params
    return f"temperature {params.temperature:g}, top_p {params.top_p:g}, at most {params.max_tokens} tokens"

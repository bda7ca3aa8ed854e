"""The lines under the header: the round's stages with what each has done, and below what happens now or what the next step would do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from studio.loop.settings import Method
from studio.records import Stage, Verdict
from studio.text import display_line
from studio.tui.round.live import MODEL_STAGES, LiveRound, StageProgress
from studio.tui.runner import Loading, RunnerState
from studio.tui.widgets.frame import clip, pad

GLYPHS = {"waiting": "○", "running": "▶", "done": "✓", "cancelled": "■"}
"""A state's mark: colour repeats it, and never stands alone."""
_STYLES = {"waiting": "$foreground-muted", "running": "$accent bold", "done": "$success", "cancelled": "$warning"}


class Rail(Widget):
    """Two lines over the whole width: the stages with their marks, and under each its count and time."""

    DEFAULT_CSS = """
    Rail { height: 2; padding: 0 1; text-wrap: nowrap; }
    """

    def __init__(self, live: LiveRound, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._live = live
        self._shown: object = None

    def show(self) -> None:
        """Look at the round again; most of the time nothing is other than it was."""
        live = self._live
        # A clock that runs shows whole seconds: tenths would be drawn anew with every frame.
        stages = [(each.state, each.done, each.total, int(each.seconds)) for each in live.stages.values()]
        shown = (live.number, live.view, live.running, live.order, stages)
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def render(self) -> Content:
        order = self._live.order
        width = max(self.content_size.width, 1)
        names, joint = self._names(width)
        spare = max(width - sum(map(len, names)) - joint * (len(order) - 1), 0)
        extra, rest = divmod(spare, len(order))
        parts: list[Content | tuple[str, str]] = []
        under = ""
        for place, (stage, name) in enumerate(zip(order, names, strict=True)):
            progress = self._live.stages[stage]
            room = len(name) + extra + (place < rest)
            last = place == len(order) - 1
            line = "" if last else f" {'─' * (room - len(name) + joint - 2)} " if joint > 1 else " " * (room - len(name) + 1)
            follows = self._live.running is None and progress.state == "waiting" and stage is self._live.next_stage
            parts += [(name, "$foreground" if follows else _STYLES[progress.state]), (line, "$border")]
            below = room + (0 if last else joint)
            under += pad("  " + stage_summary(self._live, stage, below - 3), below)
        return Content.assemble(*parts, "\n", (under, "$foreground-muted"))

    def _names(self, width: int) -> tuple[list[str], int]:
        """The stages' marks and names, and the cells between two of them: closer, then shorter, as the width shrinks."""
        order = self._live.order
        marks = [GLYPHS[self._live.stages[stage].state] for stage in order]
        names = [f"{mark} {stage}" for mark, stage in zip(marks, order, strict=True)]
        if sum(map(len, names)) + 3 * (len(order) - 1) <= width:
            return names, 3
        names = [f"{mark}{stage}" for mark, stage in zip(marks, order, strict=True)]
        longest = max(map(len, names))
        while sum(map(len, names)) + len(order) - 1 > width and longest > 2:
            longest -= 1
            names = [name[:longest] for name in names]
        return names, 1


def stage_summary(live: LiveRound, stage: Stage, width: int) -> str:
    """What a stage has to show in at most `width` characters: a count, and the time it took where that fits, too."""
    progress = live.stages[stage]
    if progress.state == "waiting":
        return ""
    words = _count(live, stage, progress)
    both = " ".join(filter(None, (words, _seconds(progress.seconds, whole=progress.state == "running"))))
    return next((text for text in (both, words, words.partition(" ")[0]) if len(text) <= width), "")


def _count(live: LiveRound, stage: Stage, progress: StageProgress) -> str:
    view = live.view
    if stage not in (Stage.SAMPLE, Stage.COMMIT) and progress.state in ("running", "cancelled"):
        return f"{progress.done}/{progress.total}" if progress.total else ""
    if view is None:
        return ""
    texts = [text for text in view.task_texts if text.stage is stage]
    accepted = sum(candidate.verdict is Verdict.ACCEPTED for candidate in view.candidates)
    match stage:
        case Stage.SAMPLE:
            return f"{len(view.prompts)} prompts"
        case Stage.INSTRUCTIONS:
            return f"{len(view.prompts)} texts"
        case Stage.FILTER:
            return f"{accepted}/{len(view.candidates)}"
        case Stage.CLASSIFY:
            return f"{len(texts)} asked" if texts else ""
        case Stage.INSTANCES | Stage.ANSWER:
            return f"{view.instances} kept"
        case Stage.COMMIT:
            return f"+{accepted}"


def _seconds(seconds: float, *, whole: bool) -> str:
    if seconds < (1 if whole else 0.05):
        return ""
    if seconds < 100:
        return f"{int(seconds)}s" if whole else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


SENTENCES = {
    Stage.SAMPLE: "draw the in-context tasks of each prompt",
    Stage.INSTRUCTIONS: "the model goes on with each list of tasks",
    Stage.FILTER: "rules and ROUGE-L decide every candidate",
    Stage.CLASSIFY: "ask of each new task whether it is a classification task",
    Stage.INSTANCES: "the model writes inputs and outputs for each new task",
    Stage.ANSWER: "the model answers each new task in its own chat template",
    Stage.COMMIT: "the accepted tasks join the pool",
}
"""What each stage does, for someone who sees it for the first time."""
_IN_CHAT = {
    Stage.INSTRUCTIONS: "the model goes on with lists, and writes its own requests",
    Stage.FILTER: "rules, ROUGE-L and likelihood decide every candidate",
}
_OF_DOCUMENTS = {
    Stage.SAMPLE: "draw the passages that instructions are written for",
    Stage.INSTRUCTIONS: "the model writes requests that passages answer, and questions about them",
    Stage.FILTER: "rules, ROUGE-L and what the passage brings decide every candidate",
}
_INPUTS = "the model writes an input for each new task that needs one"


def sentence(stage: Stage, method: Method | None) -> str:
    """What `stage` does with the parameters of the run, as far as they are known."""
    if method is not None and stage is Stage.INSTANCES and method.answers_apart:
        return _INPUTS
    if method is not None and method.documents_alone and stage in _OF_DOCUMENTS:
        return _OF_DOCUMENTS[stage]
    return _IN_CHAT.get(stage, SENTENCES[stage]) if method is not None and method.asking == "chat" else SENTENCES[stage]


@dataclass(frozen=True, slots=True)
class Status:
    """The runner's state, the stage that runs or comes next, and a word about it."""

    state: RunnerState = RunnerState.LOADING
    stage: Stage = Stage.SAMPLE
    note: str = ""
    rate: int = 0
    """Tokens a second; 0 is none yet."""
    far: str = ""
    """How far the run is, of one that goes on by itself."""
    method: Method | None = None
    """The parameters of the round."""

    @staticmethod
    def of(live: LiveRound, state: RunnerState, note: str, far: str, method: Method | None) -> Status:
        rate = live.stages[live.running].rate if live.running is not None else 0
        return Status(state, live.running or live.next_stage, note or _reading(live), round(rate), far, method)


def _reading(live: LiveRound) -> str:
    """What the model does before it has written anything: a template that it has not seen yet takes it seconds."""
    if live.running is None:
        return ""
    progress = live.stages[live.running]
    if live.running is Stage.FILTER and progress.total:
        return "how likely is each candidate as a request? The model measures it"
    return "the model reads its prompts" if live.running in MODEL_STAGES and not progress.tokens and not progress.done else ""


def loading_words(loading: Loading) -> str:
    """Which models are being loaded, files by their last names."""
    names = [each if "://" in each else Path(each).name for each in (loading.model or "the bundled model", loading.answering) if each]
    return f"loading {' and '.join(display_line(name, 60) for name in names)}"


class StatusLine(Widget):
    """Says what the studio is at; never empty."""

    DEFAULT_CSS = """
    StatusLine { height: 1; padding: 0 1; color: $foreground-muted; text-wrap: nowrap; }
    """
    status: reactive[Status] = reactive(Status())

    def render(self) -> Content:
        status = self.status
        does = sentence(status.stage, status.method)
        width = max(self.content_size.width, 1)
        match status.state:
            case RunnerState.LOADING:
                # Which model it is, the pool has to say.
                head, style, rest = "◌ ", "$accent bold", f"{status.note or 'opening the pool'} …"
            case RunnerState.RUNNING:
                rate = f"{status.rate} tokens/s" if status.rate else ""
                parts = filter(None, (status.far, rate, status.note or does))
                head, style, rest = f"▶ {status.stage} ", "$accent bold", f"· {' · '.join(parts)}"
            case RunnerState.STOPPING:
                head, style, rest = "■ stopping ", "$warning bold", "the stage under way is given up, everything before it is kept"
            case RunnerState.FAILED:
                head, style, rest = "✗ not ready ", "$error bold", status.note
            case RunnerState.CLOSED:
                head, style, rest = "closed", "$foreground-muted", ""
            case RunnerState.IDLE:
                head, style = f"next: {status.stage} ", "$primary bold"
                # What just happened is news; the stage's sentence comes back with the next key.
                rest = f"· {status.note or does}"
        return Content.assemble((head, style), (clip(rest, width - len(head)), "$foreground-muted"))

"""One line under the rail: what happens now, or what the next step would do."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from studio.records import Stage
from studio.tui.cells import clip
from studio.tui.runner import RunnerState

SENTENCES = {
    Stage.SAMPLE: "draw the in-context tasks of each prompt",
    Stage.INSTRUCTIONS: "the model goes on with each list of tasks",
    Stage.FILTER: "rules and ROUGE-L decide every candidate",
    Stage.CLASSIFY: "ask of each new task whether it is a classification task",
    Stage.INSTANCES: "the model writes inputs and outputs for each new task",
    Stage.COMMIT: "the accepted tasks join the pool",
}
"""What each stage does, for someone who sees it for the first time."""


@dataclass(frozen=True, slots=True)
class Status:
    """The runner's state, the stage that runs or comes next, and a word about it."""

    state: RunnerState = RunnerState.LOADING
    stage: Stage = Stage.SAMPLE
    note: str = ""
    rate: int = 0
    """Tokens a second; 0 is none yet."""


class StatusLine(Widget):
    """Says what the studio is at; never empty."""

    DEFAULT_CSS = """
    StatusLine { height: 1; padding: 0 1; color: $foreground-muted; text-wrap: nowrap; }
    """

    status: reactive[Status] = reactive(Status())

    def render(self) -> Content:
        """The line."""
        status = self.status
        width = max(self.content_size.width, 1)
        match status.state:
            case RunnerState.LOADING:
                # Which model it is, the pool has to say.
                head, style, rest = "◌ ", "$accent bold", f"{status.note or 'opening the pool'} …"
            case RunnerState.RUNNING:
                rate = f"· {status.rate} tokens/s " if status.rate else ""
                head, style, rest = f"▶ {status.stage} ", "$accent bold", f"{rate}· {status.note or SENTENCES[status.stage]}"
            case RunnerState.STOPPING:
                head, style, rest = "■ stopping ", "$warning bold", "the stage under way is given up, everything before it is kept"
            case RunnerState.FAILED:
                head, style, rest = "✗ not ready ", "$error bold", status.note
            case RunnerState.CLOSED:
                head, style, rest = "closed", "$foreground-muted", ""
            case RunnerState.IDLE:
                head, style = f"next: {status.stage} ", "$primary bold"
                # What just happened is news; the stage's sentence comes back with the next key.
                rest = f"· {status.note or SENTENCES[status.stage]}"
        return Content.assemble((head, style), (clip(rest, width - len(head)), "$foreground-muted"))

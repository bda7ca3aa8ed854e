"""What is said where something is asked of the pool that can only be done between two stages."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.widget import Widget

from studio.tui.runner import RunnerState

_PLAYING = "A stage is being played: stop it first, or wait until it ends."
_WORDS = {
    RunnerState.LOADING: "The model is being loaded: wait until it is there.",
    RunnerState.FAILED: "The session could not be opened: ctrl+r on the studio screen tries again.",
}


def say_busy(node: App[Any] | Widget, state: RunnerState = RunnerState.RUNNING) -> None:
    """Tell on the screen why nothing can be changed now."""
    node.notify(_WORDS.get(state, _PLAYING), severity="warning", markup=False)

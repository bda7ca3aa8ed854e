"""The sum of one session's work, counted from its events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from studio.loop.events import Event, RequestFinished, RoundFinished, RunStopped, StopReason


@dataclass
class Summary:
    """What one session did. `rejected` counts candidates by reason; tokens and seconds are this session's own."""

    pool: str
    run_id: int
    rounds: int = 0
    candidates: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    instances: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    stopped: StopReason = StopReason.ROUNDS

    def add(self, event: Event) -> None:
        """Count what `event` tells."""
        match event:
            case RequestFinished(_, _, completion):
                self.prompt_tokens += completion.prompt_tokens
                self.cached_tokens += completion.cached_tokens
                self.completion_tokens += completion.completion_tokens
            case RoundFinished():
                self.rounds += 1
                self.accepted += event.accepted
                self.rejected.update(event.rejected)
                self.candidates += event.accepted + sum(event.rejected.values())
                self.instances += event.instances
            case RunStopped(reason):
                self.stopped = reason

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        values = dict(vars(self))
        return values | {"rejected": dict(self.rejected.most_common()), "seconds": round(self.seconds, 3), "stopped": str(self.stopped)}

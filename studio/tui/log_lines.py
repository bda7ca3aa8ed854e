"""What the log keeps of the runner's notices: what one would want to know an hour later."""

from __future__ import annotations

from studio.errors import StudioError
from studio.loop.events import EngineRestarted, RequestRetried, RoundFinished, RoundStarted, StageFinished
from studio.tui.runner import Answered, Failed, Loading, Notice, Opened, WorkEnded


def log_line(notice: Notice) -> tuple[str, bool] | None:
    """Return the line for a notice and whether it is an error; None for what is not worth one. The text is cleaned where it is shown."""
    match notice:
        case Loading(model, notes):
            return "; ".join((*notes, f"loading {model or 'the bundled model'}")), False
        case Opened(info, method, seed, resumed, _):
            verb = "going on with the run" if resumed else "a new run"
            return f"{verb}: {info.model.name}, {info.backend}, profile {method.profile}, seed {seed}", False
        case RoundStarted(number, stage):
            return f"round {number} begins or goes on at {stage}", False
        case StageFinished(number, stage, _):
            return f"round {number}: {stage} is done", False
        case RoundFinished(number, accepted, rejected, instances, generated):
            candidates = accepted + sum(rejected.values())
            return f"round {number} brought {accepted} tasks of {candidates} candidates, {instances} instances; {generated} in all", False
        case EngineRestarted(stage, attempt, cause):
            return f"the engine died in {stage} and was started again, attempt {attempt}: {cause}", True
        case RequestRetried(stage, ordinal, attempt, cause):
            return f"request {ordinal + 1} of {stage} is sent again {notice.when}, attempt {attempt}: {cause}", True
        case WorkEnded(work, stopped):
            return f"{work} ended" + (f": {stopped}" if stopped is not None else ""), False
        case Answered(_, str(words)):
            # What a person does has words: they are what the toast says, too.
            return f"by you: {words}", False
        case Failed(error) | Answered(_, StudioError() as error):
            return f"{error.message}; {error.hint}" if error.hint else error.message, True
        case _:
            return None

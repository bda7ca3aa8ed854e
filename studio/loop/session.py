"""A session walks a pool round after round through its stages: one generator of events, whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from studio.engine.api import CancelToken, Engine
from studio.loop.events import Event, RoundStarted, RunStopped, StageFinished, StageStarted, StopReason
from studio.loop.novelty import NoveltyIndex
from studio.loop.settings import Method
from studio.loop.stages.answer import answer_instances
from studio.loop.stages.asking import SessionContext, StageCancelled, StageContext
from studio.loop.stages.candidates import filter_candidates
from studio.loop.stages.instances import classify, commit, write_instances
from studio.loop.stages.instructions import passages_left, sample, write_instructions
from studio.loop.steering import Steering
from studio.loop.tokens import TOKENIZERS
from studio.pool.pool import Pool
from studio.records import Stage

RUNNERS: Mapping[Stage, Callable[[StageContext], Iterator[Event]]] = MappingProxyType(
    {
        Stage.SAMPLE: sample,
        Stage.INSTRUCTIONS: write_instructions,
        Stage.FILTER: filter_candidates,
        Stage.CLASSIFY: classify,
        Stage.INSTANCES: write_instances,
        Stage.ANSWER: answer_instances,
        Stage.COMMIT: commit,
    }
)


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a run ends: `target` generated tasks in the pool, or `rounds` more rounds; without either it ends when it stalls.

    One that is of documents alone ends with their last passage.
    """

    target: int | None = None
    rounds: int | None = None


class Session:
    """The loop over one pool with its engine, and one more where another model answers.

    The pool's run must have been started or resumed by the caller.
    """

    def __init__(self, pool: Pool, engine: Engine, method: Method, seed: str, run_id: int, answering: Engine | None = None) -> None:
        index = NoveltyIndex(TOKENIZERS[method.tokenizer])
        index.extend(pool.tasks.instructions())
        self._context = SessionContext(pool, engine, method, seed, index, answering)
        self._run_id = run_id
        self.steering = Steering(self._context, run_id)
        """A person's hand on the run: called between stages, on the thread that plays them."""

    def go_on(self) -> None:
        """Forget a cancellation, so that the session can be played again; the stage given up is the next one."""
        self._context.cancel = CancelToken()

    @property
    def cancel(self) -> CancelToken:
        """Cancels the session: the stage under way is given up and will be done again by the next session."""
        return self._context.cancel

    def run(self, goal: Goal) -> Iterator[Event]:
        """Play rounds until `goal`, the stop rule or a cancellation; the last event is `RunStopped`.

        A round that an earlier session left unfinished is finished first. Each stage is one committed step: whoever stops
        pulling events, or dies, leaves a pool that goes on from the last committed stage.
        Raises ModelError and PoolError as the engine and the pool do.
        """
        played = 0
        while (stop := self._reached(goal, played)) is None:
            try:
                yield from self.play_round()
            except StageCancelled:
                stop = StopReason.CANCELLED
                break
            played += 1
        yield RunStopped(stop)

    def play_round(self) -> Iterator[Event]:
        """Play one round from the stage it stands at to its end.

        Between two stages, after `StageFinished`, a person may steer: which stage is next is read anew each time.
        """
        pool = self._context.pool
        current = pool.rounds.begin(self._run_id)
        yield RoundStarted(current.number, current.stage)
        while True:
            if self.cancel.cancelled:
                raise StageCancelled
            stage = current.stage
            yield StageStarted(current.number, stage)
            yield from RUNNERS[stage](self._context.for_round(current))
            yield StageFinished(current.number, stage, self._context.method.after(stage))
            standing = pool.rounds.unfinished()
            if standing is None or standing.id != current.id:
                return
            current = standing

    def _reached(self, goal: Goal, played: int) -> StopReason | None:
        pool = self._context.pool
        unfinished = pool.rounds.unfinished() is not None
        if self.cancel.cancelled:
            return StopReason.CANCELLED
        if not unfinished and goal.target is not None and pool.figures.generated() >= goal.target:
            return StopReason.TARGET
        if goal.rounds is not None and played >= goal.rounds:
            return StopReason.ROUNDS
        if not unfinished and self._context.method.documents_alone and not passages_left(self._context):
            return StopReason.DOCUMENTS
        # Only after a round of its own: who runs a stalled pool again gets one more round before hearing the same.
        patience = self._context.method.stall_rounds
        yields = pool.rounds.newest_yields(self._run_id, patience) if played else ()
        return StopReason.STALLED if len(yields) == patience and not any(yields) else None

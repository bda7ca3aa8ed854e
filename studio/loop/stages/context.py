"""What every stage works with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from studio.engine.api import CancelToken, Engine, SamplingParams
from studio.loop.configuration import overridden
from studio.loop.events import Noted
from studio.loop.novelty import NoveltyIndex
from studio.loop.prompts import Template
from studio.loop.sampling import engine_seed
from studio.loop.settings import Decoding, Method
from studio.pool.pool import Pool
from studio.pool.records import PlannedRequest, RoundRecord
from studio.records import Stage


class StageCancelled(Exception):
    """The user cancelled while the engine was at work: the stage is not committed and will be done again."""


@dataclass
class StageContext:
    """The pool, the engine and the rules of one session."""

    pool: Pool
    engine: Engine
    method: Method
    seed: str
    index: NoveltyIndex
    cancel: CancelToken = field(default_factory=CancelToken)
    said: set[str] = field(default_factory=set)
    """What was noted in this session."""

    @cached_property
    def templates(self) -> dict[str, Template]:
        """The prompts of the method, parsed."""
        return {name: Template.parse(name, self.method.filled(text)) for name, text in self.method.prompts.model_dump().items()}

    def for_round(self, current: RoundRecord) -> StageContext:
        """The same with the parameters that hold for this round alone, if there are any."""
        overrides = self.pool.reader.round_overrides(current.id)
        return replace(self, method=overridden(self.method, overrides)) if overrides else self

    def note(self, text: str) -> Iterator[Noted]:
        """Say `text` unless this session has said it."""
        if text not in self.said:
            self.said.add(text)
            yield Noted(text)

    def planned(self, place: tuple[RoundRecord, Stage, int], template: str, filling: str, decoding: Decoding) -> PlannedRequest:
        """A request of the stage at `place` (round, stage, ordinal): `template` filled with `filling`, with its own seed."""
        current, stage, ordinal = place
        parsed = self.templates[template]
        params: SamplingParams = decoding.params()
        params = replace(params, stop=tuple(map(self.method.filled, params.stop)))
        return PlannedRequest(parsed.prefix, parsed.suffix(filling), params, engine_seed(self.seed, current.number, stage, ordinal))

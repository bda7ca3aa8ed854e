"""Stage 2: the model goes on with the lists; what it wrote is stored before anyone parses it."""

from __future__ import annotations

from collections.abc import Iterator

from studio.loop.events import Event
from studio.loop.stages.complete import complete
from studio.loop.stages.context import StageContext
from studio.pool.records import RoundRecord
from studio.records import Stage


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Complete the round's instruction requests."""
    yield from complete(context, current, Stage.INSTRUCTIONS, Stage.FILTER)

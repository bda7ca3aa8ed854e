"""Stage 6: the round's drafts become tasks of the pool; later rounds may sample them."""

from __future__ import annotations

from collections.abc import Iterator

from studio.loop.events import Event, RoundFinished
from studio.loop.stages.context import StageContext
from studio.pool.records import RoundRecord


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Commit the round and sum it up."""
    context.pool.commit_round(current.id)
    brought = context.pool.reader.round_result(current.id)
    generated = context.pool.reader.generated()
    yield RoundFinished(current.number, brought.accepted, brought.rejected, brought.instances, generated)

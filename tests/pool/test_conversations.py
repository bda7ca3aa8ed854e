"""Instances that were a conversation: the pool keeps what was said around their first exchange, whatever is done to that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studio.pool.ledger import Note
from studio.pool.pool import Pool
from studio.records import Instance, Origin, SeedTask, Turn

TALK = Instance(
    "given", "Paris.", "Which one?", "Be \ud800brief.", (Turn("user", "And\u2028Spain?\r\n"), Turn("assistant", " Madrid. ", "Easy."))
)
STORED = replace(TALK, system="Be \ufffdbrief.")


@pytest.fixture
def talking(pool: Pool) -> int:
    """The id of a task with a conversation and an instance that is none."""
    pool.tasks.add([SeedTask("", "", "Name capitals.", (TALK, Instance("", "Rome.")), False, '{"id": 7}')], Origin.IMPORTED)
    return pool.tasks.newest(1)[0]


def test_every_reader_of_instances_has_the_conversation(pool: Pool, talking: int) -> None:
    assert pool.tasks.get(talking).instances == (STORED, Instance("", "Rome."))
    [exported] = [task for task in pool.stream.export_tasks(include_seeds=False) if task.id == talking]
    assert (exported.instances, exported.provenance) == ((STORED, Instance("", "Rome.")), '{"id": 7}')
    [linted] = [task for task in pool.stream.lint_tasks() if task.id == talking]
    assert [(each.system, each.turns) for each in linted.instances] == [(STORED.system, STORED.turns), ("", ())]
    first, second = pool.instances.of_task(talking)
    assert (first.system, first.turns, first.thoughts) == (STORED.system, STORED.turns, STORED.thoughts)
    assert (second.system, second.turns) == ("", ())


def test_an_edit_and_its_undoing_leave_the_turns_as_they_are(pool: Pool, talking: int) -> None:
    first, _ = pool.instances.of_task(talking)
    pool.ledger.change_instance(Note("edit", "edit"), first.id, {"output": "Lyon.", "reason": "edited"})
    changed = pool.instances.get(first.id)
    assert (changed.output, changed.system, changed.turns) == ("Lyon.", STORED.system, STORED.turns)
    pool.ledger.undo()
    assert pool.tasks.get(talking).instances[0] == STORED


def test_instances_that_differ_in_their_turns_or_thoughts_alone_are_two(pool: Pool, talking: int) -> None:
    others = (
        STORED,
        replace(STORED, turns=STORED.turns[:1]),
        replace(STORED, system=""),
        replace(STORED, thoughts="Another way."),
        replace(STORED, thoughts=""),
    )
    with pool.tasks.importing(Origin.IMPORTED) as adding:
        added = adding.add(SeedTask("", "", "Name  capitals.", others, None))
    # The first is there already, and so is the last but for thoughts that it does not bring.
    assert (added.new, added.joined) == (False, 3)
    assert pool.tasks.get(talking).instances[2:] == others[1:4]


def test_an_edited_conversation_is_known_when_it_comes_back_as_it_was_exported(pool: Pool, talking: int) -> None:
    first, _ = pool.instances.of_task(talking)
    pool.ledger.change_instance(Note("edit", "edit"), first.id, {"output": "Lyon.", "reason": "edited"})
    [exported] = [task for task in pool.stream.export_tasks(include_seeds=False) if task.id == talking]
    assert exported.instances[0].thoughts == ""
    with pool.tasks.importing(Origin.IMPORTED) as adding:
        assert adding.add(SeedTask("", "", "Name capitals.", exported.instances, None)).joined == 0

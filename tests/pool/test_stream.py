"""The stream of tasks to export."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from studio.pool.exchange.export import ExportOptions, export_to_files
from studio.pool.exchange.formats import FORMATS
from studio.pool.ledger import Note
from studio.pool.pool import Pool, Queries
from studio.pool.requests import sampling_of
from studio.pool.stream import ExportTask
from studio.records import Decider, Instance, Neighbour, Origin, SeedTask
from support.pools import MODEL, ask, seed_tasks, walk_round
from support.steering import steered_pool


def test_a_generated_task_comes_with_its_provenance(walked: Pool) -> None:
    first, second = walked.stream.export_tasks(False)
    assert first == ExportTask(
        id=11,
        origin=Origin.GENERATED,
        key="",
        name="",
        instruction="Name three rivers.",
        is_classification=False,
        instances=(Instance("", "Elbe, Oder, Rhine"),),
        round=1,
        parents=(8, 7, 6, 5, 4, 3, 2, 1),
        score=0.25,
        seed_score=0.25,
        nearest=3,
        neighbours=(Neighbour(3, 0.25), Neighbour(1, 0.125)),
        request="1/instructions/0",
        model=MODEL.sha256,
        decided_by=Decider.RULE,
    )
    assert (second.id, second.is_classification, second.neighbours) == (12, True, (Neighbour(11, 0.2),))


def test_seeds_come_when_asked_for_and_imports_always(walked: Pool) -> None:
    walked.tasks.add(seed_tasks(1), Origin.IMPORTED)
    assert [task.id for task in walked.stream.export_tasks(False)] == [11, 12, 13]
    everything = list(walked.stream.export_tasks(True))
    assert [task.id for task in everything] == list(range(1, 14))
    expected = ExportTask(1, Origin.SEED, "seed_1", "name 1", "Describe the animal with number 1.", False, (Instance("", "It is 1."),))
    assert everything[0] == expected


def test_what_is_not_active_or_has_no_accepted_instance_stays_out(walked: Pool) -> None:
    walked.tasks.add([SeedTask("", "", "Nothing to show.", (), False)], Origin.IMPORTED)
    with walked._database.transaction():
        walked._database.execute("UPDATE tasks SET state = 'retired' WHERE id = 1")
        walked._database.execute("UPDATE tasks SET state = 'draft' WHERE id = 11")
        walked._database.execute("UPDATE instances SET verdict = 'rejected' WHERE task_id = 2")
        walked._database.execute("UPDATE tasks SET is_classification = NULL WHERE id = 12")
    exported = list(walked.stream.export_tasks(True))
    assert [task.id for task in exported] == [*range(3, 11), 12]
    assert exported[-1].is_classification is None


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 500])
def test_the_size_of_a_chunk_changes_nothing(walked: Pool, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    whole = list(walked.stream.export_tasks(True))
    monkeypatch.setattr("studio.pool.stream.CHUNK", chunk)
    assert list(walked.stream.export_tasks(True)) == whole


def test_a_reader_sees_one_state_while_the_writer_goes_on(walked: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.pool.stream.CHUNK", 1)
    with Queries.open(walked.path) as queries:
        stream = queries.stream.export_tasks(False)
        assert next(stream).id == 11
        walk_round(walked)
        assert [task.id for task in stream] == [12]
        assert [task.id for task in queries.stream.export_tasks(False)] == [11, 12, 13, 14]
        abandoned = queries.stream.export_tasks(False)
        next(abandoned)
        abandoned.close()
        assert queries.figures.counts().rounds == 2


def test_the_writer_may_write_between_two_tasks_of_its_own_stream(walked: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.pool.stream.CHUNK", 1)
    stream = walked.stream.export_tasks(False)
    next(stream)
    walk_round(walked)
    assert [task.id for task in stream] == [12, 13, 14]


def test_memory_does_not_grow_with_the_pool(pool: Pool) -> None:
    def peak() -> int:
        tracemalloc.start()
        number = sum(1 for _ in pool.stream.export_tasks(True))
        assert number == len(pool.tasks.ids())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    pool.tasks.add(seed_tasks(1500), Origin.IMPORTED)
    small = peak()
    pool.tasks.add(seed_tasks(6000), Origin.IMPORTED)
    assert peak() < small * 1.5 + 100_000


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_asks_by_the_chunk_and_not_by_the_task(walked: Pool, tmp_path: Path, name: str) -> None:
    def asked() -> int:
        questions: list[str] = []
        walked._database.connection.set_trace_callback(questions.append)
        summary = export_to_files(walked.stream, tmp_path / name, ExportOptions(name), walked.path)
        walked._database.connection.set_trace_callback(None)
        assert summary.tasks == walked.figures.generated() // (2 if FORMATS[name].paired else 1)
        return len(questions)

    def give_pair(pool: Pool) -> None:
        """Change the answer of the first of the round's two tasks."""
        instance = max(found for (found,) in ask(pool.path, "SELECT id FROM instances WHERE output LIKE 'Elbe%'"))
        values = {"output": "Elbe, Oder and Rhine.", "reason": "edited"}
        pool.ledger.change_instance(Note("edit instance", "changed it"), instance, values)

    give_pair(walked)
    few = asked()
    for _ in range(4):
        walk_round(walked)
        give_pair(walked)
    assert asked() == few


def test_the_views_tell_what_the_queries_tell(tmp_path: Path) -> None:
    path = steered_pool(tmp_path / "pool.db", 0)
    with Queries.open(path) as reader:
        exported = [
            (task.id, task.origin, task.round, task.is_classification, task.instruction, each.input, each.output)
            for task in reader.stream.export_tasks(True)
            for each in task.instances
        ]
        assert ask(path, "SELECT * FROM dataset ORDER BY task_id") == exported
        told = [(each.id, each.reason, each.score, each.text) for each in reader.candidates.rejected(1000)]
        assert ask(path, "SELECT candidate_id, reason, score, text FROM rejected ORDER BY 1 DESC") == told
        for found, prompt, completion, params in ask(path, "SELECT request_id, prompt, completion, params FROM request_prompts"):
            request = reader.requests.get(found)
            assert (request.prefix + request.suffix, request.params) == (prompt, sampling_of(params))
            assert completion == (request.completion and request.completion.text)

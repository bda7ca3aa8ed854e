"""Reading: tasks, stories and counts of a pool made by hand."""

from __future__ import annotations

from array import array

import pytest

from studio.engine.api import FinishReason
from studio.errors import PoolError
from studio.pool import tasks
from studio.pool.figures import PoolCounts
from studio.pool.pool import Pool, Queries
from studio.pool.requests import PlannedRequest
from studio.records import Decider, Instance, Neighbour, Origin, Stage, TaskState
from support.pools import MODEL, PARAMS, PREFIX, RAW, ask, seed_tasks, walk_round


def test_tasks_come_in_the_order_asked_for(walked: Pool) -> None:
    tasks = walked.tasks.many([12, 1, 11, 1])
    assert [task.id for task in tasks] == [12, 1, 11, 1]
    assert [task.round for task in tasks] == [1, None, 1, None]
    assert [task.is_classification for task in tasks] == [True, False, False, False]
    assert tasks[0].instances == (Instance("I loved it.", "kind"),)
    assert walked.tasks.many([]) == []
    with pytest.raises(PoolError, match="has no task 99"):
        walked.tasks.many([1, 99])


def test_more_tasks_than_a_query_takes(pool: Pool) -> None:
    pool.tasks.add(seed_tasks(1200), Origin.IMPORTED)
    ids = list(reversed(pool.tasks.ids()))
    assert [task.id for task in pool.tasks.many(ids)] == ids


def test_task_ids_by_origin_state_and_kind(walked: Pool) -> None:
    reader = walked
    assert reader.tasks.ids() == array("q", range(1, 13))
    assert list(reader.tasks.ids(origin=Origin.SEED)) == list(range(1, 11))
    assert list(reader.tasks.ids(origin=Origin.GENERATED)) == [11, 12]
    assert list(reader.tasks.ids(origin=Origin.IMPORTED)) == []
    assert list(reader.tasks.ids(classification_only=True)) == [5, 10, 12]
    assert list(reader.tasks.ids(origin=Origin.SEED, classification_only=True)) == [5, 10]
    assert list(reader.tasks.ids(state=TaskState.DRAFT)) == []


def test_instructions_are_those_of_all_tasks(walked: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_INSTRUCTIONS_AT_A_TIME", 5)
    with walked._database.transaction():
        walked._database.execute("UPDATE tasks SET state = 'retired' WHERE id = 3")
        walked._database.execute("UPDATE tasks SET state = 'draft' WHERE id = 12")
    listed = list(walked.tasks.instructions())
    assert [task_id for task_id, _, _ in listed] == list(range(1, 13))
    assert listed[0] == (1, "Describe the animal with number 1.", True)
    assert listed[10] == (11, "Name three rivers.", False)


def test_the_story_of_a_generated_task(walked: Pool) -> None:
    reader = walked
    candidate = reader.candidates.of_task(12)
    assert candidate == reader.candidates.get(2)
    assert candidate is not None
    assert (candidate.task_id, candidate.input, candidate.output) == (12, "in", "out")
    request = reader.candidates.request(2)
    assert (request.round, request.stage, request.ordinal, request.task_id) == (1, Stage.INSTRUCTIONS, 0, None)
    assert (request.prefix, request.suffix, request.params, request.seed) == (PREFIX, "suffix 0", PARAMS, 7)
    assert request.parents == (8, 7, 6, 5, 4, 3, 2, 1)
    assert (request.run_id, request.model) == (1, MODEL)
    assert request.completion is not None
    assert (request.completion.text, request.completion.finish_reason, request.completion.detail) == (RAW, FinishReason.STOP, "\n16")
    about = reader.requests.about(12)
    assert [(item.stage, item.ordinal, item.suffix) for item in about] == [(Stage.INSTANCES, 1, "Task: review")]
    assert reader.candidates.neighbours(1) == (Neighbour(3, 0.25), Neighbour(1, 0.125))
    rejected = reader.candidates.decisions(3)[-1]
    assert (rejected.reason, rejected.score, rejected.nearest) == ("not_novel", 1.0, 11)
    assert [instance.reason for instance in reader.instances.of_task(11)] == ["valid", "empty_output"]


def test_seeds_have_no_story(walked: Pool) -> None:
    assert walked.candidates.of_task(1) is None
    assert walked.requests.about(1) == []
    for ask_for in (walked.candidates.get, walked.candidates.request, walked.requests.get):
        with pytest.raises(PoolError, match=r"has no (candidate|request) 99"):
            ask_for(99)


def test_a_request_without_completion_says_so(pool: Pool) -> None:
    current = pool.rounds.begin(pool.runs.start("{}", "1", "0", MODEL))
    pool.requests.plan(current.id, Stage.INSTRUCTIONS, [PlannedRequest("p", "s", PARAMS, 1)], None)
    assert pool.requests.get(1).completion is None
    assert pool.requests.completions(current.id, Stage.INSTRUCTIONS) == []


def test_counts_of_an_empty_pool(pool: Pool) -> None:
    assert pool.figures.counts() == PoolCounts(seeds=10)
    assert pool.figures.counts(1) == PoolCounts()


def test_counts_of_a_pool_and_of_its_runs(walked: Pool) -> None:
    walked.runs.start("{}", "second", "0", MODEL)
    walk_round(walked)
    walk_round(walked)
    walked.tasks.add(seed_tasks(4), Origin.IMPORTED)
    of_first = PoolCounts(
        generated=2,
        candidates=3,
        accepted=2,
        rejected={"not_novel": 1},
        rounds=1,
        instances=2,
        instances_rejected=1,
        prompt_tokens=300,
        cached_tokens=185,
        completion_tokens=1075,
        model_seconds=4.0,
    )
    assert walked.figures.counts(1) == of_first
    whole = walked.figures.counts()
    assert (whole.seeds, whole.generated, whole.imported, whole.rounds) == (10, 6, 4, 3)
    assert (whole.candidates, whole.accepted, whole.rejected, whole.instances) == (9, 6, {"not_novel": 3}, 6)
    second = walked.figures.counts(2)
    assert (second.rounds, second.prompt_tokens, second.model_seconds) == (2, 600, 8.0)


def test_the_newest_decision_holds(walked: Pool) -> None:
    with walked._database.transaction():
        columns = "verdict, reason, score, nearest_task_id, seed_score, mean_score, decided_by, decided_at"
        walked._database.execute(
            f"INSERT INTO decisions (candidate_id, {columns}) VALUES (1, 'rejected', 'unsafe', 0, NULL, 0, 0, 'human', '')"
        )
    counts = walked.figures.counts()
    assert (counts.accepted, counts.rejected, counts.candidates) == (1, {"not_novel": 1, "unsafe": 1}, 3)
    assert [decision.decided_by for decision in walked.candidates.decisions(1)] == [Decider.RULE, Decider.HUMAN]
    assert next(walked.stream.export_tasks(False)).decided_by is Decider.HUMAN


def test_plain_sql_tells_which_tasks_led_to_a_task(walked: Pool) -> None:
    sql = """
        SELECT parent.instruction FROM tasks JOIN candidates ON candidates.id = tasks.candidate_id
            JOIN request_parents USING (request_id) JOIN tasks AS parent ON parent.id = request_parents.task_id
        WHERE tasks.id = ? ORDER BY position
    """
    parents = [instruction for (instruction,) in ask(walked.path, sql, 12)]
    assert parents == [f"Describe the animal with number {number}." for number in range(8, 0, -1)]


def test_plain_sql_tells_why_a_candidate_was_rejected(walked: Pool) -> None:
    sql = """
        SELECT verdict, reason, score, tasks.instruction FROM verdicts LEFT JOIN tasks ON tasks.id = nearest_task_id
        WHERE verdicts.candidate_id = ?
    """
    assert ask(walked.path, sql, 3) == [("rejected", "not_novel", 1.0, "Name three rivers.")]


def test_plain_sql_tells_what_exactly_the_model_was_given_and_wrote(walked: Pool) -> None:
    sql = """
        SELECT prompts.text || suffix, completions.text, finish_reason FROM candidates
            JOIN requests ON requests.id = candidates.request_id JOIN prompts ON prompts.id = prefix_id JOIN completions USING (request_id)
        WHERE candidates.id = ?
    """
    assert ask(walked.path, sql, 1) == [(PREFIX + "suffix 0", RAW, "stop")]


def test_a_closed_reader_says_so(walked: Pool) -> None:
    queries = Queries.open(walked.path)
    queries.close()
    queries.close()
    with pytest.raises(PoolError):
        queries.figures.counts()

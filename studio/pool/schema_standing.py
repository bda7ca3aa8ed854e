"""Which decision of a candidate stands, what each action touched, and the indexes by which all of it is counted."""

from __future__ import annotations

# The one definition. A candidate whose round a person had written anew has no verdict, whatever was decided of it then.
_STANDS = """
    decisions.id = (SELECT max(newest.id) FROM decisions AS newest WHERE newest.candidate_id = decisions.candidate_id)
    AND (
        SELECT rounds.stage FROM candidates
            JOIN requests ON requests.id = candidates.request_id JOIN rounds ON rounds.id = requests.round_id
        WHERE candidates.id = decisions.candidate_id
    ) <> 'superseded'"""


def _stand_again(candidates: str) -> str:
    """Return the statement that sets `standing` right for the decisions of `candidates`, a condition on `candidate_id`."""
    return f"UPDATE decisions SET standing = NOT standing WHERE candidate_id {candidates} AND standing <> ({_STANDS});"


def _touched(changes: str) -> str:
    """Return the statement that notes what actions touched, by the query `changes` for their ids and each of their changes as JSON."""
    targets = {"neighbours": "candidates", "request_parents": "requests", "task_tags": "tasks", "task_notes": "tasks"}
    rows = (
        ("coalesce(json_extract(change, '$.table'), 'candidates')", "coalesce({id}, {owner}, {candidate})", "'row', 'list', 'decision'"),
        ("'rounds'", "{round}", "'parameters', 'attempt'"),
        ("'rounds'", "{attempt}", "'attempt'"),
    )
    keys = {key: f"json_extract(change, '$.{key}')" for key in ("id", "owner", "candidate", "round", "attempt")}
    kind = "json_extract(change, '$.kind')"
    parts = (
        f"SELECT {table} AS target, {found.format(**keys)} AS id, action_id FROM ({changes}) WHERE {kind} IN ({kinds})"
        for table, found, kinds in rows
    )
    renamed = " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in targets.items())
    return (
        f"INSERT OR IGNORE INTO action_targets (target_id, action_id, target) SELECT id, action_id, CASE target {renamed} ELSE target END"
        f" FROM ({' UNION ALL '.join(parts)});"
    )


_OF_SUPERSEDED = (
    "SELECT candidates.id FROM rounds JOIN requests ON requests.round_id = rounds.id JOIN candidates ON candidates.request_id = requests.id"
    " WHERE rounds.stage = 'superseded'"
)
_OVERTAKEN = "SELECT candidate_id FROM decisions GROUP BY candidate_id HAVING count(*) > 1"

STANDING = f"""
-- Whether a decision is its candidate's verdict: the newest one, unless the candidate's round was written anew. Kept by the triggers below,
-- so that nobody has to look for it: ask the view `verdicts`.
ALTER TABLE decisions ADD COLUMN standing INTEGER NOT NULL DEFAULT 1 CHECK (standing IN (0, 1));
{_stand_again(f"IN ({_OVERTAKEN} UNION ALL {_OF_SUPERSEDED})")}
CREATE TRIGGER decisions_overtaken BEFORE INSERT ON decisions BEGIN
    UPDATE decisions SET standing = 0 WHERE candidate_id = new.candidate_id AND standing;
END;
CREATE TRIGGER decisions_stand AFTER INSERT ON decisions BEGIN
    {_stand_again("= new.candidate_id")}
END;
CREATE TRIGGER requests_stand AFTER UPDATE OF round_id ON requests BEGIN
    {_stand_again("IN (SELECT id FROM candidates WHERE request_id = new.id)")}
END;
CREATE TRIGGER rounds_stand AFTER UPDATE OF stage ON rounds WHEN (old.stage = 'superseded') <> (new.stage = 'superseded') BEGIN
    {_stand_again("IN (SELECT candidates.id FROM requests JOIN candidates ON request_id = requests.id WHERE round_id = new.id)")}
END;
DROP INDEX decisions_reason;
CREATE UNIQUE INDEX decisions_standing ON decisions (candidate_id) WHERE standing;
CREATE INDEX decisions_counted ON decisions (reason, verdict, candidate_id, standing) WHERE standing;
CREATE INDEX decisions_rejected ON decisions (candidate_id) WHERE standing AND verdict = 'rejected';
CREATE INDEX decisions_by_hand ON decisions (decided_by, standing) WHERE standing AND decided_by = 'human';

-- The verdicts that stand, one for each candidate that has one: what every figure counts.
DROP VIEW verdicts;
CREATE VIEW verdicts AS
    SELECT id, candidate_id, verdict, reason, score, nearest_task_id, seed_score, mean_score, decided_by, decided_at, edited, action_id
    FROM decisions WHERE standing;

-- What an action changed, by the table and id of what it is about: a task's tags are the task, a candidate's decision is the candidate.
CREATE TABLE action_targets (
    target TEXT NOT NULL CHECK (target IN ('tasks', 'candidates', 'instances', 'requests', 'rounds')),
    target_id INTEGER NOT NULL,
    action_id INTEGER NOT NULL REFERENCES actions (id),
    PRIMARY KEY (target, target_id, action_id)
) WITHOUT ROWID;
{_touched("SELECT actions.id AS action_id, value AS change FROM actions, json_each(actions.changes)")}
CREATE TRIGGER actions_touch AFTER UPDATE OF changes ON actions BEGIN
    {_touched("SELECT new.id AS action_id, value AS change FROM json_each(new.changes)")}
END;

-- A rating that was taken back is no rating: its row goes.
DELETE FROM ratings
    WHERE coalesce(instruction_valid, input_appropriate, output_acceptable, nullif(skipped, 0), nullif(note, '')) IS NULL;
DELETE FROM grades WHERE coalesce(first_grade, second_grade, nullif(skipped, 0), nullif(note, '')) IS NULL;

-- Figures are summed up from these alone: rows hold long texts before their numbers.
CREATE INDEX completions_cost ON completions (request_id, prompt_tokens, cached_tokens, completion_tokens, seconds);
CREATE INDEX instances_verdict ON instances (verdict, reason, task_id);
DROP INDEX rounds_run;
CREATE INDEX rounds_run ON rounds (run_id, number);
"""

"""The pool's tables, as numbered migrations: migration N brings a pool from version N - 1 to N, in one transaction."""

from __future__ import annotations

from studio.pool.schema_evaluation import EVALUATION
from studio.pool.schema_judge import JUDGE
from studio.pool.schema_review import REVIEW
from studio.pool.schema_standing import STANDING
from studio.pool.schema_training import TRAINING

APPLICATION_ID = 0x53495331
"""SQLite's `application_id` of a pool: the bytes `SIS1`."""

_FIRST = """
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    name TEXT NOT NULL,
    quantisation TEXT NOT NULL,
    licence TEXT NOT NULL,
    architecture TEXT NOT NULL,
    parameters INTEGER NOT NULL,
    context_length INTEGER NOT NULL,
    file_size INTEGER NOT NULL,
    UNIQUE (sha256, name)
);

-- One row for each set of settings that generated here; a resumed run goes on in its own row.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    settings TEXT NOT NULL CHECK (json_valid(settings)),
    seed TEXT NOT NULL,
    studio_version TEXT NOT NULL,
    model_id INTEGER NOT NULL REFERENCES models (id),
    started_at TEXT NOT NULL
);

-- `stage` is the next stage to do; 'done' after the last. Numbers count through the whole pool.
CREATE TABLE rounds (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL UNIQUE,
    stage TEXT NOT NULL CHECK (stage IN ('sample', 'instructions', 'filter', 'classify', 'instances', 'commit', 'done')),
    started_at TEXT NOT NULL,
    finished_at TEXT
);
CREATE INDEX rounds_run ON rounds (run_id);
-- One round at most is unfinished.
CREATE UNIQUE INDEX rounds_open ON rounds ((1)) WHERE stage <> 'done';

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL CHECK (origin IN ('seed', 'generated', 'imported')),
    state TEXT NOT NULL CHECK (state IN ('draft', 'active', 'retired')),
    key TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    instruction TEXT NOT NULL,
    is_classification INTEGER CHECK (is_classification IN (0, 1)),
    round_id INTEGER REFERENCES rounds (id),
    candidate_id INTEGER UNIQUE REFERENCES candidates (id)
);
CREATE INDEX tasks_state ON tasks (state, origin);
CREATE INDEX tasks_round ON tasks (round_id);

-- A few-shot template stands here once, however many requests begin with it.
CREATE TABLE prompts (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL
);

CREATE TABLE sampling (
    id INTEGER PRIMARY KEY,
    params TEXT NOT NULL UNIQUE CHECK (json_valid(params))
);

-- The prompt is the text of `prefix_id` followed by `suffix`. `task_id`: the task that a classification or instance request is about.
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    round_id INTEGER NOT NULL REFERENCES rounds (id),
    stage TEXT NOT NULL CHECK (stage IN ('instructions', 'classify', 'instances')),
    ordinal INTEGER NOT NULL,
    task_id INTEGER REFERENCES tasks (id),
    prefix_id INTEGER NOT NULL REFERENCES prompts (id),
    suffix TEXT NOT NULL,
    sampling_id INTEGER NOT NULL REFERENCES sampling (id),
    seed INTEGER NOT NULL,
    UNIQUE (round_id, stage, ordinal)
);
CREATE INDEX requests_task ON requests (task_id);

-- The in-context tasks of a request, in the order of the prompt: the parents of all it yields.
CREATE TABLE request_parents (
    request_id INTEGER NOT NULL REFERENCES requests (id),
    position INTEGER NOT NULL,
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (request_id, position)
) WITHOUT ROWID;
CREATE INDEX request_parents_task ON request_parents (task_id);

-- Exactly what the model wrote, stored before anything of it is parsed.
CREATE TABLE completions (
    request_id INTEGER PRIMARY KEY REFERENCES requests (id),
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL
);

-- `input` and `output` only where one completion writes whole tasks (the alpaca profile).
CREATE TABLE candidates (
    id INTEGER PRIMARY KEY,
    request_id INTEGER NOT NULL REFERENCES requests (id),
    ordinal INTEGER NOT NULL,
    text TEXT NOT NULL,
    input TEXT,
    output TEXT,
    UNIQUE (request_id, ordinal)
);

-- Append-only: the newest decision of a candidate holds, the older ones tell how it came about.
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'rejected')),
    reason TEXT NOT NULL,
    score REAL NOT NULL,
    nearest_task_id INTEGER REFERENCES tasks (id),
    seed_score REAL NOT NULL,
    mean_score REAL NOT NULL,
    decided_by TEXT NOT NULL CHECK (decided_by IN ('rule', 'human')),
    decided_at TEXT NOT NULL
);
CREATE INDEX decisions_candidate ON decisions (candidate_id, id);
CREATE INDEX decisions_reason ON decisions (reason);

-- The most similar tasks of an accepted candidate, rank 0 the nearest.
CREATE TABLE neighbours (
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    rank INTEGER NOT NULL,
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    score REAL NOT NULL,
    PRIMARY KEY (candidate_id, rank)
) WITHOUT ROWID;

-- Rejected instances stay, with the reason. `request_id` is null for those of seeds and imports.
CREATE TABLE instances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    position INTEGER NOT NULL,
    request_id INTEGER REFERENCES requests (id),
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'rejected')),
    reason TEXT NOT NULL,
    decided_by TEXT NOT NULL CHECK (decided_by IN ('rule', 'human')),
    UNIQUE (task_id, position)
);

-- Who writes here now; empty when nobody does. The lock itself is a file beside the pool: a killed writer leaves no lock behind.
CREATE TABLE writer (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    since TEXT NOT NULL
);

CREATE VIEW verdicts AS
    SELECT decisions.* FROM decisions
    WHERE decisions.id = (SELECT max(newest.id) FROM decisions AS newest WHERE newest.candidate_id = decisions.candidate_id);

CREATE VIRTUAL TABLE tasks_fts USING fts5 (instruction, content = 'tasks', content_rowid = 'id', tokenize = 'unicode61');
CREATE TRIGGER tasks_fts_insert AFTER INSERT ON tasks BEGIN
    INSERT INTO tasks_fts (rowid, instruction) VALUES (new.id, new.instruction);
END;
CREATE TRIGGER tasks_fts_delete AFTER DELETE ON tasks BEGIN
    INSERT INTO tasks_fts (tasks_fts, rowid, instruction) VALUES ('delete', old.id, old.instruction);
END;
CREATE TRIGGER tasks_fts_update AFTER UPDATE OF instruction ON tasks BEGIN
    INSERT INTO tasks_fts (tasks_fts, rowid, instruction) VALUES ('delete', old.id, old.instruction);
    INSERT INTO tasks_fts (rowid, instruction) VALUES (new.id, new.instruction);
END;

CREATE VIRTUAL TABLE candidates_fts USING fts5 (text, content = 'candidates', content_rowid = 'id', tokenize = 'unicode61');
CREATE TRIGGER candidates_fts_insert AFTER INSERT ON candidates BEGIN
    INSERT INTO candidates_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER candidates_fts_delete AFTER DELETE ON candidates BEGIN
    INSERT INTO candidates_fts (candidates_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER candidates_fts_update AFTER UPDATE OF text ON candidates BEGIN
    INSERT INTO candidates_fts (candidates_fts, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO candidates_fts (rowid, text) VALUES (new.id, new.text);
END;
"""

_SECOND = """
-- For a question answered by choosing between given continuations: the probability of the first one. Null where text was written.
ALTER TABLE completions ADD COLUMN probability REAL;
"""

_THIRD = """
-- A round that a person had written anew leaves its former attempt behind, with the same number: 'superseded', with all that it had.
-- `overrides` are the parameters that hold for this round alone, by dotted key. `kept` is what a superseded attempt goes on from when it is
-- brought back: its stage, its overrides, and the state of its tasks.
CREATE TABLE rounds_3 (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('sample', 'instructions', 'filter', 'classify', 'instances', 'commit', 'done', 'superseded')),
    started_at TEXT NOT NULL,
    finished_at TEXT,
    overrides TEXT CHECK (overrides IS NULL OR json_valid(overrides)),
    kept TEXT CHECK (kept IS NULL OR json_valid(kept))
);
INSERT INTO rounds_3 (id, run_id, number, stage, started_at, finished_at)
    SELECT id, run_id, number, stage, started_at, finished_at FROM rounds;
DROP TABLE rounds;
ALTER TABLE rounds_3 RENAME TO rounds;
CREATE INDEX rounds_run ON rounds (run_id);
CREATE UNIQUE INDEX rounds_number ON rounds (number) WHERE stage <> 'superseded';
-- One round at most is unfinished.
CREATE UNIQUE INDEX rounds_open ON rounds ((1)) WHERE stage NOT IN ('done', 'superseded');

-- What a person did. `changes` holds every value before and after, as JSON; an action is undone and done again by them.
-- The newest 'done' one is undone next, the oldest 'undone' one done again next. 'settled': done for good, the run has built upon it.
-- 'void': undone for good, something else was done since.
CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    words TEXT NOT NULL,
    round_id INTEGER REFERENCES rounds (id),
    stage TEXT,
    changes TEXT NOT NULL CHECK (json_valid(changes)),
    state TEXT NOT NULL CHECK (state IN ('done', 'undone', 'settled', 'void'))
);
CREATE INDEX actions_state ON actions (state, id);

-- When an action was done, undone and done again.
CREATE TABLE action_steps (
    id INTEGER PRIMARY KEY,
    action_id INTEGER NOT NULL REFERENCES actions (id),
    step TEXT NOT NULL CHECK (step IN ('do', 'undo', 'redo')),
    at TEXT NOT NULL
);
CREATE INDEX action_steps_action ON action_steps (action_id);

-- `edited`: what a person made of the candidate's text, null where it is the model's own. `action_id`: null for the rule's own decision.
-- To undo an action is to decide again as it was decided before.
ALTER TABLE decisions ADD COLUMN edited TEXT;
ALTER TABLE decisions ADD COLUMN action_id INTEGER REFERENCES actions (id);

-- `compared`: whether new candidates are compared with the task. They are not where a person rejected its candidate, nor where its attempt
-- is superseded. `marked`: for review.
ALTER TABLE tasks ADD COLUMN compared INTEGER NOT NULL DEFAULT 1 CHECK (compared IN (0, 1));
ALTER TABLE tasks ADD COLUMN marked INTEGER NOT NULL DEFAULT 0 CHECK (marked IN (0, 1));
CREATE INDEX tasks_marked ON tasks (id) WHERE marked;

-- What the model wrote and the rule decided, as JSON, of an instance that a person changed.
ALTER TABLE instances ADD COLUMN original TEXT CHECK (original IS NULL OR json_valid(original));

-- What had come of a batch when the user stopped it. The batch is asked for again; nothing reads these as data.
CREATE TABLE cancelled (
    id INTEGER PRIMARY KEY,
    request_id INTEGER NOT NULL REFERENCES requests (id),
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    cancelled_at TEXT NOT NULL
);
CREATE INDEX cancelled_request ON cancelled (request_id);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SECOND, _THIRD, REVIEW, JUDGE, TRAINING, EVALUATION, STANDING)
"""SQL scripts in order; the pool's `user_version` is the number applied."""

VERSION = len(MIGRATIONS)

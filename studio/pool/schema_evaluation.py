"""The tables of evaluation: seeds kept apart, models that answer them, and what people think of the answers."""

from __future__ import annotations

EVALUATION = """
-- Seeds that were kept apart when the pool was made: compared with every candidate, but never sampled, exported or trained on.
ALTER TABLE tasks ADD COLUMN held_out INTEGER NOT NULL DEFAULT 0 CHECK (held_out IN (0, 1));
CREATE INDEX tasks_held_out ON tasks (id) WHERE held_out;

-- How they were drawn. `asked` is what was asked for, a number or a share; `held` how many that came to.
CREATE TABLE hold_outs (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    asked TEXT NOT NULL,
    seed TEXT NOT NULL,
    held INTEGER NOT NULL CHECK (held > 0),
    created_at TEXT NOT NULL
);

-- Tasks to answer and how they are answered. `fingerprint` is the sha256 of the items' texts: equal items and settings are one evaluation,
-- which later contestants join. `name` is where the items come from.
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    settings TEXT NOT NULL CHECK (json_valid(settings)),
    created_at TEXT NOT NULL,
    UNIQUE (fingerprint, settings)
);

-- One question each, as it was then: an instruction with one input. `outputs` are its reference outputs, a JSON array of texts. `task_id`
-- is null for tasks that came from a file; `task` tells items of one task by a number of its own within the evaluation.
CREATE TABLE evaluation_items (
    evaluation_id INTEGER NOT NULL REFERENCES evaluations (id),
    position INTEGER NOT NULL,
    task INTEGER NOT NULL,
    task_id INTEGER REFERENCES tasks (id),
    key TEXT NOT NULL,
    instruction TEXT NOT NULL,
    input TEXT NOT NULL,
    outputs TEXT NOT NULL CHECK (json_valid(outputs)),
    is_classification INTEGER NOT NULL CHECK (is_classification IN (0, 1)),
    PRIMARY KEY (evaluation_id, position)
) WITHOUT ROWID;
CREATE INDEX evaluation_items_task ON evaluation_items (task_id);

-- Who answers: a model, perhaps with an adapter, asked in one format. `template` is the text that makes a prompt of an item. `engine` is
-- how the engine was set up when the contestant came.
CREATE TABLE contestants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    evaluation_id INTEGER NOT NULL REFERENCES evaluations (id),
    model_id INTEGER NOT NULL REFERENCES models (id),
    adapter TEXT NOT NULL DEFAULT '',
    adapter_sha256 TEXT NOT NULL DEFAULT '',
    format TEXT NOT NULL,
    template TEXT NOT NULL,
    engine TEXT NOT NULL CHECK (json_valid(engine)),
    created_at TEXT NOT NULL,
    UNIQUE (evaluation_id, model_id, adapter_sha256, format, template)
);

-- Exactly what a contestant was asked and wrote, stored before anything of it is scored.
CREATE TABLE answers (
    contestant_id INTEGER NOT NULL REFERENCES contestants (id),
    evaluation_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    answered_at TEXT NOT NULL,
    PRIMARY KEY (contestant_id, position),
    FOREIGN KEY (evaluation_id, position) REFERENCES evaluation_items (evaluation_id, position)
) WITHOUT ROWID;
CREATE INDEX answers_item ON answers (evaluation_id, position);

-- What an evaluation came to, whole, each time one ended: figures, intervals, tests, and what the items were compared with before.
CREATE TABLE evaluation_results (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    evaluation_id INTEGER NOT NULL REFERENCES evaluations (id),
    result TEXT NOT NULL CHECK (json_valid(result)),
    created_at TEXT NOT NULL
);
CREATE INDEX evaluation_results_evaluation ON evaluation_results (evaluation_id, id);

-- Two contestants of one evaluation, graded blind.
CREATE TABLE comparisons (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first_contestant_id INTEGER NOT NULL REFERENCES contestants (id),
    second_contestant_id INTEGER NOT NULL REFERENCES contestants (id),
    seed TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    created_at TEXT NOT NULL,
    UNIQUE (first_contestant_id, second_contestant_id, seed, size),
    CHECK (first_contestant_id <> second_contestant_id)
);
CREATE INDEX comparisons_second ON comparisons (second_contestant_id);

-- The texts as they were graded. `item` is the position in the evaluation. `swapped`: the second contestant's answer stands on the left.
CREATE TABLE comparison_items (
    comparison_id INTEGER NOT NULL REFERENCES comparisons (id),
    position INTEGER NOT NULL,
    item INTEGER NOT NULL,
    instruction TEXT NOT NULL,
    input TEXT NOT NULL,
    first_answer TEXT NOT NULL,
    second_answer TEXT NOT NULL,
    swapped INTEGER NOT NULL CHECK (swapped IN (0, 1)),
    PRIMARY KEY (comparison_id, position),
    UNIQUE (comparison_id, item)
) WITHOUT ROWID;

-- The four grades of Wang et al. 2022, section 4.4. A grade is of a contestant, not of a side of the screen; null until it is given.
CREATE TABLE grades (
    comparison_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    rater_id INTEGER NOT NULL REFERENCES raters (id),
    first_grade TEXT CHECK (first_grade IN ('A', 'B', 'C', 'D')),
    second_grade TEXT CHECK (second_grade IN ('A', 'B', 'C', 'D')),
    skipped INTEGER NOT NULL DEFAULT 0 CHECK (skipped IN (0, 1)),
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (comparison_id, position, rater_id),
    FOREIGN KEY (comparison_id, position) REFERENCES comparison_items (comparison_id, position)
) WITHOUT ROWID;

-- Every key press of a rater, as in `rating_steps`.
CREATE TABLE grade_steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    comparison_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    rater_id INTEGER NOT NULL REFERENCES raters (id),
    before TEXT NOT NULL CHECK (json_valid(before)),
    after TEXT NOT NULL CHECK (json_valid(after)),
    state TEXT NOT NULL CHECK (state IN ('done', 'undone', 'void')),
    at TEXT NOT NULL,
    FOREIGN KEY (comparison_id, position) REFERENCES comparison_items (comparison_id, position)
);
CREATE INDEX grade_steps_state ON grade_steps (comparison_id, rater_id, state, id);
"""

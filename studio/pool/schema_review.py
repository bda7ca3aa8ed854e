"""The tables of human judgement: samples of tasks, what raters say of them, and tags and notes on tasks."""

from __future__ import annotations

REVIEW = """
-- A study of the pool: a random sample of generated tasks with one instance each, drawn once. Equal seed, size and strata are one review:
-- it is gone on with, and every rater rates the same sample.
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    seed TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    strata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (seed, size, strata)
);

-- The texts as they were when the sample was drawn: all raters judge the same, whatever a person edits afterwards.
CREATE TABLE review_items (
    review_id INTEGER NOT NULL REFERENCES reviews (id),
    position INTEGER NOT NULL,
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    instance_id INTEGER NOT NULL REFERENCES instances (id),
    stratum TEXT NOT NULL,
    instruction TEXT NOT NULL,
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    PRIMARY KEY (review_id, position),
    UNIQUE (review_id, task_id)
) WITHOUT ROWID;
CREATE INDEX review_items_task ON review_items (task_id);
CREATE INDEX review_items_instance ON review_items (instance_id);

CREATE TABLE raters (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- What a rater says of an item now. An answer is null until it is given.
CREATE TABLE ratings (
    review_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    rater_id INTEGER NOT NULL REFERENCES raters (id),
    instruction_valid INTEGER CHECK (instruction_valid IN (0, 1)),
    input_appropriate INTEGER CHECK (input_appropriate IN (0, 1)),
    output_acceptable INTEGER CHECK (output_acceptable IN (0, 1)),
    skipped INTEGER NOT NULL DEFAULT 0 CHECK (skipped IN (0, 1)),
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (review_id, position, rater_id),
    FOREIGN KEY (review_id, position) REFERENCES review_items (review_id, position)
) WITHOUT ROWID;

-- Every key press of a rater, with the rating before and after it as JSON. The newest 'done' one is undone next, the oldest 'undone' one
-- done again next. 'void': undone for good, something else was done since.
CREATE TABLE rating_steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    review_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    rater_id INTEGER NOT NULL REFERENCES raters (id),
    before TEXT NOT NULL CHECK (json_valid(before)),
    after TEXT NOT NULL CHECK (json_valid(after)),
    state TEXT NOT NULL CHECK (state IN ('done', 'undone', 'void')),
    at TEXT NOT NULL,
    FOREIGN KEY (review_id, position) REFERENCES review_items (review_id, position)
);
CREATE INDEX rating_steps_state ON rating_steps (review_id, rater_id, state, id);

-- What people hang on tasks, and one note on each at most.
CREATE TABLE task_tags (
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    place INTEGER NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (task_id, place),
    UNIQUE (task_id, tag)
) WITHOUT ROWID;
CREATE INDEX task_tags_tag ON task_tags (tag, task_id);

CREATE TABLE task_notes (
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    place INTEGER NOT NULL CHECK (place = 0),
    note TEXT NOT NULL,
    PRIMARY KEY (task_id, place)
) WITHOUT ROWID;
"""

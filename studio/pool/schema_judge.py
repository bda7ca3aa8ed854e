"""The tables of the judge: what a model says of tasks, beside what people say."""

from __future__ import annotations

JUDGE = """
-- A model with the prompts it was asked by. Other prompts or another model are another judge.
CREATE TABLE judges (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    model_id INTEGER NOT NULL REFERENCES models (id),
    prompt_version TEXT NOT NULL,
    UNIQUE (name, model_id, prompt_version)
);

-- Append-only: what a judge says in answer to one question about an instance. `seen` is the digest of the texts it was shown: once a person
-- has edited them, the instance is judged anew. `answer` is null when none came, `detail` then says why. `probability` is that of yes, null
-- where the engine sees no logits.
CREATE TABLE opinions (
    id INTEGER PRIMARY KEY,
    judge_id INTEGER NOT NULL REFERENCES judges (id),
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    instance_id INTEGER NOT NULL REFERENCES instances (id),
    question TEXT NOT NULL CHECK (question IN ('instruction_valid', 'input_appropriate', 'output_acceptable')),
    seen TEXT NOT NULL,
    answer INTEGER CHECK (answer IN (0, 1)),
    probability REAL,
    detail TEXT NOT NULL DEFAULT '',
    judged_at TEXT NOT NULL,
    UNIQUE (judge_id, instance_id, question, seen)
);
CREATE INDEX opinions_task ON opinions (task_id);
"""

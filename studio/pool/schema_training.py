"""The tables of finetuning: each training with its settings, its data and its losses."""

from __future__ import annotations

TRAINING = """
-- One LoRA training. `model_id`: the model the adapter is for. `fingerprint`: what stands for its data, see `training_records`. `folder`:
-- where its files are, relative to the pool's own folder when they lie within. `ended` says why it is over: 'epochs' or 'early_stop'.
CREATE TABLE trainings (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model_id INTEGER NOT NULL REFERENCES models (id),
    settings TEXT NOT NULL CHECK (json_valid(settings)),
    fingerprint TEXT NOT NULL,
    folder TEXT NOT NULL,
    steps INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('started', 'finished')),
    ended TEXT NOT NULL DEFAULT '',
    adapter TEXT NOT NULL DEFAULT '',
    adapter_sha256 TEXT NOT NULL DEFAULT '',
    studio_version TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT
);

-- Which instances a training learned from and which it only measured itself by. `seen` is the digest of the texts as they were then.
CREATE TABLE training_instances (
    training_id INTEGER NOT NULL REFERENCES trainings (id),
    instance_id INTEGER NOT NULL REFERENCES instances (id),
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    side TEXT NOT NULL CHECK (side IN ('train', 'validation')),
    seen TEXT NOT NULL,
    PRIMARY KEY (training_id, instance_id)
) WITHOUT ROWID;
CREATE INDEX training_instances_task ON training_instances (task_id);
CREATE INDEX training_instances_instance ON training_instances (instance_id);

-- Mean cross-entropy in nats a completion token: of one optimiser step, or of the whole validation part after it (step 0: before any).
-- `tokens` were passed through the model and `seconds` spent since the training began, pauses left out.
CREATE TABLE training_losses (
    training_id INTEGER NOT NULL REFERENCES trainings (id),
    side TEXT NOT NULL CHECK (side IN ('train', 'validation')),
    step INTEGER NOT NULL,
    loss REAL NOT NULL,
    tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (training_id, side, step)
) WITHOUT ROWID;
"""

"""Pools of any size, made by SQL in bulk: for lists and trees, not for anything a model would have written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from studio.pool.pool import Pool
from support.pools import seed_tasks, walk_round

_NUMBERS = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
_WHO = "CASE i % 3 WHEN 0 THEN 'child' WHEN 1 THEN 'farmer' ELSE 'pilot' END"
_WORDS = f"'Explain step ' || i || ' of plan ' || (i * 7919 % 1000) || ' to a ' || {_WHO}"
# One round and one request of the first eight seeds for each ten candidates, of which every fourth is rejected.
_STATEMENTS = (
    "INSERT INTO rounds (id, run_id, number, stage, started_at, finished_at)"
    f" {_NUMBERS} SELECT 100 + i, 1, 100 + i, 'done', '', '' FROM n WHERE i % 10 = 1",
    "INSERT INTO requests (id, round_id, stage, ordinal, prefix_id, suffix, sampling_id, seed)"
    f" {_NUMBERS} SELECT 100 + i, 100 + i, 'instructions', 0, 1, '', 1, i FROM n WHERE i % 10 = 1",
    f"INSERT INTO request_parents {_NUMBERS} SELECT 100 + i, i / 10 % 8, 1 + i / 10 % 8 FROM n WHERE i % 10 = 1",
    "INSERT INTO candidates (id, request_id, ordinal, text)"
    f" {_NUMBERS} SELECT 100 + i, 101 + (i - 1) / 10 * 10, (i - 1) % 10, {_WORDS} FROM n",
    f"INSERT INTO tasks (id, origin, state, instruction, is_classification, round_id, candidate_id) {_NUMBERS}"
    f" SELECT 100 + i, 'generated', 'active', {_WORDS}, i % 5 = 0, 101 + (i - 1) / 10 * 10, 100 + i FROM n WHERE i % 4",
    "INSERT INTO decisions (id, candidate_id, verdict, reason, score, nearest_task_id, seed_score, mean_score, decided_by, decided_at)"
    f" {_NUMBERS} SELECT 100 + i, 100 + i, CASE WHEN i % 4 THEN 'accepted' ELSE 'rejected' END,"
    " CASE WHEN i % 4 THEN 'novel' WHEN i % 8 THEN 'not_novel' ELSE 'too_short' END, (i % 100) / 100.0, 1 + i % 10, (i % 50) / 100.0, 0.1,"
    " 'rule', '' FROM n",
    "INSERT INTO instances (task_id, position, input, output, verdict, reason, decided_by)"
    f" {_NUMBERS} SELECT 100 + i, 0, '', 'output ' || i, 'accepted', 'valid', 'rule' FROM n WHERE i % 4",
)


def bulk_pool(path: Path, candidates: int) -> Path:
    """Make a pool of ten seeds, one real round, and `candidates` more in bulk, three quarters of them tasks, ids from 101."""
    with Pool.create(path, seed_tasks()) as pool:
        walk_round(pool)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in _STATEMENTS:
            connection.execute(statement, {"count": candidates})
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path

"""The first records of an export, before anything is written."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from studio.pool.export import ExportOptions
from studio.pool.formats import find_format
from studio.pool.queries import Queries


def sample_records(source: Queries, options: ExportOptions, count: int) -> list[str]:
    """Return the first `count` records that an export with these options would write, each as indented JSON.

    Fewer when there are fewer; a format of several files shows those of all. Raises UsageError for an unknown format, PoolError as reading
    does.
    """
    chosen = find_format(options.format)
    found: list[str] = []
    with closing(source.export_tasks(options.include_seeds, options.keep, made=chosen.made)) as tasks:
        for task in tasks:
            for file, record in chosen.records(task):
                shown: dict[str, Any] = dict(record)
                found.append((f"{file}: " if file else "") + json.dumps(shown, ensure_ascii=False, indent=2))
                if len(found) == count:
                    return found
    return found

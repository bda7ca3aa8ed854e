"""An answer that was read from logits is shown as such."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from rich.console import Console

from studio.insight.lineage.story import story_of
from studio.insight.lineage.story_report import story_report
from studio.loop.session import Goal
from studio.pool.pool import Queries
from studio.records import Origin
from support.sessions import configuration, play


def shown(path: Path) -> tuple[str, str]:
    with Queries.open(path) as reader:
        story = story_of(reader, str(reader.tasks.ids(origin=Origin.GENERATED)[0]))
    out = StringIO()
    Console(file=out, width=200, markup=False, emoji=False, highlight=False).print(story_report(story, prompts=False))
    return out.getvalue(), json.dumps(asdict(story)["task_requests"][0]["completion"])


def test_the_probability_is_shown(tmp_path: Path) -> None:
    play(tmp_path / "pool.db", Goal(rounds=1))
    text, data = shown(tmp_path / "pool.db")
    assert "probability of Yes: 0." in text and "the model chose:" in text and "0 written" in text
    assert json.loads(data)["probability"] > 0


def test_a_written_answer_has_none(tmp_path: Path) -> None:
    play(tmp_path / "pool.db", Goal(rounds=1), asked=configuration(classify_from_logits=False))
    text, data = shown(tmp_path / "pool.db")
    assert "probability" not in text and "the model chose" not in text
    assert json.loads(data)["probability"] is None

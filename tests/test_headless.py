"""How a headless run chooses what to open, and what its progress says."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from studio.engine.api import Completion, EngineInfo, FinishReason
from studio.engine.options import MAX_PARALLEL, MAX_PARALLEL_SERVER, EngineOptions
from studio.headless import Progress, run_headless
from studio.launch import RunRequest, engine_options, model_of
from studio.loop.events import EngineRestarted, RequestFinished, RequestsSent, StageStarted, Summary
from studio.loop.runs import Configuration, Intent, RunOptions, _same_setup, begin, intent, stored_engine
from studio.loop.session import Goal
from studio.pool.pool import Pool
from studio.records import Stage
from support.sessions import configuration, play


def stored(tmp_path: Path, **engine: object) -> Intent:
    """The intent to go on with a run whose engine was set up as `engine` says."""
    path = tmp_path / "pool.db"
    tmp_path.mkdir(exist_ok=True)
    play(path, Goal(rounds=1))
    with Pool.open(path) as pool:
        wanted = intent(pool, configuration(), force=False)
    assert wanted.stored is not None
    settings = json.loads(wanted.stored.settings)
    settings["engine"] |= engine
    return replace(wanted, stored=replace(wanted.stored, settings=json.dumps(settings)))


def test_a_model_is_opened_again_where_it_was(tmp_path: Path) -> None:
    model = tmp_path / "mine.gguf"
    wanted = stored(tmp_path, model=str(model))
    assert model_of(wanted) == "scripted"
    model.touch()
    assert model_of(wanted) == str(model)


def test_a_server_is_asked_again(tmp_path: Path) -> None:
    assert model_of(stored(tmp_path, model="http://127.0.0.1:9/v1#m")) == "http://127.0.0.1:9/v1#m"


def test_a_resumed_run_keeps_how_it_attends(tmp_path: Path) -> None:
    def options(asked: RunOptions | None = None, **engine: object) -> tuple[str, str]:
        found = engine_options(asked or RunOptions(), stored(tmp_path / str(len(list(tmp_path.iterdir()))), **engine))
        return found.flash_attention, found.kv_type

    assert options() == ("auto", "f16")
    assert options(flash_attention=True, layers_offloaded=0, kv_type="q8_0") == ("on", "q8_0")
    assert options(flash_attention=True, layers_offloaded=31, kv_type="f16") == ("auto", "f16")
    assert options(flash_attention=False, layers_offloaded=31) == ("off", "f16")
    assert options(RunOptions(flash_attention="off"), flash_attention=True) == ("off", "f16")
    assert options(RunOptions(kv_type="q4_0"), flash_attention=False, layers_offloaded=31) == ("auto", "q4_0")
    assert options(RunOptions(kv_type="f16"), flash_attention=False, layers_offloaded=31, kv_type="f16") == ("off", "f16")
    assert options(kv_type="\x1b[2J") == ("auto", "f16")


def test_a_resumed_run_keeps_its_kind_of_cells_or_has_another_context(tmp_path: Path) -> None:
    before = stored(tmp_path, parallel=5, context_tokens=4096, streams=9)
    same, other = engine_options(RunOptions(), before), engine_options(RunOptions(kv_cells="unified"), before)
    assert (same.kv_cells, same.context, same.parallel) == ("separate", 4096, 5)
    assert (other.kv_cells, other.context, other.parallel) == ("unified", 0, 5)
    more = engine_options(RunOptions(parallel=8), before)
    assert (more.kv_cells, more.context, more.parallel) == ("separate", 0, 8)


def test_a_resumed_run_keeps_what_shapes_its_batches(tmp_path: Path) -> None:
    wanted = stored(tmp_path, parallel=5, context_tokens=4096, contexts=2)
    assert wanted.stored is not None
    origin = f"the pool's run of {wanted.stored.started_at[:10]}"
    expected = EngineOptions(context=4096, parallel=5, contexts=2, kept=("context", "parallel", "contexts"), origin=origin)
    assert engine_options(RunOptions(), wanted) == expected
    expected = EngineOptions(context=4096, parallel=7, contexts=2, kept=("context", "contexts"), origin=origin)
    assert engine_options(RunOptions(parallel=7, context=0), wanted) == expected


def test_a_servers_number_of_requests_means_nothing_to_a_model_here(tmp_path: Path) -> None:
    wanted = stored(tmp_path, parallel=MAX_PARALLEL_SERVER, model="http://127.0.0.1:9/v1#m")
    assert engine_options(RunOptions(), wanted).parallel == MAX_PARALLEL_SERVER
    assert engine_options(RunOptions(model="mine.gguf"), wanted) == EngineOptions()
    for number in (MAX_PARALLEL + 1, -3, "many", None, True):
        assert engine_options(RunOptions(), stored(tmp_path / str(number), parallel=number)).parallel in (0, True)


ATTENTION: tuple[dict[str, Any], ...] = ({"kv_type": "q8_0"}, {"flash_attention": True}, {"streams": 20})


def test_another_set_up_goes_on_as_a_run_of_its_own(tmp_path: Path) -> None:
    wanted = stored(tmp_path, backend="llama.cpp (CUDA0)", parallel=64, context_tokens=84_992, contexts=1)
    assert wanted.stored is not None
    here = EngineInfo(wanted.stored.model, "llama.cpp (CPU)", context_tokens=17_664, parallel=16, contexts=1)
    with Pool.open(tmp_path / "pool.db") as pool:
        as_before = begin(pool, wanted, replace(here, context_tokens=84_992, parallel=64), force=False)
        other = begin(pool, wanted, here, force=False)
        assert (as_before.id, as_before.resumed, other.id, other.resumed) == (wanted.stored.id, True, wanted.stored.id + 1, True)
        again = intent(pool, configuration(), force=False)
        assert again.stored is not None and stored_engine(again.stored)["parallel"] == 16
        assert begin(pool, again, here, force=False).id == other.id
        assert not any(_same_setup(stored_engine(again.stored), replace(here, **change)) for change in ATTENTION)
        pool.rounds.begin(other.id)
        assert begin(pool, again, replace(here, parallel=8), force=False).id == other.id, "an unfinished round is finished first"


def test_progress_away_from_a_terminal_is_a_line_a_round(tmp_path: Path) -> None:
    out = StringIO()
    summary = Summary("pool.db", 1)
    with Progress(Console(file=out, width=300), generated=0, target=30) as progress:
        for event in play(tmp_path / "pool.db", Goal(target=30)):
            summary.add(event)
            progress.show(event, summary)
        progress.show(EngineRestarted(Stage.INSTRUCTIONS, 1, "signal 9\x1b[2J"), summary)
    lines = out.getvalue().splitlines()
    assert len(lines) == summary.rounds + 1
    assert lines[-2].startswith(f"accepted {summary.accepted} of 30 · round {summary.rounds}")
    assert "\x1b" not in lines[-1] and "attempt 1" in lines[-1]


def test_progress_on_a_terminal_counts_drafts_as_they_come(tmp_path: Path) -> None:
    out = StringIO()
    summary = Summary("pool.db", 1)
    console = Console(file=out, width=120, force_terminal=True)
    with Progress(console, generated=0, target=30) as progress:
        for event in play(tmp_path / "pool.db", Goal(rounds=1)):
            summary.add(event)
            progress.show(event, summary)
            out.truncate(0)
            progress._bars.refresh()
            if "in this round" in out.getvalue():
                break
    assert "accepted 0 of 30 (+1 in this round)" in out.getvalue()


def test_progress_counts_what_is_measured_and_answered() -> None:
    out = StringIO()
    with Progress(Console(file=out, width=120, force_terminal=True), generated=0, target=None) as progress:
        done, summary = Completion("", FinishReason.STOP, 9, 0), Summary("pool.db", 1)
        seen = []
        for event in (
            StageStarted(1, Stage.FILTER),
            RequestsSent(Stage.FILTER, 3),
            RequestFinished(Stage.FILTER, 0, done),
            StageStarted(1, Stage.ANSWER),
            RequestsSent(Stage.ANSWER, 2),
            RequestFinished(Stage.ANSWER, 0, done),
            RequestFinished(Stage.ANSWER, 1, done),
            RequestsSent(Stage.ANSWER, 1),
            EngineRestarted(Stage.ANSWER, 1, "signal 9"),
        ):
            progress.show(event, summary)
            seen.append(progress._bars.tasks[0].description.rpartition(" · ")[2])
    assert seen == ["filter", "filter 0/3", "filter 1/3", "answer", "answer 0/2", "answer 1/2", "answer 2/2", "answer 2/3", "answer 2/3"]


def test_what_is_shown_on_a_terminal_is_never_markup() -> None:
    out = StringIO()
    summary = Summary("pool.db", 1, rejected=Counter({"[red]reason[/red]": 1}), candidates=1)
    with Progress(Console(file=out, width=120, force_terminal=True), generated=0, target=None) as progress:
        progress.show(RequestsSent(Stage.INSTRUCTIONS, 2), summary)
        progress.show(EngineRestarted(Stage.INSTRUCTIONS, 1, "[bold]gone[/]"), summary)
        progress._bars.refresh()
    assert "rejected: [red]reason[/red] 1" in out.getvalue() and "([bold]gone[/])" in out.getvalue()


def test_a_large_model_that_is_to_be_hashed_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    monkeypatch.setattr("studio.headless.bytes_to_hash", lambda _: 42_300_000_000)
    run_headless(RunRequest(tmp_path / "pool.db", Configuration(RunOptions(model="scripted", rounds=1))), Console(file=out, width=200))
    assert "reading all 42.3 GB of it, once, for its sha256 ..." in out.getvalue()

"""The parts that need no screen: widths and bars, the round folded from events, candidates that are still being written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from studio.engine.api import Completion, FinishReason
from studio.loop.events import (
    EngineRestarted,
    Event,
    RequestFinished,
    RequestsSent,
    RoundStarted,
    StageFinished,
    StageStarted,
    TextStreamed,
)
from studio.loop.session import Goal
from studio.loop.settings import profile
from studio.pool.pool import Pool
from studio.records import Stage
from studio.text import bar
from studio.tui.round.decisions import Rows
from studio.tui.round.live import LiveRound
from studio.tui.round.rail import stage_summary
from studio.tui.widgets.frame import HeaderFacts, clip, fit, header_facts, progress_words, second_line
from support.engines import Named
from support.sessions import all_seeds, session_in


@given(st.text(), st.integers(0, 60))
def test_text_has_exactly_the_width(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(clip(text, width)) <= width
    assert "\n" not in fit(text, width)


@given(st.floats(0, 1), st.floats(0.01, 0.99), st.integers(2, 40))
def test_a_bar_never_lies_about_its_mark(share: float, mark: float, width: int) -> None:
    drawn = bar(share, width, mark)
    assert len(drawn) == width
    assert drawn.count("┿") + drawn.count("┼") == 1
    assert ("┿" in drawn) == (share >= mark)


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0.0, "───────┼──"), (0.3, "━━━────┼──"), (0.69, "━━━━━━━┼──"), (0.7, "━━━━━━━┿──"), (1.0, "━━━━━━━┿━━")],
)
def test_a_bar(share: float, drawn: str) -> None:
    assert bar(share, 10, 0.7) == drawn


def folded(*events: tuple[float, Event]) -> LiveRound:
    """A round made of events."""
    live = LiveRound()
    for at, event in events:
        live.apply(at, event)
    return live


def test_a_stage_is_counted_and_timed() -> None:
    done = Completion(" One.\n10. Two.", FinishReason.STOP, 50, 20, seconds=1.0)
    live = folded(
        (0.0, RoundStarted(3, Stage.INSTRUCTIONS)),
        (1.0, StageStarted(3, Stage.INSTRUCTIONS)),
        (1.0, RequestsSent(Stage.INSTRUCTIONS, 2)),
        *((1.5, TextStreamed(Stage.INSTRUCTIONS, 0, piece)) for piece in (" One.", "\n10.", " Two.")),
        (2.0, RequestFinished(Stage.INSTRUCTIONS, 0, done)),
        (2.5, TextStreamed(Stage.INSTRUCTIONS, 1, " Three")),
    )
    live.tick(2.4)
    assert live.stages[Stage.INSTRUCTIONS].rate == 0, "too early to say"
    live.tick(3.0)
    progress = live.stages[Stage.INSTRUCTIONS]
    assert (progress.done, progress.total, progress.tokens, progress.seconds) == (1, 2, 21, 2.0)
    assert progress.rate == 14.0, "from the first token on, at 1.5 s"
    live.tick(3.9)
    assert progress.rate == 14.0, "it stands for a second"
    live.tick(3.0)
    assert stage_summary(live, Stage.INSTRUCTIONS, 20) == "1/2 2s"
    assert stage_summary(live, Stage.INSTRUCTIONS, 4) == "1/2"
    live.apply(4.0, StageFinished(3, Stage.INSTRUCTIONS, Stage.FILTER))
    assert progress.state == "done" and progress.seconds == 3.0


def test_what_was_cancelled_is_not_counted_as_done() -> None:
    live = folded(
        (0.0, RoundStarted(1, Stage.INSTRUCTIONS)),
        (0.0, StageStarted(1, Stage.INSTRUCTIONS)),
        (0.0, RequestsSent(Stage.INSTRUCTIONS, 2)),
        (1.0, RequestFinished(Stage.INSTRUCTIONS, 0, Completion(" One.", FinishReason.STOP, 5, 2))),
        (2.0, RequestFinished(Stage.INSTRUCTIONS, 1, Completion(" Tw", FinishReason.CANCELLED, 5, 1))),
    )
    live.interrupted()
    assert stage_summary(live, Stage.INSTRUCTIONS, 4) == "1/2"


def test_a_restarted_engine_voids_what_was_streamed() -> None:
    live = folded(
        (0.0, RoundStarted(1, Stage.INSTRUCTIONS)),
        (0.0, StageStarted(1, Stage.INSTRUCTIONS)),
        (0.1, TextStreamed(Stage.INSTRUCTIONS, 0, "void")),
        (0.2, EngineRestarted(Stage.INSTRUCTIONS, 1, "signal 9")),
        (0.3, TextStreamed(Stage.INSTRUCTIONS, 0, "kept")),
    )
    assert live.texts[Stage.INSTRUCTIONS, 0].text == "kept"


def test_what_was_stopped_is_shown_as_cancelled() -> None:
    live = folded(
        (0.0, RoundStarted(1, Stage.INSTRUCTIONS)),
        (0.0, StageStarted(1, Stage.INSTRUCTIONS)),
        (0.1, TextStreamed(Stage.INSTRUCTIONS, 0, "half a th")),
    )
    live.interrupted()
    completion = live.texts[Stage.INSTRUCTIONS, 0].completion
    assert completion is not None and completion.finish_reason is FinishReason.CANCELLED and completion.text == "half a th"
    assert live.stages[Stage.INSTRUCTIONS].state == "cancelled" and live.running is None


def test_candidates_come_out_of_a_growing_text_one_by_one() -> None:
    live, rows, method = LiveRound(), Rows(), profile("studio")
    live.apply(0.0, RoundStarted(1, Stage.INSTRUCTIONS))
    live.apply(0.0, StageStarted(1, Stage.INSTRUCTIONS))
    seen = []
    for piece in (" Name a river.", "\n10. Name", " a lake.\n1", "1. Name a sea."):
        live.apply(0.1, TextStreamed(Stage.INSTRUCTIONS, 0, piece))
        seen.append([row.text for row in rows.of(live, method)])
    assert seen == [[], ["Name a river."], ["Name a river."], ["Name a river.", "Name a lake."]]
    live.apply(0.2, RequestFinished(Stage.INSTRUCTIONS, 0, Completion(live.texts[Stage.INSTRUCTIONS, 0].text, FinishReason.STOP, 1, 9)))
    assert [row.text for row in rows.of(live, method)] == ["Name a river.", "Name a lake.", "Name a sea."]
    assert all(row.candidate is None and row.words == 3 for row in rows.of(live, method))


def test_the_header_says_less_in_less_room() -> None:
    facts = HeaderFacts(pool="p.db", accepted=3, target=20, drafts=4)
    assert [progress_words(facts, width) for width in (40, 20, 8, 2)] == ["3 of 20 accepted · 4 drafts", "3 of 20 accepted", "3 of 20", ""]
    assert progress_words(HeaderFacts(pool="p.db", target=20), 40) == ""


def test_the_header_names_the_model_that_answers_where_there_is_room(tmp_path: Path) -> None:
    facts = HeaderFacts(model="writer", place="CPU", answers="tutor", profile="studio", round=3)
    assert second_line(facts, 80) == " writer · CPU · profile studio · round 3 · answers by tutor"
    assert second_line(facts, 50) == " writer · CPU · profile studio · round 3"
    with Pool.create(tmp_path / "pool.db", all_seeds()) as pool:
        list(session_in(pool, Named("base", base=True), answering=Named("tutor")).run(Goal(rounds=1)))
        assert header_facts(pool, pool.path).answers == "tutor"

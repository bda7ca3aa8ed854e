"""The progress bar: on a terminal only, and one at a time."""

from __future__ import annotations

import io
import sys

import pytest

from studio.cli.shared import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal(), True), (io.StringIO(), False)])
def test_it_shows_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, shown: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar() as report:
        report("counting [/red]", 0, 0)
        report("reading", 0, 10)
        report("reading", 10, 10)
    assert ("reading" in stream.getvalue()) == shown
    assert ("100%" in stream.getvalue()) == shown


def test_a_file_cannot_act_on_the_terminal_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar() as report:
        report("reading a\x1b]0;evil\x07\x9b31m\u202e" + "b" * 500, 1, 10)
    assert "reading a\u241b]0;evil\u2407" in stream.getvalue()
    assert not any(raw in stream.getvalue() for raw in ("\x1b]0", "\x07", "\x9b", "\u202e"))


def test_it_ends_with_what_it_was_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())

    def work() -> None:
        with progress_bar() as report:
            report("reading", 0, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()

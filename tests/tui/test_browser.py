"""The studio behind `textual serve`, which talks to it through pipes: packets of a letter, four bytes of length, and the data."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.command import STUDIO, clean_environment
from support.pools import assert_sound


def packet(data: bytes) -> bytes:
    return b"D" + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("arguments", [["run", "pool.db", "--model", "scripted"], []])
def test_it_draws_and_takes_keys_without_a_terminal(tmp_path: Path, arguments: list[str]) -> None:
    own = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver"}
    environment = clean_environment(**own, COLUMNS="120", ROWS="40")
    command = [*STUDIO, *arguments]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        written = b""
        for awaited, keys in ((b"next: sample", b"s"), (b"5 prompts", b"q")) if arguments else ((b"Create and open", b"\x11"),):
            while awaited not in written:
                piece = os.read(process.stdout.fileno(), 65_536)
                assert piece, written[-2000:]
                written += piece
            process.stdin.write(packet(keys))
            process.stdin.flush()
        while os.read(process.stdout.fileno(), 65_536):
            pass
        assert process.wait() == 0
    if arguments:
        assert_sound(tmp_path / "pool.db")

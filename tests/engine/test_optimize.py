"""Faster copies of a model: where they go, what is refused, what is measured."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import studio.engine.llama.optimize_worker as optimize_worker
from studio.engine import optimize as module
from studio.engine.catalog import identify
from studio.engine.gguf import read_gguf
from studio.engine.llama.optimize_worker import FILE_TYPE_NUMBERS, open_for_measuring, quantise, speeds
from studio.engine.optimize import BITS, Figures, Optimized, default_target, optimize
from studio.engine.process import client
from studio.engine.pull.download import Origin, OriginFile, read_origin, write_origin
from studio.errors import ModelError, UsageError
from support.engines import bundled_identity
from support.tiny_models import tiny_model

SOURCE = Path(bundled_identity().path)
TEXT = "Name three rivers of Europe.\nThe Rhine, the Danube and the Elbe.\n\n" * 60

WORKER = """
import sys
import studio.engine.llama.optimize_worker as optimize_worker
fault = sys.argv[1]
def answer(message):
    if message["kind"] == "quantise":
        if fault == "abort":
            import os
            os.write(2, b"assertion failed in llama.cpp\\n")
            os.abort()
        if fault == "refuse":
            open(message["target"], "wb").write(b"half")
            raise optimize_worker.ModelError("cannot quantise", "too odd")
        import shutil
        shutil.copy(message["source"], message["target"])
        return None
    copy = message["path"].endswith(".part")
    if message["kind"] == "speeds":
        return {"prompt": 300.0 if copy else 100.0, "decode": 50.0 if copy else 40.0}
    return [1.5, 2.5, 2.0] if copy else [1.0, 2.0, 1.5]
optimize_worker.answer = answer
optimize_worker.main()
"""
"""Stands for llama.cpp, with the fault named on the command line."""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the work fail as named, or succeed at once."""

    def choose(fault: str) -> None:
        monkeypatch.setattr(client, "WORKER_COMMAND", (sys.executable, "-c", WORKER, fault))

    return choose


def make(target: Path | None, **more: Any) -> Optimized:
    return optimize(SOURCE, "Q4_0", target, TEXT, lambda _: None, **more)


def test_the_copy_goes_to_the_users_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "self-instruct-studio" / "models"
    assert default_target(Path("Tiny.Q4_1.gguf"), "Q4_0", "Q4_1") == folder / "Tiny.Q4_0.gguf"
    assert default_target(Path("tiny-q4_k_m.gguf"), "Q8_0", "Q4_K_M") == folder / "tiny.Q8_0.gguf"
    assert default_target(Path("tiny.gguf"), "Q8_0", "") == folder / "tiny.Q8_0.gguf"


def test_every_quantisation_offered_is_known_to_the_worker() -> None:
    assert set(BITS) == set(FILE_TYPE_NUMBERS)


def test_figures_and_what_is_said(tmp_path: Path, worker: Any) -> None:
    worker("none")
    said: list[str] = []
    target = tmp_path / "new" / "copy.gguf"
    compared = optimize(SOURCE, "Q4_0", target, TEXT, said.append, threads=1)
    assert compared.original.perplexity == pytest.approx(math.exp(1.5))
    assert (compared.copy.prompt_tok_s, compared.copy.decode_tok_s) == (300.0, 50.0)
    assert compared.change("prompt_tok_s") == pytest.approx(200) and compared.change("decode_tok_s") == pytest.approx(25)
    assert compared.change("perplexity") == pytest.approx((math.exp(0.5) - 1) * 100)
    assert compared.perplexity_error == 0.0 and compared.scored_tokens == 3
    assert target.stat().st_size == SOURCE.stat().st_size
    assert [file.name for file in target.parent.iterdir()] == ["copy.gguf"]
    assert [line for line in said if "speed" in line][:2] == ["speed of the original, 1 of 3 ...", "speed of the copy, 1 of 3 ..."]


def test_the_copy_has_the_licence_of_what_it_was_made_from(tmp_path: Path, worker: Any) -> None:
    worker("none")
    source, copy, again = tiny_model(tmp_path / "tiny.gguf"), tmp_path / "copy.gguf", tmp_path / "again.gguf"
    files = (OriginFile("tiny.gguf", source.stat().st_size),)
    write_origin(source, Origin("acme/tiny", "0" * 40, "apache-2.0", (), files))
    for made_of, target in ((source, copy), (copy, again)):
        optimize(made_of, "Q4_0", target, TEXT, lambda _: None)
        origin = read_origin(target)
        assert identify(target).licence == "apache-2.0"
        assert origin is not None and (origin.repo, origin.base_models) == ("", ("acme/tiny",))


def test_the_error_of_the_change_is_that_of_paired_tokens() -> None:
    figures = [{"prompt": [1.0], "decode": [1.0], "surprises": list(values)} for values in ((1.0, 2.0), (1.0, 2.2))]
    header = read_gguf(SOURCE)
    compared = module._compare((SOURCE, SOURCE), (header, header), figures)
    assert compared.perplexity_error == pytest.approx(0.1 * math.exp(0.1) * 100)


def test_a_file_that_is_there_stays(tmp_path: Path, worker: Any) -> None:
    worker("none")
    target = tmp_path / "copy.gguf"
    target.write_text("mine")
    with pytest.raises(UsageError, match="a file already"):
        make(target)
    assert target.read_text() == "mine"
    assert make(target, force=True).copy.path == target
    assert target.stat().st_size == SOURCE.stat().st_size


def test_targets_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder"):
        make(tmp_path)
    linked = tmp_path / "same.gguf"
    linked.symlink_to(SOURCE)
    with pytest.raises(UsageError, match="the model itself"):
        make(linked, force=True)
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be written"):
        make(tmp_path / "file" / "copy.gguf")


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1_000_000))
    with pytest.raises(ModelError, match=r"no room for the copy: 76 MB or more are needed, 1 MB are free"):
        make(tmp_path / "copy.gguf")


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("text")
    with pytest.raises(ModelError, match="not a GGUF file"):
        optimize(tmp_path / "text.gguf", "Q4_0", None, TEXT, lambda _: None)


@pytest.mark.parametrize(("fault", "message", "hint"), [("refuse", "cannot quantise", "too odd"), ("abort", "SIGABRT", "assertion failed")])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, worker: Any, fault: str, message: str, hint: str) -> None:
    worker(fault)
    with pytest.raises(ModelError, match=message) as caught:
        make(tmp_path / "copy.gguf")
    assert hint in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_change_is_in_per_cent_of_the_original() -> None:
    before, after = (Figures(Path("x"), "Q", size, 1.0, 1.0, 1.0) for size in (200, 150))
    assert Optimized(before, after, 1, 0.0).change("size") == pytest.approx(-25)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> int:
    """Windows of a quarter of their length, which is returned: they are evaluated and scored in the same way."""
    monkeypatch.setattr(optimize_worker, "WINDOW", 128)
    return 128


def surprises(path: Path, text: str) -> Sequence[float]:
    """The surprises of the first window."""
    model = open_for_measuring(str(path), 1)
    try:
        return optimize_worker.surprises(model, model.vocabulary.tokenise(text)[: optimize_worker.WINDOW])
    finally:
        model.close()


@pytest.mark.real_model
def test_perplexity_agrees_with_the_high_level_api(short: int) -> None:
    import llama_cpp
    import numpy as np

    from studio.engine.llama.log import install_log

    found = surprises(SOURCE, TEXT)
    half = short // 2
    assert len(found) == half - 1
    reference = llama_cpp.Llama(str(SOURCE), n_ctx=short, n_threads=1, logits_all=True, verbose=False)
    install_log()
    tokens = reference.tokenize(TEXT.encode(), add_bos=False, special=False)[:short]
    reference.eval(tokens)
    scores = np.asarray(reference.scores[half : short - 1], dtype=np.float64)
    top = scores.max(axis=1)
    expected = top + np.log(np.exp(scores - top[:, None]).sum(axis=1)) - scores[np.arange(half - 1), tokens[half + 1 :]]
    reference.close()
    assert abs(float(np.mean(expected)) - sum(found) / len(found)) < 0.01


@pytest.mark.real_model
def test_a_copy_in_q8_0(tmp_path: Path, short: int) -> None:
    """Eight bits keep what four bits held: the perplexity hardly moves. In a clean process, where nothing may reach the terminal."""
    code = f"from studio.engine.llama.optimize_worker import quantise; quantise({str(SOURCE)!r}, {str(tmp_path / 'copy')!r}, 'Q8_0', 1)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert read_gguf(tmp_path / "copy").quantisation == "Q8_0"
    before, after = (sum(surprises(path, TEXT)) / (short // 2 - 1) for path in (SOURCE, tmp_path / "copy"))
    assert abs(after - before) < 0.02


@pytest.mark.real_model
def test_llama_cpp_says_what_it_cannot_quantise(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        quantise(str(tmp_path / "missing.gguf"), str(tmp_path / "copy"), "Q4_0", 1)
    assert "missing.gguf" in caught.value.message and "failed to load model" in caught.value.hint


@pytest.mark.slow
@pytest.mark.real_model
def test_speeds_of_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimize_worker, "_STEPS", 2)
    model = open_for_measuring(str(SOURCE), 1)
    try:
        found = speeds(model, model.vocabulary.tokenise("One two three."))
    finally:
        model.close()
        model.close()
    assert set(found) == {"prompt", "decode"} and min(found.values()) > 0


@pytest.mark.real_model
def test_too_short_a_text() -> None:
    with pytest.raises(ModelError, match="a whole window is 512"):
        surprises(SOURCE, "too short")

"""What a list of models tells before one is loaded: made-up headers on made-up machines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.engine.catalog import find_model, list_models
from studio.engine.gguf import Gguf
from studio.engine.llama.facts import model_facts
from studio.engine.llama.setup import cpu_setup
from studio.engine.model_file import read_model
from studio.engine.options import EngineOptions
from studio.engine.traits import Fit, Machine, shortage, traits_of, tried
from support.tiny_models import CHAT_TEMPLATE, tiny_model

MACHINE = Machine(cores=4, memory=16_000_000_000)
THINKING = CHAT_TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"


def test_the_bundled_model() -> None:
    header = read_model(find_model(""))
    found = traits_of(header, machine=MACHINE)
    assert (found.chat, found.thinks, found.asked, found.tried.word) == (True, False, "chat", "yes")
    setup, takes = cpu_setup(EngineOptions(), MACHINE.cores), found.footprint
    assert (takes.sequences, takes.tokens, takes.fit) == (16, setup.context, Fit.FITS)
    assert (takes.weights, takes.context) == (header.file_size, setup.context * model_facts(header).kv_bytes_per_token)
    # Measured: 1,065 MB above the bare process after 32 prompts of 400 tokens.
    assert 1.0e9 < takes.total < 1.3e9 and shortage(takes, MACHINE) == ""


@pytest.mark.parametrize(
    ("template", "chat", "thinks", "stops", "fault"),
    [
        ("", False, False, False, ""),
        (CHAT_TEMPLATE, True, False, False, ""),
        (THINKING, True, True, True, ""),
        (f"{CHAT_TEMPLATE}<think>", True, True, True, ""),
        (CHAT_TEMPLATE + "{# [THINK] #}", True, True, False, ""),
        ("{{ messages[0].content", False, False, False, "cannot be used"),
        ("{% for a in range(99999999) %}{{ a }}{% endfor %}", False, False, False, "cannot be used"),
        ("nothing of the message", False, False, False, "does not show the user's message"),
    ],
)
def test_what_the_template_says(tmp_path: Path, template: str, chat: bool, thinks: bool, stops: bool, fault: str) -> None:
    found = traits_of(read_model(tiny_model(tmp_path / "tiny.gguf", template=template)))
    assert (found.chat, found.thinks, found.stops_thinking) == (chat, thinks, stops)
    assert fault in found.template_fault and bool(fault) == bool(found.template_fault) and str(tmp_path) not in found.template_fault
    assert found.tried.word == "kind"


def large(header: Gguf, billions: float, **changes: Any) -> Gguf:
    """The header of a model with a file of so many GB."""
    return replace(header, file_size=int(billions * 1e9), metadata={**header.metadata, **changes})


@pytest.mark.parametrize(
    ("billions", "layers", "gpus", "fit", "words"),
    [
        (8, 2, (), Fit.FITS, ""),
        (10, 4000, (), Fit.SHRUNK, "with 16 sequences, 16.0 GB here: runs with fewer"),
        (40, 2, (), Fit.TOO_LARGE, "does not fit: takes 40"),
        (40, 2, ("NVIDIA",), Fit.TOO_LARGE, "unless the GPU (NVIDIA) takes most"),
    ],
)
def test_a_model_that_the_machine_does_not_hold_is_told(
    tmp_path: Path, billions: float, layers: int, gpus: tuple[str, ...], fit: Fit, words: str
) -> None:
    machine = replace(MACHINE, gpus=gpus)
    header = large(read_model(tiny_model(tmp_path / "tiny.gguf")), billions, **{"llama.block_count": layers})
    found = traits_of(header, machine=machine).footprint
    said = shortage(found, machine)
    assert found.fit is fit and words in said and bool(words) == bool(said)


def test_only_what_was_tried_is_called_so() -> None:
    words = [
        tried("gemma3", 268_098_176, False),
        tried("gemma3", 268_098_176, True),
        tried("llama", 8_030_000_000, True),
        tried("x", 1, True),
    ]
    assert [each.word for each in words] == ["once", "kind", "kind", "no"]


def test_a_template_of_many_files_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(3):
        tiny_model(tmp_path / f"tiny{place}.gguf", template=THINKING)
    run: list[str] = []
    real = traits_of.__globals__["ChatTemplate"]

    def counted(header: Gguf) -> Any:
        run.append(header.path.name)
        return real(header)

    monkeypatch.setattr("studio.engine.traits.ChatTemplate", counted)
    found = [each.traits for each in list_models([tmp_path]) if each.path.parent == tmp_path]
    assert [each is not None and each.thinks for each in found] == [True] * 3
    assert len([name for name in run if name.startswith("tiny")]) == 1

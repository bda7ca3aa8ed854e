"""Short memory and unusual models, at the real llama.cpp."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import llama_cpp
import pytest

import studio.engine.llama.model as llama_model
from studio.engine.catalog import identify
from studio.engine.llama.build import Device, DeviceKind
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.log import LOG, OutOfMemory
from studio.engine.llama.setup import Setup
from studio.engine.opening import open_engine
from studio.engine.options import MAX_PARALLEL, EngineOptions, default_context
from studio.errors import ModelError
from support.engines import animal_requests, bundled_identity, complete, request
from support.tiny_models import tiny_model

pytestmark = pytest.mark.real_model

SMALL = EngineOptions(context=1024, threads=1, parallel=2)
Context = tuple[int, int]

LIMITED = """
import json, resource, sys
from pathlib import Path
import llama_cpp, psutil
from studio.engine.gguf import read_gguf
from studio.engine.llama.engine import LlamaEngine
from studio.engine.llama.facts import model_facts
from studio.engine.options import EngineOptions
from studio.errors import ModelError
from support.engines import animal_requests, bundled_identity, complete
identity = bundled_identity()
facts = model_facts(read_gguf(Path(identity.path)))
make = llama_cpp.llama_init_from_model

def make_with_little_memory(model, params):
    room = psutil.Process().memory_info().vms + int(sys.argv[1]) * facts.kv_bytes_per_token
    resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
    try:
        return make(model, params)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

llama_cpp.llama_init_from_model = make_with_little_memory
try:
    engine = LlamaEngine(identity, EngineOptions(threads=1, parallel=int(sys.argv[2])))
    texts = [completion.text for completion in complete(engine, animal_requests(2))]
    print(json.dumps([engine.info.parallel, engine.info.context_tokens, engine.info.notices, texts]))
except ModelError as error:
    print(json.dumps([error.message, error.hint]))
"""


def limited(tokens: int, parallel: int = 0) -> Any:
    """What comes of loading the model in a process whose contexts find no more memory than keys and values of so many tokens take.

    The weights find all they need: how much that is depends on the layout that the CPU computes with.
    """
    command = [sys.executable, "-c", LIMITED, str(tokens), str(parallel)]
    done = subprocess.run(command, env={"PYTHONPATH": "tests:."}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_an_absurd_context_is_refused_with_the_figures() -> None:
    with pytest.raises(ModelError) as caught:
        open_engine("", EngineOptions(context=2_000_000_000))
    assert "--context 2000000000 takes 46,080.0 GB, this machine has " in caught.value.message
    assert "smaller --context" in caught.value.hint


def test_a_context_of_a_bigger_machine_is_given_up_and_the_rest_chosen(tmp_path: Path) -> None:
    kept = EngineOptions(
        threads=1, parallel=64, context=2_000_000_000, contexts=1, kept=("parallel", "context"), origin="the pool's run of 2026"
    )
    engine = LlamaEngine(identify(tiny_model(tmp_path / "tiny.gguf")), kept)
    assert (engine.info.parallel, engine.info.context_tokens) == (16, default_context(16))
    assert engine.info.notices[0].startswith("the pool's run of 2026 had 64 sequences in 2,000,000,000 tokens: this machine has no memory")
    engine.close()


def test_as_many_sequences_as_llama_cpp_has_and_a_split_model(tmp_path: Path) -> None:
    engine = LlamaEngine(identify(tiny_model(tmp_path / "tiny.gguf", tensors_each=7)), EngineOptions(threads=1, parallel=MAX_PARALLEL))
    texts = [completion.text for completion in complete(engine, [request(f"{number}: ") for number in range(MAX_PARALLEL)])]
    whole = LlamaEngine(identify(tiny_model(tmp_path / "whole.gguf")), EngineOptions(threads=1, parallel=MAX_PARALLEL))
    assert [completion.text for completion in complete(whole, [request(f"{number}: ") for number in range(MAX_PARALLEL)])] == texts
    engine.close()
    whole.close()


def test_a_chosen_context_without_memory_ends_with_the_last_lines_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, above=(0, 0))
    with pytest.raises(ModelError) as caught:
        LlamaEngine(bundled_identity(), SMALL)
    assert "no memory for a context of 1024 tokens and 2 sequences" in caught.value.message
    assert "llama.cpp says: " in caught.value.hint and "failed to allocate buffer for kv cache" in caught.value.hint


def refuse(monkeypatch: pytest.MonkeyPatch, above: Context) -> list[Context]:
    """Let llama.cpp refuse every context of more (sequences, tokens), in its own words; returns those asked for."""
    asked: list[Context] = []
    original = llama_cpp.llama_init_from_model

    def make(model: Any, params: Any) -> Any:
        asked.append((params.n_seq_max, params.n_ctx))
        if params.n_seq_max > above[0] or params.n_ctx > above[1]:
            LOG.write(4, "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache\n")
            return None
        return original(model, params)

    monkeypatch.setattr(llama_cpp, "llama_init_from_model", make)
    return asked


def test_less_is_asked_for_until_it_fits_and_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refuse(monkeypatch, above=(8, 6000))
    engine = LlamaEngine(bundled_identity(), EngineOptions(threads=1))
    assert asked == [(20, 17_664), (12, 12_800), (8, 10_496), (8, 5120)]
    assert (engine.info.parallel, engine.info.context_tokens) == (4, 5120)
    assert engine.info.notices == (
        "there was no memory for 16 sequences in a context of 17,664 tokens; it runs with 4 sequences in a context of 5,120 tokens",
    )
    engine.close()


def test_a_failure_that_is_not_for_memory_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp, "llama_init_from_model", lambda *_: None)
    LOG.clear()
    with pytest.raises(ModelError, match=r"llama\.cpp refuses a context of 17664 tokens and 16 sequences"):
        LlamaEngine(bundled_identity(), EngineOptions(threads=1))


def test_weights_that_do_not_fit_a_gpu_leave_layers_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Device("CUDA0", "fake", DeviceKind.GPU, 10**11, 10**11)
    monkeypatch.setattr(llama_model, "list_devices", lambda: (gpu,))
    asked: list[int] = []
    original = llama_model.load_model

    def load(path: str, setup: Setup, options: EngineOptions, *, plain: bool) -> Any:
        asked.append(setup.gpu_layers)
        if setup.gpu_layers < 0 or setup.gpu_layers > 20:
            raise OutOfMemory("no memory for the weights")
        return original(path, setup, options, plain=plain)

    monkeypatch.setattr(llama_model, "load_model", load)
    engine = LlamaEngine(bundled_identity(), EngineOptions(threads=1))
    assert asked[-1] == 15 and -1 in asked and 22 in asked
    assert engine.info.notices[0].endswith("and 15 layers on the GPU")
    engine.close()


def test_with_really_little_memory_it_runs_smaller() -> None:
    parallel, context, notices, texts = limited(15_000)
    assert parallel < 16 and context < 15_000 and len(texts) == 2 and texts[0]
    assert f"it runs with {parallel} sequences" in notices[0]


def test_with_really_little_memory_a_chosen_number_of_sequences_stands() -> None:
    # No context is tried that is smaller than twice as much.
    message, hint = limited(2_000, parallel=64)
    assert "no memory for" in message and "64 sequences" in message and "llama.cpp says: " in hint


def test_a_batch_that_finds_no_memory_says_so(llama: LlamaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp, "llama_decode", lambda *_: -2)
    llama.forget_prefixes()
    with pytest.raises(OutOfMemory, match="no memory left to evaluate"):
        complete(llama, animal_requests(1))
    monkeypatch.undo()
    assert len(complete(llama, animal_requests(1))) == 1

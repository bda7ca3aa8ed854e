"""Two models of one run: one engine, two side by side, or two that take turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from studio.engine.api import CancelToken, EngineInfo, FinishReason, Noted
from studio.engine.catalog import bundled_model, identify
from studio.engine.opening import TAKE_TURNS, Wish, crowded, open_both, open_engine
from studio.engine.options import EngineOptions
from studio.errors import ModelError
from studio.records import ModelIdentity
from support.engines import Named, complete, outcome, request

OPTIONS = EngineOptions(threads=1)


class Local(Named):
    """A model that says that it runs here, and notes when it is opened and closed."""

    def __init__(self, place: Machine, name: str, options: EngineOptions) -> None:
        super().__init__(name)
        self._place, self._options = place, options

    @property
    def info(self) -> EngineInfo:
        options = self._options
        model = replace(super().info.model, path=str(bundled_model()))
        return replace(
            super().info,
            model=model,
            backend="llama.cpp (CPU)",
            parallel=options.parallel or self._place.parallel,
            context_tokens=options.context or 4096,
            notices=() if self._place.parallel == 16 else ("fewer sequences",),
        )

    def close(self) -> None:
        if self in self._place.open:
            self._place.open.remove(self)
            self._place.said.append(f"close {self.info.model.name}")


@dataclass
class Machine:
    """Opens models, at most `holds` at once, and knows what happened."""

    holds: int = 9
    parallel: int = 16
    open: list[Local] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    options: list[EngineOptions] = field(default_factory=list)

    def __call__(self, model: str, options: EngineOptions) -> Local:
        if len(self.open) >= self.holds:
            raise ModelError("no memory for the model's weights")
        engine = Local(self, model, options)
        self.open.append(engine)
        self.said.append(f"open {model}")
        self.options.append(options)
        return engine


def wishes(first: str = "a", second: str = "b") -> tuple[Wish, Wish]:
    return Wish(first, OPTIONS), Wish(second, OPTIONS)


def test_the_same_model_named_twice_is_one_engine(tmp_path: Path) -> None:
    bundled = bundled_model()
    assert bundled is not None
    link = tmp_path / "link.gguf"
    link.symlink_to(bundled)
    machine = Machine()
    for first, second in (("", str(bundled)), (str(link), ""), ("http://host:1/v1#x", "http://host:1/v1#x"), ("scripted", "scripted")):
        one, other = open_both(*wishes(first, second), machine)
        assert one is other
    assert Wish("", OPTIONS).key != Wish("", replace(OPTIONS, adapter=str(link))).key
    assert Wish("http://host:1/v1#x", OPTIONS).key != Wish("http://host:1/v1#y", OPTIONS).key


def test_what_is_for_llama_cpp_is_not_for_a_server_beside_it() -> None:
    machine = Machine()
    asked = replace(OPTIONS, kv_type="q8_0", cpu_moe=-1)
    open_both(Wish("a", asked), Wish("http://host:1/v1#x", asked), machine)
    assert machine.options == [asked, OPTIONS]
    open_both(Wish("http://host:1/v1#x", asked), Wish("http://host:1/v1#y", asked), machine)
    assert machine.options[2:] == [asked, asked], "which refuse it"


def test_both_are_open_where_both_fit() -> None:
    machine = Machine()
    one, other = open_both(*wishes(), machine)
    assert [complete(each, [request("Hello")])[0].finish_reason for each in (one, other, one)]
    assert machine.said == ["open a", "open b"] and TAKE_TURNS not in one.info.notices + other.info.notices


@pytest.mark.parametrize(("holds", "memory"), [(1, None), (9, 1)])
def test_they_take_turns_where_they_do_not_fit(holds: int, memory: int | None) -> None:
    machine = Machine(holds)
    one, other = open_both(*wishes(), machine, memory)
    assert (one.info.model.name, other.info.model.name) == ("a", "b")
    assert one.info.notices == (TAKE_TURNS,) and other.info.notices == ()
    machine.said.clear()
    requests = [request(f"Hello {number}", seed=number) for number in range(3)]
    alone = [outcome(complete(Named(name), requests)) for name in "ab"]
    for _ in range(2):
        assert [outcome(complete(each, requests)) for each in (one, one, other, other)] == [alone[0], alone[0], alone[1], alone[1]]
        assert len(machine.open) == 1
    assert machine.said == ["close b", "open a", "close a", "open b", "close b", "open a", "close a", "open b"]
    for each in (one, other, one):
        each.close()
    assert machine.open == []
    with pytest.raises(ModelError, match="closed"):
        complete(one, requests)


def test_who_comes_back_is_set_up_as_before_and_says_what_it_gave_up() -> None:
    machine = Machine(1)
    one, other = open_both(*wishes(), machine)
    complete(other, [request("Hello")])
    machine.parallel = 4
    events = list(one.stream([request("Hello")], CancelToken()))
    assert machine.options[-1] == replace(
        OPTIONS, parallel=16, context=4096, contexts=1, kept=("context", "parallel", "contexts"), origin="the start of this run"
    )
    assert [event for event in events if isinstance(event, Noted)] == [Noted("fewer sequences")]
    assert machine.options[-1].chosen("parallel") == 0


def test_what_was_cancelled_loads_nothing() -> None:
    machine = Machine(1)
    one, _ = open_both(*wishes(), machine)
    machine.said.clear()
    cancel = CancelToken()
    cancel.cancel()
    assert complete(one, [request("Hello")], cancel)[0].finish_reason is FinishReason.CANCELLED
    assert machine.said == []


def test_a_model_that_cannot_be_opened_leaves_none_open() -> None:
    machine = Machine(1)

    def opener(model: str, options: EngineOptions) -> Local:
        if model == "b":
            raise ModelError("broken")
        return machine(model, options)

    with pytest.raises(ModelError, match="broken"):
        open_both(*wishes(), opener)
    with pytest.raises(ModelError, match="broken"):
        open_both(*wishes("b", "a"), opener)
    assert machine.open == [] and machine.said == ["open a", "close a"]


def info(backend: str = "llama.cpp (CUDA0)", offloaded: int = 31, **more: Any) -> EngineInfo:
    bundled = bundled_model()
    assert bundled is not None
    return EngineInfo(identify(bundled), backend, context_tokens=8192, layers_offloaded=offloaded, layers=31, **more)


def test_what_counts_as_too_little() -> None:
    cpu = info("llama.cpp (CPU)", 0)
    size = cpu.model.file_size
    roomy = 100 * size
    assert not crowded(info(), info(), 1), "both are on the GPU, whole"
    assert crowded(info(), info(offloaded=12), roomy), "the second is there in part"
    assert crowded(info(), cpu, roomy), "the second found no room there"
    assert crowded(info(), info(cpu_moe=3), roomy), "the second has experts on the CPU that nobody wanted there"
    assert crowded(info(), info(cpu_moe=-1), roomy, cpu_moe=3) and not crowded(info(), info(cpu_moe=3), roomy, cpu_moe=3)
    assert not crowded(cpu, info(), size * 3) and not crowded(cpu, cpu, roomy)
    assert crowded(cpu, cpu, 2 * size), "weights and contexts take more than this"
    apple = info("llama.cpp (MTL0)")
    assert crowded(apple, apple, 2 * size) and not crowded(apple, apple, roomy)
    server = EngineInfo(ModelIdentity("x", "y"), "server")
    assert not crowded(server, cpu, 1) and not crowded(cpu, server, 1)


@pytest.mark.real_model
@pytest.mark.slow
def test_real_models_write_the_same_in_turns_and_side_by_side(tmp_path: Path) -> None:
    bundled = bundled_model()
    assert bundled is not None
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(bundled.read_bytes())
    requests = [request("Two colours:", seed=number) for number in range(2)]
    told = []
    for memory in (1 << 60, 0):
        one, other = open_both(*wishes("", str(copy)), open_engine, memory)
        try:
            assert (one.info.model.name, other.info.model.name) == (bundled.stem, "copy")
            assert (TAKE_TURNS in one.info.notices) == (memory == 0)
            told.append([outcome(complete(each, requests)) for each in (one, other, one)])
        finally:
            one.close()
            other.close()
    assert told[0] == told[1] and told[0][0] == told[0][1] == told[0][2]

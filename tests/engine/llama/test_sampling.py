"""Tokens drawn from logits as llama.cpp's own samplers draw them, and on several threads as on one."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import llama_cpp
import numpy as np
import pytest

from studio.engine.api import SamplingParams
from studio.engine.llama.sampling import Candidates, Cuts, DrawingThreads, Greedy, Logits, Sampler, draw, draw_greedily, rows_together

SIZE = 3000
VOCABULARY: Any = SimpleNamespace(size=SIZE, ending_tokens=(2, 7))
DECODINGS = {
    "plain": SamplingParams(),
    "penalties": SamplingParams(temperature=0.7, top_k=50, presence_penalty=2.0, frequency_penalty=0.25, repeat_penalty=1.3),
    "cuts": SamplingParams(temperature=1.3, top_k=40, min_p=0.05),
    "greedy": SamplingParams(temperature=0.0, frequency_penalty=1.5, repeat_penalty=1.1),
    "endless": SamplingParams(ignore_eos=True, temperature=0.5),
}


def rows(count: int) -> list[Logits]:
    rng = np.random.default_rng(5)
    return [(rng.normal(size=SIZE) * 3).astype(np.float32) for _ in range(count)]


def draw_one(sampler: Sampler, logits: Logits, candidates: Candidates) -> int:
    return sampler.greedy.draw(logits) if sampler.greedy is not None else draw([sampler], logits[None], candidates)[0]


def left_by(logits: Logits, **cuts: Any) -> tuple[list[int] | None, bool]:
    """What the cuts leave, and whether that is sorted."""
    weights = np.exp(logits - logits.max())
    likely = np.flatnonzero(weights >= 2.0**-11)
    found, is_sorted = Cuts(SamplingParams(**cuts)).left(logits, weights, likely, weights.sum(dtype=np.float64))
    return (None if found is None else found.tolist()), is_sorted


def by_llama_cpp(params: SamplingParams, seed: int, logits: list[Logits]) -> list[int]:
    """What llama.cpp's own samplers for all of it draw, one after another."""
    lib: Any = llama_cpp
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    if params.ignore_eos:
        biases = (lib.llama_logit_bias * 2)(*(lib.llama_logit_bias(token=token, bias=-np.inf) for token in VOCABULARY.ending_tokens))
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_logit_bias(SIZE, 2, biases))
    penalties = (params.repeat_penalty, params.frequency_penalty, params.presence_penalty)
    parts = [lib.llama_sampler_init_penalties(SIZE, params.max_tokens, *penalties)]
    if params.temperature > 0:
        parts += [lib.llama_sampler_init_temp(params.temperature), lib.llama_sampler_init_top_k(params.top_k)]
        parts += [lib.llama_sampler_init_top_p(params.top_p, 1), lib.llama_sampler_init_min_p(params.min_p, 1)]
    parts.append(lib.llama_sampler_init_dist(seed) if params.temperature > 0 else lib.llama_sampler_init_greedy())
    for part in parts:
        lib.llama_sampler_chain_add(chain, part)
    candidates = Candidates(SIZE)
    drawn = []
    for each in logits:
        drawn.append(candidates.apply(chain, each))
        lib.llama_sampler_accept(chain, drawn[-1])
    lib.llama_sampler_free(chain)
    return drawn


@pytest.mark.parametrize("name", DECODINGS)
def test_the_tokens_are_those_of_llama_cpps_own_samplers(name: str) -> None:
    params = DECODINGS[name]
    # The same few rows again and again, so that penalties count.
    logits = rows(4) * 15
    before = [each.copy() for each in logits]
    sampler, candidates = Sampler(VOCABULARY, params, 11), Candidates(SIZE)
    drawn = [draw_one(sampler, each, candidates) for each in logits]
    sampler.close()
    assert drawn == by_llama_cpp(params, 11, before)
    assert len(set(drawn)) > 4
    assert all(np.array_equal(*pair) for pair in zip(logits, before, strict=True))


@pytest.mark.parametrize("spread", [0.05, 1, 4, 12])
@pytest.mark.parametrize("top_p", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("top_k", [0, 300])
def test_a_nucleus_is_the_fewest_tokens_with_that_probability(spread: float, top_p: float, top_k: int) -> None:
    """Of a vocabulary whose tokens are nearly alike, up to one of which a single one is likely. llama.cpp's may lack the last one."""
    for each in rows(5):
        logits = each * np.float32(spread / 3)
        left, is_sorted = left_by(logits, top_p=top_p, top_k=top_k)
        assert left is not None and is_sorted
        assert np.all(np.diff(logits[left]) <= 1e-5) and len(set(left)) == len(left)
        mass = np.exp(logits.astype(np.float64))
        whole, kept = np.sort(mass)[-(top_k or SIZE) :].sum(), mass[left]
        assert kept[:-1].sum() < (top_p + 1e-5) * whole and kept.sum() > (top_p - 1e-5) * whole


def test_what_is_much_less_likely_than_the_likeliest_is_left_out() -> None:
    logits = np.log(np.array([0.02, 0.5, 0.3, 0.04, 0.14], dtype=np.float32))

    def left(**cuts: Any) -> list[int] | None:
        return left_by(logits, **cuts)[0]

    assert left() is None
    assert left(min_p=0.0001) == [0, 1, 2, 3, 4]
    assert left(min_p=0.07) == [1, 2, 3, 4]
    assert left(min_p=0.2, top_p=0.97) == [1, 2, 4]
    assert left(top_k=2) == left(top_k=2, top_p=0.99) == [1, 2]
    assert left(top_k=2, top_p=0.6) == [1]


@pytest.mark.parametrize("cuts", [{"top_p": 0.9}, {"min_p": 0.1}, {"top_k": 5, "top_p": 0.9}], ids=str)
def test_of_logits_that_are_no_numbers_the_greatest_that_is_one_is_drawn(cuts: dict[str, Any]) -> None:
    candidates = Candidates(8)
    vocabulary: Any = SimpleNamespace(size=8, ending_tokens=())
    for bad in (np.nan, np.inf):
        logits = np.array([1, 2, bad, 5, 3, 0, 0, 0], dtype=np.float32)
        sampler = Sampler(vocabulary, SamplingParams(temperature=1.0, **cuts), 1)
        assert draw_one(sampler, logits, candidates) == (3 if np.isnan(bad) else 2)
        sampler.close()
    none = np.full(8, np.nan, dtype=np.float32)
    sampler = Sampler(vocabulary, SamplingParams(temperature=1.0, **cuts), 1)
    assert 0 <= draw_one(sampler, none, candidates) < 8
    sampler.close()


def test_greedy_draws_of_several_rows_at_once_are_those_of_each() -> None:
    logits, block = rows(5) * 8, np.array(rows(5))
    several, single = ([Greedy(DECODINGS["greedy"], never=(n,)) for n in range(5)] for _ in range(2))
    together = [draw_greedily(several, block) for _ in range(8)]
    assert together == [[greedy.draw(each) for greedy, each in zip(single, logits[:5], strict=True)] for _ in range(8)]
    assert len(set(map(tuple, together))) > 4 and np.array_equal(block, np.array(logits[:5]))


@pytest.mark.parametrize("name", ["plain", "penalties", "cuts", "endless"])
def test_rows_drawn_from_together_give_the_tokens_of_each(name: str) -> None:
    block, candidates = np.array(rows(rows_together(SIZE))[:8]), Candidates(SIZE)
    before = block.copy()
    several, single = ([Sampler(VOCABULARY, DECODINGS[name], seed) for seed in range(len(block))] for _ in range(2))
    together = [draw(several, block, candidates) for _ in range(8)]
    assert together == [[draw_one(sampler, each, candidates) for sampler, each in zip(single, before, strict=True)] for _ in range(8)]
    assert np.array_equal(block, before) and len(set(map(tuple, together))) > 4
    for sampler in (*several, *single):
        sampler.close()


def test_each_row_is_drawn_from_by_its_own_decoding() -> None:
    """Other temperatures and cuts, and none at all as with a grammar, side by side."""
    names = ["plain", "penalties", "cuts", "endless"] * 2
    block, candidates = np.array([rows(1)[0]] * len(names)), Candidates(SIZE)
    several, single = ([Sampler(VOCABULARY, DECODINGS[name], 3) for name in names] for _ in range(2))
    for samplers in (several, single):
        samplers[5]._cuts = None
    together = [draw(several, block, candidates) for _ in range(8)]
    assert together == [[draw_one(sampler, block[0], candidates) for sampler in single] for _ in range(8)]
    assert len({tuple(column) for column in zip(*together, strict=True)}) >= 4
    for sampler in (*several, *single):
        sampler.close()


def test_tokens_that_must_not_come_do_not() -> None:
    logits = np.array([0, 1, 9, 3, 8], dtype=np.float32)
    greedy = Greedy(SamplingParams(temperature=0, presence_penalty=100), never=(2, 4))
    assert [greedy.draw(logits) for _ in range(4)] == [3, 1, 0, 3]
    assert logits.tolist() == [0, 1, 9, 3, 8]


def test_threads_draw_what_one_draws_in_the_same_order() -> None:
    logits = rows(24)

    def drawn(vocabulary: int, most: int) -> list[list[int]]:
        threads = DrawingThreads(vocabulary, most)
        samplers = [Sampler(VOCABULARY, DECODINGS["penalties"], seed) for seed in range(len(logits))]
        candidates: dict[int, Candidates] = {}

        def work(number: int, _: Candidates) -> int:
            mine = candidates.setdefault(threading.get_ident(), Candidates(SIZE))
            return draw_one(samplers[number], logits[number], mine)

        try:
            return [threads.map(work, range(len(logits)), len(logits), most) for _ in range(5)]
        finally:
            threads.close()
            for sampler in samplers:
                sampler.close()

    alone = drawn(SIZE, 4)
    assert drawn(1 << 17, 4) == alone


def test_rows_are_worked_on_at_the_same_time_where_there_is_enough_work() -> None:
    threads = DrawingThreads(1 << 20, most=3)
    meeting = threading.Barrier(3)
    buffers = threads.map(lambda _, candidates: (meeting.wait(60), id(candidates))[1], range(3), 3, 8)
    assert len(set(buffers)) == 3
    here = threads.map(lambda _, __: threading.get_ident(), range(3), 3, 1)
    assert set(here) == {threading.get_ident()}
    assert threads.map(lambda _, __: 1, [], 0, 3) == []
    threads.close()
    threads.close()


def test_an_error_of_any_row_is_raised_when_all_are_done() -> None:
    threads = DrawingThreads(1 << 20, most=2)
    done = []

    def work(number: int, _: Candidates) -> None:
        if number == 1:
            raise ValueError("row 1")
        done.append(number)

    with pytest.raises(ValueError, match="row 1"):
        threads.map(work, range(5), 5, 2)
    assert sorted(done) == [0, 2, 4]
    threads.close()


def test_a_greedy_draw_that_nothing_cuts_is_known_as_one() -> None:
    samplers = [Sampler(VOCABULARY, SamplingParams(temperature=temperature), seed=1) for temperature in (0.0, 1.0)]
    assert [sampler.greedy is not None for sampler in samplers] == [True, False]
    for sampler in samplers:
        sampler.close()

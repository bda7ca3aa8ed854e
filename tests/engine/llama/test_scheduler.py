"""What is evaluated when: waves, sequences and rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from studio.engine.llama.prefixes import PrefixCache
from studio.engine.llama.scheduler import Job, Slots, common_prefix, deal, first_jobs, measured_rows, plan_waves, share_rows

PREFIXES = [(), tuple(range(20)), tuple(range(30, 80)), tuple(range(100, 140)), (7,) * 60]
CONTEXT = 256


def job(index: int, prefix: tuple[int, ...], own: int, room: int) -> Job:
    return Job(index, (*prefix, *[1] * own), prefix, room)


JOBS = st.lists(st.tuples(st.sampled_from(PREFIXES), st.integers(1, 50), st.integers(1, 100)), max_size=30).map(
    lambda rows: [job(index, *row) for index, row in enumerate(rows)]
)


@given(JOBS, st.integers(1, 4))
def test_every_job_is_in_one_wave_that_can_hold_it(jobs: list[Job], most: int) -> None:
    waves = plan_waves(jobs, context=CONTEXT, max_prefixes=most)
    assert sorted(job.index for wave in waves for job in wave.jobs) == [job.index for job in jobs]
    for wave in waves:
        assert len(wave.prefixes) <= most and len(set(wave.prefixes)) == len(wave.prefixes)
        assert {job.prefix for job in wave.jobs} - {()} == set(wave.prefixes)
        cells = sum(map(len, wave.prefixes))
        assert cells + max(job.own_cells for job in wave.jobs) <= CONTEXT
        assert [job.index for job in wave.jobs] == sorted(job.index for job in wave.jobs)


@given(JOBS, st.integers(1, 5))
def test_jobs_are_dealt_whole_and_evenly(jobs: list[Job], hands: int) -> None:
    shares = deal(jobs, hands)
    assert len(shares) == hands
    assert sorted(job.index for share in shares for job in share) == [job.index for job in jobs]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_first_job_of_each_prefix() -> None:
    jobs = [job(index, prefix, 1, 1) for index, prefix in ((4, PREFIXES[1]), (0, PREFIXES[2]), (2, PREFIXES[1]), (3, ()))]
    assert first_jobs(jobs, {PREFIXES[1], PREFIXES[2]}) == {0, 2}
    assert first_jobs(jobs, ()) == set()


@given(JOBS, st.integers(1, 5))
def test_slots_serve_everyone_in_order_within_their_cells(jobs: list[Job], parallel: int) -> None:
    slots = Slots(jobs, parallel=parallel, cells=CONTEXT)
    running: list[tuple[int, Job]] = []
    served: list[int] = []
    while slots.waiting or running:
        begun = slots.admit()
        served += [job.index for _, job in begun]
        running += begun
        assert len({slot for slot, _ in running}) == len(running) <= parallel
        assert sum(job.own_cells for _, job in running) <= CONTEXT
        assert running, "nothing runs although jobs wait"
        slots.release(*running.pop(len(running) // 2))
    assert served == [job.index for job in jobs]


@given(st.integers(0, 16), st.lists(st.integers(1, 300), max_size=10), st.integers(16, 512))
def test_rows_are_never_more_than_the_batch_has_and_never_left_unused(decoding: int, prompts: list[int], rows: int) -> None:
    shares = share_rows(decoding, prompts, rows)
    assert len(shares) == len(prompts)
    assert decoding + sum(shares) == min(rows, decoding + sum(prompts))
    assert all(0 <= share <= prompt for share, prompt in zip(shares, prompts, strict=True))


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), max_size=10), st.integers(1, 100))
def test_no_more_rows_have_logits_than_there_is_room_for(prompts: list[tuple[int, int]], outputs: int) -> None:
    prompts = [(remaining, min(remaining, wanted)) for remaining, wanted in prompts]
    allowed = measured_rows(prompts, outputs)
    logits = [max(0, rows - remaining + wanted) for rows, (remaining, wanted) in zip(allowed, prompts, strict=True)]
    assert sum(logits) == min(outputs, sum(wanted for _, wanted in prompts))
    assert all(0 <= rows <= remaining for rows, (remaining, _) in zip(allowed, prompts, strict=True))
    if len(prompts) <= outputs:
        assert measured_rows([(remaining, 1) for remaining, _ in prompts], outputs) == [remaining for remaining, _ in prompts]


def test_common_prefix() -> None:
    assert common_prefix([1, 2, 3], [[1, 2, 4], [1, 2]]) == 2
    assert common_prefix([1, 2, 3], []) == 3
    assert common_prefix([1], [[2]]) == 0


def test_the_least_recently_used_state_goes_first() -> None:
    cache: PrefixCache[bytes] = PrefixCache(10)
    cache.put((1,), b"aaaa")
    cache.put((2,), b"bbbb")
    assert cache.get((1,)) == b"aaaa"
    cache.put((3,), b"cccc")
    assert cache.get((2,)) is None and cache.get((1,)) == b"aaaa" and cache.get((3,)) == b"cccc"
    cache.put((4,), b"far too large")
    assert cache.get((4,)) is None and len(cache) == 2
    cache.put((1,), b"aaaaaa")
    assert len(cache) == 2 and cache.get((1,)) == b"aaaaaa"
    cache.clear()
    assert len(cache) == 0

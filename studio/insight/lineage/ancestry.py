"""The family tree of a whole pool as arrays: requests, their in-context tasks, and what they wrote."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.insight.progress import Progress, told
from studio.pool.pool import Queries

_MASKS = 1 << 26
"""Bytes that the descendants' bit masks may take at a time."""
_WIDEST = 2_048
_REQUESTS_AT_A_TIME = 512

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Requests are numbered from 0 in the order in which they were made; `tasks` is one more than the highest id of a task.

    The edges, in the order of their requests, are pairs of a request and a task of its context. `outside` are the tasks that no model
    wrote, and whether each is an active seed. The rest is by candidate: its request, whether it was accepted and is an active task (0 or
    1), and its highest ROUGE-L to a seed and to any task. `request_of` gives for each id of a task its request, -1 where none is known.
    """

    requests: int
    tasks: int
    edge_request: Integers
    edge_parent: Integers
    outside: tuple[tuple[int, bool], ...]
    candidate_request: Integers
    accepted: NDArray[np.int8]
    active: NDArray[np.int8]
    seed_score: Floats
    score: Floats
    request_of: Integers

    def candidates_of_requests(self) -> Floats:
        """How many candidates each request wrote."""
        return np.bincount(self.candidate_request, minlength=self.requests).astype(np.float64)

    def accepted_of_requests(self) -> Floats:
        """How many of them were accepted."""
        return np.bincount(self.candidate_request, weights=self.accepted, minlength=self.requests).astype(np.float64)

    def tasks_of_requests(self) -> Floats:
        """How many active tasks came of each request."""
        return np.bincount(self.candidate_request, weights=self.active, minlength=self.requests).astype(np.float64)

    def request_depths(self) -> Integers:
        """The generation of what each request wrote: one more than the deepest task of its context, 1 where none of them was generated."""
        depths = array("q", bytes(8 * self.requests))
        request_of = self._request_of()
        for request, parents in self._contexts():
            earlier = [depths[request_of[parent]] for parent in parents if 0 <= request_of[parent] < request]
            depths[request] = 1 + max(earlier, default=0)
        # A request without any context on record is the first generation of its kind.
        return np.maximum(np.array(depths, dtype=np.int64), 1)

    def credit(self) -> Floats:
        """For each id of a task that no model wrote: the tasks that it accounts for when each is shared out among its in-context tasks."""
        due = array("d", self.tasks_of_requests().tolist())
        credit = array("d", bytes(8 * self.tasks))
        request_of = self._request_of()
        for request, parents in reversed(list(self._contexts())):
            share = due[request] / len(parents)
            for parent in parents:
                earlier = request_of[parent]
                if 0 <= earlier < request:
                    due[earlier] += share
                elif earlier < 0:
                    credit[parent] += share
        return np.array(credit)

    def descendants(self, roots: Sequence[int], progress: Progress) -> list[int]:
        """For each of some tasks that no model wrote: how many active tasks have it among their ancestors, each counted once."""
        width = min(_WIDEST, max(_MASKS * 8 // max(self.requests, 1), 64))
        weights = self.tasks_of_requests()
        counts: list[int] = []
        for start in range(0, len(roots), width):
            progress("counting descendants", start, len(roots))
            some = roots[start : start + width]
            counts += self._among(some, weights)
        progress("counting descendants", len(roots), len(roots))
        return counts

    def _among(self, roots: Sequence[int], weights: Floats) -> list[int]:
        bits = {task_id: 1 << place for place, task_id in enumerate(roots)}
        request_of = self._request_of()
        masks = [0] * self.requests
        for request, parents in self._contexts():
            mask = 0
            for parent in parents:
                earlier = request_of[parent]
                mask |= masks[earlier] if 0 <= earlier < request else bits.get(parent, 0)
            masks[request] = mask
        size = -(-len(roots) // 8)
        totals = np.zeros(size * 8)
        for start in range(0, self.requests, _REQUESTS_AT_A_TIME):
            some = b"".join(mask.to_bytes(size, "little") for mask in masks[start : start + _REQUESTS_AT_A_TIME])
            rows = np.unpackbits(np.frombuffer(some, dtype=np.uint8).reshape(-1, size), axis=1, bitorder="little")
            totals += weights[start : start + _REQUESTS_AT_A_TIME] @ rows
        return [round(total) for total in totals[: len(roots)]]

    def _contexts(self) -> Iterator[tuple[int, Sequence[int]]]:
        """Each request that has a context, in their order, with its in-context tasks."""
        requests, starts = np.unique(self.edge_request, return_index=True)
        parents = array("q", self.edge_parent.tobytes())
        stops = [*starts[1:].tolist(), len(parents)]
        for request, start, stop in zip(requests.tolist(), starts.tolist(), stops, strict=True) if len(parents) else ():
            yield request, parents[start:stop]

    def _request_of(self) -> array[int]:
        # Element by element an array is several times faster than numpy's.
        return array("q", self.request_of.tobytes())


def read_ancestry(pool: Queries, progress: Progress) -> Ancestry:
    """Read the arrays in one pass over contexts and candidates. Raises PoolError when the pool cannot be read."""
    counts = pool.figures.counts()
    edge_request, edge_parent = array("q"), array("q")
    for request, parent in told(pool.lineage.context_edges(), progress, "reading prompts", 0, every=10_000):
        edge_request.append(request)
        edge_parent.append(parent)
    written_by, task_ids, active, accepted = array("q"), array("q"), array("b"), array("b")
    seed_scores, scores = array("d"), array("d")
    rows = told(pool.lineage.decided(), progress, "reading candidates", counts.candidates, every=10_000)
    for request, task_id, is_active, is_accepted, seed_score, score in rows:
        written_by.append(request)
        task_ids.append(task_id)
        active.append(is_active)
        accepted.append(is_accepted)
        seed_scores.append(seed_score)
        scores.append(score)
    outside = tuple(pool.lineage.outside())
    edges, candidates, tasks = _integers(edge_request), _integers(written_by), _integers(task_ids)
    known = np.unique(np.concatenate([edges, candidates]))
    highest = max(int(tasks.max(initial=0)), int(_integers(edge_parent).max(initial=0)), max((each for each, _ in outside), default=0))
    request_of = np.full(highest + 1, -1, dtype=np.int64)
    candidate_request = np.searchsorted(known, candidates)
    request_of[tasks[tasks > 0]] = candidate_request[tasks > 0]
    return Ancestry(
        requests=len(known),
        tasks=highest + 1,
        edge_request=np.searchsorted(known, edges),
        edge_parent=_integers(edge_parent),
        outside=outside,
        candidate_request=candidate_request,
        accepted=np.array(accepted, dtype=np.int8),
        active=np.array(active, dtype=np.int8),
        seed_score=np.array(seed_scores, dtype=np.float64),
        score=np.array(scores, dtype=np.float64),
        request_of=request_of,
    )


def _integers(values: array[int]) -> Integers:
    return np.array(values, dtype=np.int64)

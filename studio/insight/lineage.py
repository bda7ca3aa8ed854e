"""Who descends from whom in a whole pool: what became of each seed, and whether the model drifts from generation to generation.

The parents of a task are the in-context tasks of the request that wrote it, so all candidates of a request share them: requests are the
nodes that are walked, in their order, and each edge is met twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight.tables import GROUPS, Progress, bar, grouped, plain_table, silent, told
from studio.pool.pool import Queries
from studio.text import display_line

ROOTS_SHOWN = 15
_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Root:
    """A task that no model wrote, and what came of it. Tasks are active generated ones.

    `contexts` are the prompts it stood in, `candidates` and `accepted` what these prompts yielded. `children` are the tasks that came of
    them, `descendants` those and theirs, of any generation, each once. `credit` shares each task out among its in-context tasks in equal
    parts, and what a generated one of them gets among its own, up to here: the credits of all roots add up to the tasks (as founder
    contributions do in a pedigree; Lacy, Zoo Biology 8, 1989). `instruction` is cut after some hundred characters.
    """

    id: int
    origin: str
    contexts: int
    candidates: int
    accepted: int
    children: int
    descendants: int
    credit: float
    instruction: str

    @property
    def acceptance_rate(self) -> float:
        return self.accepted / self.candidates if self.candidates else 0.0


@dataclass(frozen=True, slots=True)
class Depth:
    """The candidates of one generation. Depth 1 has only seeds and imports in its context, others one more than the deepest of it.

    `tasks` are active ones. The means are over accepted candidates, of their highest ROUGE-L F1 when they were decided; 0 without any.
    Later rounds are deeper, so a falling rate may be the pool that fills up as well as the model that drifts.
    """

    depth: int
    candidates: int
    accepted: int
    tasks: int
    mean_seed_score: float
    mean_score: float

    @property
    def acceptance_rate(self) -> float:
        return self.accepted / self.candidates if self.candidates else 0.0


@dataclass(frozen=True, slots=True)
class Lineage:
    """The lineage of a pool. `roots` are all active seeds and whatever else stood in a prompt, most descendants first."""

    generated: int
    mean_depth: float
    deepest: int
    depths: tuple[Depth, ...]
    roots: tuple[Root, ...]

    @property
    def barren(self) -> tuple[Root, ...]:
        """The roots without a descendant, those that stood in the most prompts first."""
        return tuple(sorted((root for root in self.roots if not root.descendants), key=lambda root: (-root.contexts, root.id)))

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, with the rates, for JSON."""
        values = asdict(self)
        for part in ("depths", "roots"):
            values[part] = [{**asdict(each), "acceptance_rate": each.acceptance_rate} for each in getattr(self, part)]
        return values


def lineage(pool: Queries, progress: Progress = silent) -> Lineage:
    """Read who descends from whom in one pass over the pool; a million tasks take a few hundred megabytes at most.

    Raises PoolError when the pool cannot be read.
    """
    with pool.one_state():
        found = read_ancestry(pool, progress)
        roots = _roots(pool, found, progress)
    depths = _depths(found)
    tasks = sum(each.tasks for each in depths)
    return Lineage(
        generated=tasks,
        mean_depth=sum(each.depth * each.tasks for each in depths) / tasks if tasks else 0.0,
        deepest=max((each.depth for each in depths if each.tasks), default=0),
        depths=depths,
        roots=roots,
    )


def _depths(found: Ancestry) -> tuple[Depth, ...]:
    if not found.candidate_request.size:
        return ()
    depth = found.request_depths()[found.candidate_request]
    accepted = found.accepted.astype(np.float64)

    def summed(weights: Any) -> Any:
        return np.bincount(depth, weights=weights)

    candidates, kept, tasks = np.bincount(depth), summed(accepted), summed(found.active)
    seed_scores, scores = summed(found.seed_score * accepted), summed(found.score * accepted)
    return tuple(
        Depth(
            depth=place,
            candidates=int(candidates[place]),
            accepted=int(kept[place]),
            tasks=int(tasks[place]),
            mean_seed_score=float(seed_scores[place] / kept[place]) if kept[place] else 0.0,
            mean_score=float(scores[place] / kept[place]) if kept[place] else 0.0,
        )
        for place in range(1, len(candidates))
    )


def _roots(pool: Queries, found: Ancestry, progress: Progress) -> tuple[Root, ...]:
    contexts = np.bincount(found.edge_parent, minlength=found.tasks)
    roots = [task_id for task_id, is_seed in found.outside if is_seed or contexts[task_id]]
    children, accepted, candidates = (
        np.bincount(found.edge_parent, weights=each[found.edge_request], minlength=found.tasks)
        for each in (found.by_request(found.active), found.by_request(found.accepted), found.by_request())
    )
    descendants = found.descendants(roots, progress)
    credit = found.credit()
    rows = pool.lineage.kin(roots)
    made = [
        Root(
            id=task_id,
            origin=str(rows[task_id].origin),
            contexts=int(contexts[task_id]),
            candidates=int(candidates[task_id]),
            accepted=int(accepted[task_id]),
            children=int(children[task_id]),
            descendants=number,
            credit=float(credit[task_id]),
            instruction=rows[task_id].text,
        )
        for task_id, number in zip(roots, descendants, strict=True)
    ]
    return tuple(sorted(made, key=lambda root: (-root.descendants, -root.credit, root.id)))


def lineage_report(found: Lineage) -> Group:
    """Which seeds bear fruit and which do not, and what happens from generation to generation, for a terminal."""
    if not found.generated:
        return Group(Text("no generated task yet: nothing descends from anything"))
    barren = found.barren
    head = (
        f"{found.generated:,} generated tasks, on average {found.mean_depth:.1f} generations from the seeds, at most {found.deepest:,};"
        f" {len(barren):,} of {len(found.roots):,} seeds and imports have no descendant"
    )
    headings = ("generation", "candidates", "tasks", "accepted", "ROUGE-L to a seed", "to any task")
    depths = plain_table(*headings, rows=_depth_rows(found.depths), left=(3,))
    parts: list[Table | Text] = [Text(head), Text(), depths, Text(), *_root_lines(found.roots)]
    if barren:
        parts += [Text(), Text("without a descendant", style="bold"), *_barren_lines(barren)]
    return Group(*parts)


def summed(depths: Sequence[Depth], most: int = GROUPS) -> Iterator[tuple[str, Depth]]:
    """Yield at most `most` lines, neighbouring generations summed up, each with its label."""
    for label, group in grouped(depths, lambda each: each.depth, most):
        accepted = sum(each.accepted for each in group)
        candidates, tasks = sum(each.candidates for each in group), sum(each.tasks for each in group)
        seed_scores = sum(each.mean_seed_score * each.accepted for each in group)
        scores = sum(each.mean_score * each.accepted for each in group)
        yield label, Depth(group[0].depth, candidates, accepted, tasks, seed_scores / (accepted or 1), scores / (accepted or 1))


def _depth_rows(depths: Sequence[Depth]) -> Iterator[tuple[str, ...]]:
    for label, each in summed(depths):
        accepted = f"{bar(each.acceptance_rate, 10)} {each.acceptance_rate:.1%}"
        yield label, f"{each.candidates:,}", f"{each.tasks:,}", accepted, f"{each.mean_seed_score:.3f}", f"{each.mean_score:.3f}"


def _root_lines(roots: Sequence[Root]) -> Iterator[Text]:
    """Lines of a table, which are cut at the edge of the terminal rather than wrapped."""
    yield Text(f"{'most descendants':<18}{'descendants':>12}{'children':>11}{'credit':>12}{'accepted':>10}{'prompts':>10}", style="bold")
    for root in roots[:ROOTS_SHOWN]:
        if root.descendants:
            figures = f"{root.descendants:>12,}{root.children:>11,}{root.credit:>12,.1f}{root.acceptance_rate:>10.0%}{root.contexts:>10,}"
            line = f"{f'{root.origin} {root.id}':<18}{figures}  {display_line(root.instruction, _WIDTH)}"
            yield Text(line, no_wrap=True, overflow="ellipsis")


def _barren_lines(barren: Sequence[Root]) -> Iterator[Text]:
    for root in barren[:ROOTS_SHOWN]:
        stood = f"in {root.contexts:,} prompts" if root.contexts else "never in a prompt"
        yield Text(f"{root.origin} {root.id}, {stood}: {display_line(root.instruction, _WIDTH)}")
    if len(barren) > ROOTS_SHOWN:
        yield Text(f"and {len(barren) - ROOTS_SHOWN:,} more")


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

    def by_request(self, which: NDArray[np.int8] | None = None) -> Floats:
        """How many candidates each request wrote; of those that are 1 in `which`, which is `accepted` or `active`."""
        return np.bincount(self.candidate_request, weights=which, minlength=self.requests).astype(np.float64)

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
        due = array("d", self.by_request(self.active).tolist())
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
        weights = self.by_request(self.active)
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

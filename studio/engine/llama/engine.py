"""The llama.cpp engine: many sequences decoded together, few-shot templates evaluated once, contexts that compute side by side.

The same batch of requests gives the same completions every time, whatever was run before: what is evaluated when follows from the requests
alone (`scheduler`), each context has its own share of them, and each wave begins from the same state of its context (`prefixes`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from studio.engine.api import CancelToken, Completion, EngineEvent, EngineInfo, Finished, FinishReason, LinkedToken, Request
from studio.engine.catalog import file_sha256
from studio.engine.chat_template import Piece
from studio.engine.llama.context import AbortFlag, LlamaContext, State
from studio.engine.llama.decoding import WaveRun
from studio.engine.llama.model import LlamaModel
from studio.engine.llama.prefixes import Prefixes, PrefixStore, Tokens, fingerprint
from studio.engine.llama.scheduler import Job, common_prefix, deal, first_jobs, plan_waves
from studio.engine.llama.vocab import Prompt, Turns
from studio.engine.model_file import read_whole, tuned_name
from studio.engine.options import PREFIX_SEQUENCES, EngineOptions
from studio.errors import ModelError
from studio.records import ModelIdentity

T = TypeVar("T")

_PROMPTS_A_THREAD = 8
_LEAST_SHARED_TOKENS = 16
"""A shorter prefix is not worth a batch of its own."""


class LlamaEngine:
    """Runs a GGUF model in this process. See `Engine` for the protocol; one batch at a time."""

    def __init__(
        self,
        identity: ModelIdentity,
        options: EngineOptions,
        *,
        store: PrefixStore | None = None,
        shrink: int = 0,
        plain: bool = False,
    ) -> None:
        """Load the model at `identity.path`; `store` keeps evaluated templates between runs. Raises ModelError when loading fails.

        `shrink` is the number of set-ups to leave out because memory was short with them before, see `setup.setups_to_try`;
        `plain` leaves out what this build of llama.cpp died of, see `context`.
        """
        self._model = model = LlamaModel(identity.path, options, shrink=shrink, plain=plain)
        self._turns = turns = Turns(read_whole(Path(identity.path)), model.vocabulary)
        template = turns.template
        adapter_sha256 = file_sha256(Path(options.adapter)) if options.adapter else ""
        self.info = EngineInfo(
            model=replace(identity, name=tuned_name(identity.name, options.adapter)),
            backend=f"llama.cpp ({model.backend})",
            context_tokens=sum(context.cells for context in model.contexts),
            threads=model.setup.threads,
            parallel=model.setup.parallel,
            contexts=len(model.contexts),
            layers_offloaded=model.layers_offloaded,
            layers=model.layers,
            flash_attention=model.flash_attention,
            streams=model.setup.streams,
            kv_type=model.setup.kv_type,
            cpu_moe=model.setup.cpu_moe,
            split=model.split,
            adapter=options.adapter,
            adapter_sha256=adapter_sha256,
            asking="chat" if template else "completion",
            askings=("chat", "completion") if template else ("completion",),
            writes_requests=template is not None,
            prefills=template is not None,
            measures=True,
            grammars=True,
            thinks=template is not None and template.thinks,
            notices=(*model.notices, turns.notice) if turns.notice else model.notices,
        )
        """What is running."""
        key = fingerprint(identity.sha256, model, adapter_sha256) if store else ""
        self._prefixes = Prefixes(model.contexts[0], store, key)
        self._abort = AbortFlag()
        for context in model.contexts:
            self._abort.attach(context)
        self._busy = False

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """See `Engine.stream`. Raises ModelError when a batch is still running, and for a chat with a model that has no template for it."""
        if self._busy:
            raise ModelError("the engine is still busy with another batch", "exhaust or close its events first")
        self._turns.check(requests)
        self._busy = True
        try:
            halt = LinkedToken(cancel)
            with self._abort.raised_by(halt):
                yield from self._run(requests, halt)
        finally:
            self._busy = False

    def forget_prefixes(self) -> None:
        """Drop the kept templates, as if the engine had just been opened."""
        self._prefixes.forget()

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        self._prefixes.forget()
        self._model.close()

    def _run(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        jobs: list[Job] = []
        for outcome in self._prepare(requests, cancel):
            if isinstance(outcome, Job):
                jobs.append(outcome)
            else:
                yield outcome
        states = self._prefixes.states(dict.fromkeys(job.prefix for job in jobs if job.prefix))
        if states is None:
            yield from map(_not_begun, jobs)
            return
        uncached = first_jobs(jobs, self._prefixes.evaluated)
        lanes = [
            self._run_on(context, share, requests, states, uncached, cancel)
            for context, share in zip(self._model.contexts, deal(jobs, len(self._model.contexts)), strict=True)
            if share
        ]
        yield from side_by_side(lanes, cancel.cancel)

    def _run_on(
        self,
        context: LlamaContext,
        jobs: Sequence[Job],
        requests: Sequence[Request],
        states: Mapping[Tokens, State],
        uncached: Collection[int],
        cancel: CancelToken,
    ) -> Iterator[EngineEvent]:
        with context.cores.computing(context):
            for wave in plan_waves(jobs, context=context.shared_cells, max_prefixes=PREFIX_SEQUENCES):
                if cancel.cancelled:
                    yield from map(_not_begun, wave.jobs)
                    continue
                run = WaveRun(context, wave, requests, states, uncached)
                yield from run.run(cancel)
                yield from map(_not_begun, run.waiting)

    def _prepare(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[Job | Finished]:
        """Tokenise the requests and find what they share; a request that cannot run comes as its end."""
        prompts: dict[int, Prompt] = {}
        groups: dict[tuple[Piece, ...], list[int]] = {}
        for index, (request, prompt) in enumerate(zip(requests, self._tokenised(requests, cancel), strict=True)):
            if cancel.cancelled:
                yield _unstarted(index, 0, FinishReason.CANCELLED)
                continue
            refusal = self._refusal(prompt.tokens) if prompt is not None else "its choices do not differ in one token"
            length = len(prompt.tokens) if prompt is not None else 0
            if refusal or prompt is None:
                yield _unstarted(index, length, FinishReason.REFUSED, refusal)
            elif request.params.max_tokens < 1 and not (prompt.branches or prompt.measured):
                yield _unstarted(index, length, FinishReason.LENGTH)
            else:
                prompts[index] = prompt
                groups.setdefault(self._turns.beginning(request), []).append(index)
        for beginning, members in groups.items():
            shared = self._shared(beginning, [prompts[index] for index in members])
            for index in members:
                yield self._job(index, requests[index], prompts[index], shared)

    def _tokenised(self, requests: Sequence[Request], cancel: CancelToken) -> list[Prompt | None]:
        """Return the prompts of the requests, on all cores: a template of 400 tokens takes 1.5 ms each time, hundreds of them a second."""
        threads = min(self._model.setup.threads, len(requests) // _PROMPTS_A_THREAD)
        if threads < 2:
            return [None if cancel.cancelled else self._turns.prompt(request) for request in requests]
        with ThreadPoolExecutor(threads, "tokenise") as pool:
            return list(pool.map(lambda request: None if cancel.cancelled else self._turns.prompt(request), requests))

    def _job(self, index: int, request: Request, prompt: Prompt, shared: int) -> Job:
        draws = not (prompt.branches or prompt.measured)
        wanted = request.params.max_tokens + (request.params.thinking_tokens if self._may_think(request) else 0)
        room = min(wanted, self._model.per_sequence - len(prompt.tokens)) if draws else 0
        return Job(index, prompt.tokens, prompt.tokens[:shared], room, prompt.branches, prompt.end, prompt.measured, prompt.thoughts)

    def _may_think(self, request: Request) -> bool:
        """Whether room is to be kept for thoughts; a model that is known to have none gets the room that it always had."""
        chat = request.chat
        return self.info.thinks and (chat is None or (chat.thinking and not chat.begins and not chat.writes_request))

    def _refusal(self, tokens: Sequence[int]) -> str:
        limit = self._model.per_sequence
        if not tokens:
            return "the prompt is empty"
        if len(tokens) >= limit:
            return f"the prompt has {len(tokens)} tokens, the context holds {limit}"
        return ""

    def _shared(self, beginning: Sequence[Piece], prompts: Sequence[Prompt]) -> int:
        """Return how many first tokens of the prompts are the shared prefix that `beginning` makes.

        The prefix's last token is left out: a suffix often merges with it, and a border that moves from batch to batch would have the
        prefix evaluated anew. Prompts may agree on more; that, too, would move the border.
        """
        if not beginning:
            return 0
        shared = max(0, len(self._turns.beginning_tokens(beginning)) - 1)
        first = prompts[0].tokens[:shared]
        own = (len(prompt.tokens) - prompt.measured - 1 for prompt in prompts)
        shared = min(common_prefix(first, (prompt.tokens for prompt in prompts)), *own, len(first))
        return shared if shared >= _LEAST_SHARED_TOKENS else 0


def _not_begun(job: Job) -> Finished:
    return _unstarted(job.index, len(job.tokens), FinishReason.CANCELLED)


def _unstarted(index: int, prompt_tokens: int, reason: FinishReason, detail: str = "") -> Finished:
    return Finished(index, Completion("", reason, prompt_tokens, 0, detail=detail))


@dataclass(frozen=True, slots=True)
class _End:
    """A stream is over; of `error`, if there was one."""

    error: BaseException | None


def side_by_side(streams: Sequence[Iterator[T]], stop: Callable[[], None]) -> Iterator[T]:
    """Yield what the streams give, as it comes, each run on a thread of its own; a single one is run on the caller's.

    When one raises, or the caller closes this generator, `stop` is called, which must bring the others to their end soon; what they give
    until then is dropped. Raises the first error.
    """
    if len(streams) == 1:
        yield from streams[0]
        return
    given: queue.SimpleQueue[T | _End] = queue.SimpleQueue()

    def drain(stream: Iterator[T]) -> None:
        error: BaseException | None = None
        try:
            for value in stream:
                given.put(value)
        except BaseException as raised:
            error = raised
        given.put(_End(error))

    threads = [threading.Thread(target=drain, args=(stream,), name="side-by-side", daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            item = given.get()
            if not isinstance(item, _End):
                yield item
                continue
            running -= 1
            if item.error is not None:
                raise item.error
    finally:
        if running:
            stop()
        for thread in threads:
            thread.join()

"""The requests that all alternatives of the generation measurement complete: the method's own instance prompts, a fixed length."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice

from studio.engine.api import Request
from studio.loop.profiles import DEFAULT_PROFILE, profile
from studio.loop.prompts import Template, builtin_prompt
from studio.seeds.bundled import bundled_seeds
from studio.seeds.reading import read_tasks


def instance_requests(count: int, tokens: int) -> list[Request]:
    """Return `count` input-first requests about seed tasks, each of exactly `tokens` completion tokens.

    The decoding is the default profile's, without its stop strings and with tokens that end the text never drawn: all alternatives do
    the same work. Seed tasks come again when `count` is above their number.
    """
    template = Template.parse("input_first", builtin_prompt("input_first"))
    decoding = profile(DEFAULT_PROFILE).sampling.input_first.params()
    params = replace(decoding, max_tokens=tokens, stop=(), ignore_eos=True)
    tasks = [task for task in read_tasks(bundled_seeds()) if not task.is_classification]
    return [
        Request(template.prefix, template.suffix(task.instruction.strip()), params, seed)
        for seed, task in enumerate(islice(cycle(tasks), count))
    ]

"""Answers of servers as bytes, and what is read from them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx2

from studio.engine.api import Chat, Completion
from studio.engine.remote.client import values_of
from studio.engine.remote.reading import Reading
from support.engines import request


def read(data: bytes, cuts: Sequence[int] = (), chat: Chat | None = None, **more: Any) -> Completion:
    """The completion that these bytes of an answer make, when they come in pieces that end at `cuts`."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in pairwise(places):
            yield data[start:end]

    async def run() -> Completion:
        reading = Reading(replace(request("", **{"max_tokens": 100, **more}), chat=chat))
        text = ""
        async for value in values_of(httpx2.Response(200, content=pieces())):
            text += reading.take(value)
            if reading.stopped:
                break
        text += reading.close()
        assert reading.text == text
        return reading.completion(0.0)

    return asyncio.run(run())


def events(*chunks: Any, end: str = "\n\n", before: str = "data: ") -> bytes:
    """The bytes of server-sent events; a text is sent as it is."""
    return "".join(
        f"{before}{chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False)}{end}" for chunk in chunks
    ).encode()

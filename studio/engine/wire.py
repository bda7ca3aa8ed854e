"""What the studio and the model's process say to each other: JSON messages, each after its length in four bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from studio.engine.api import Completion, EngineEvent, EngineInfo, Finished, FinishReason, Request, SamplingParams, TextPiece
from studio.records import ModelIdentity

Message = dict[str, Any]
_LENGTH_BYTES = 4


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the bytes of one message. Lone surrogates travel as JSON escapes."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class Decoder:
    """Puts messages together from bytes, however they are split."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take more bytes and yield the messages they complete."""
        self._held += data
        while len(self._held) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._held[:_LENGTH_BYTES], "big")
            if len(self._held) < end:
                return
            body = bytes(self._held[_LENGTH_BYTES:end])
            del self._held[:end]
            message: Message = json.loads(body)
            yield message


def request_message(request: Request) -> Message:
    """Return a request as a message."""
    return asdict(request)


def request_of(message: Message) -> Request:
    """Return the request that `request_message` described."""
    params = dict(message["params"])
    params |= {"stop": tuple(params["stop"]), "choices": tuple(params["choices"])}
    return Request(**{**message, "params": SamplingParams(**params)})


def event_message(batch: int, event: EngineEvent) -> Message:
    """Return an event of batch number `batch` as a message. Restarts are the studio's own and never travel."""
    match event:
        case TextPiece(index, text):
            return {"kind": "piece", "batch": batch, "index": index, "text": text}
        case Finished(index, completion):
            return {"kind": "finished", "batch": batch, "index": index, "completion": asdict(completion)}
        case _:
            raise TypeError(f"{event!r} is no event of a model")


def event_of(message: Message) -> EngineEvent:
    """Return the event that `event_message` described."""
    if message["kind"] == "piece":
        return TextPiece(message["index"], message["text"])
    fields = dict(message["completion"])
    fields["finish_reason"] = FinishReason(fields["finish_reason"])
    return Finished(message["index"], Completion(**fields))


def info_message(info: EngineInfo) -> Message:
    """Return the engine's description as a message."""
    return {"kind": "ready", "info": asdict(info)}


def info_of(message: Message) -> EngineInfo:
    """Return the description that `info_message` gave."""
    fields = dict(message["info"])
    fields["model"] = ModelIdentity(**fields["model"])
    fields["notices"] = tuple(fields["notices"])
    return EngineInfo(**fields)

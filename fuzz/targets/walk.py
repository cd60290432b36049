"""The compiled walk against the road by parsing.

For the same bytes both give equal errors, equal facts, and edited bytes that mean the same. The
first byte says of which signal the others are; as the other two they are only scanned.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any, Final
from zlib import crc32

import attrs

from fuzz.mutations import mutate_fields
from fuzz.sanitizers import ADDRESS, loaded_sanitizers
from fuzz.seeds import captured_requests, drawn_requests
from fuzz.target import Target
from otlp_capture.otlp import SIGNALS, Limits, RedactionPolicy, Signal, TraceChoice
from otlp_capture.otlp.kernel.compiled import CompiledWalk
from otlp_capture.result import Failure
from tests.redactions import mixed_policies
from tests.roads import Roads

_DELTAS: Final = (10**9, -(10**18), 2**63, -(2**64) + 1, 2**64)
_MAX_ELEMENTS, _MAX_DEPTH = 50, 4
_ZERO_OFFSET: Final = bytes.__basicsize__ - 1
_SHARED_SIZES: Final = 2
"""Bytes shorter than this are the same objects everywhere."""


def _fenced(body: bytes) -> bytes:
    """Copy *body*, and let no read pass over its end.

    Python lays a zero behind bytes, so that a read of one byte too many would be a good one.
    """
    if len(body) < _SHARED_SIZES or ADDRESS not in loaded_sanitizers():
        return body
    copy = bytes(bytearray(body))
    end = id(copy) + _ZERO_OFFSET + len(copy)
    _poison()(ctypes.c_void_p(end), ctypes.c_size_t(1))
    return copy


@cache
def _poison() -> Any:
    return ctypes.CDLL(None)["__asan_poison_memory_region"]


@attrs.frozen
class _FencedWalk:
    """The compiled walk over fenced bytes."""

    walk: CompiledWalk

    def scan(self, body: bytes, signal: Signal, limits: Limits) -> Any:
        return self.walk.scan(_fenced(body), signal, limits)

    def shift(self, body: bytes, signal: Signal, delta_ns: int) -> Any:
        return self.walk.shift(_fenced(body), signal, delta_ns)

    def remap(self, body: bytes, signal: Signal, key: bytes) -> Any:
        return self.walk.remap(_fenced(body), signal, key)

    def containers(self, body: bytes, signal: Signal) -> Any:
        return self.walk.containers(_fenced(body), signal)

    def span_links(self, body: bytes) -> Any:
        return self.walk.span_links(_fenced(body))

    def select_traces(self, body: bytes, signal: Signal, choice: TraceChoice) -> Any:
        fenced = _fenced(body)
        done = self.walk.select_traces(fenced, signal, choice)
        if done is None or isinstance(done, Failure) or done.unwrap().request is not fenced:
            return done
        return done.map(lambda chosen: attrs.evolve(chosen, request=body))

    def redact(self, body: bytes, signal: Signal, policy: RedactionPolicy) -> Any:
        fenced = _fenced(body)
        done = self.walk.redact(fenced, signal, policy)
        if done is None or done.unwrap().request is not fenced:
            return done
        return done.map(lambda redacted: attrs.evolve(redacted, request=body))


_ROADS: Final = Roads(_FencedWalk(CompiledWalk()))
_POLICIES: Final = mixed_policies()


def _seeds() -> list[bytes]:
    return [
        bytes([SIGNALS.index(signal)]) + request
        for signal, request in (*drawn_requests(), *captured_requests())
    ]


def _mutate(rng: Random, data: bytes, donors: Sequence[bytes]) -> bytes:
    return data[:1] + mutate_fields(rng, data[1:], [rng.choice(donors)[1:]])


def _check(data: bytes) -> None:
    body, chosen = data[1:], SIGNALS[data[0] % len(SIGNALS)] if data else "logs"
    # The rest is drawn from the bytes, so that a file of them is a whole reproducer.
    drawn = crc32(data)
    limits = Limits(drawn % (_MAX_ELEMENTS + 1), 1 + drawn // 64 % _MAX_DEPTH)
    delta_ns = _DELTAS[drawn % len(_DELTAS)]
    _ROADS.all(body, chosen)
    _ROADS.shift(body, chosen, delta_ns)
    _ROADS.redact(body, chosen, _POLICIES[drawn % len(_POLICIES)])
    for signal in SIGNALS:
        _ROADS.scan(body, signal, limits)


TARGET: Final = Target(_seeds, _mutate, _check)

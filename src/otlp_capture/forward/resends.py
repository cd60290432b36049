"""Which requests a client sends again, because it was told to."""

import hashlib
from collections import OrderedDict
from typing import Final

import anyio.to_thread

from otlp_capture.otlp import Signal

_INLINE_BYTES: Final = 262_144
_DIGEST_BYTES: Final = 16


async def digest(signal: Signal, body: bytes) -> bytes:
    """Return what a request is recognised by; that of a long one is made in a thread."""
    if len(body) <= _INLINE_BYTES:
        return _digest(signal, body)
    return await anyio.to_thread.run_sync(_digest, signal, body)


def _digest(signal: Signal, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES, person=signal.encode()).digest()


class Resends:
    """Remembers requests that clients were told to send again, the latest *limit* of them.

    Two clients may send the same bytes, and both be refused: then both are expected.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._expected = OrderedDict[bytes, int]()

    def expect(self, request: bytes) -> None:
        """Note that a client was told to send a request again."""
        self._expected[request] = self._expected.pop(request, 0) + 1
        if len(self._expected) > self._limit:
            self._expected.popitem(last=False)

    def recognise(self, request: bytes) -> bool:
        """Say whether a request was expected; it is expected once less then."""
        left = self._expected.pop(request, 0) - 1
        if left > 0:
            self._expected[request] = left
        return left >= 0

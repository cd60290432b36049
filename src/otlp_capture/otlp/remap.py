"""Giving a request other trace and span ids."""

from collections.abc import Iterator
from functools import cached_property
from hashlib import blake2b
from typing import Final

import attrs

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.messages import Message, children_of, parse_request, request_table, to_bytes
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.tables import MessageTable
from otlp_capture.result import Failure, Outcome, Success

_DIGEST_BYTES: Final = 64


@attrs.frozen
class IdMapping:
    """Which ids take the place of which; equal mappings replace an id by the same one.

    Attributes:
        seed: of the replay.
        loop: which pass over the session it is.
        copy: which of the copies that are sent at once it is.
    """

    seed: int
    loop: int = 0
    copy: int = 0

    @cached_property
    def key(self) -> bytes:
        """The key of the hash, 32 bytes."""
        name = f"{self.seed}/{self.loop}/{self.copy}"
        return blake2b(name.encode(), digest_size=32).digest()


def remap_ids(request: bytes, signal: Signal, mapping: IdMapping) -> Outcome[bytes, InvalidRequest]:
    """Replace every trace id and span id of a request by its keyed hash.

    They stand in spans (also their parents), links, exemplars and log records. An id becomes the
    keyed BLAKE2b of itself at its own length, wherever it stands, so what belonged together still
    does. Empty and all-zero ids stay, and no other becomes all-zero. Everything else is untouched.

    Args:
        request: protobuf bytes that `scan` has passed; they are not checked here again.
        signal: what they carry.
        mapping: which ids take their places.

    Fails with:
        InvalidRequest: the bytes are malformed.

    Source: RFC 7693.

    >>> remap_ids(b"", "traces", IdMapping(seed=7))
    <Success: b''>
    """
    renamed = KERNEL.remap(request, signal, mapping.key) if KERNEL else None
    return remap_by_parsing(request, signal, mapping) if renamed is None else renamed


def remap_by_parsing(
    request: bytes, signal: Signal, mapping: IdMapping
) -> Outcome[bytes, InvalidRequest]:
    """Do what `remap_ids` does, through messages."""
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    message = parsed.unwrap()
    _rename(message, request_table(signal), mapping.key, {})
    return Success(to_bytes(message))


def _rename(message: Message, table: MessageTable, key: bytes, known: dict[bytes, bytes]) -> None:
    for name in table.ids:
        old = getattr(message, name)
        new = known.get(old)
        if new is None:
            new = known[old] = _renamed(old, key)
        setattr(message, name, new)
    for field in table.to_ids:
        for child in children_of(message, field):
            _rename(child, field.message, key, known)


def _renamed(old: bytes, key: bytes) -> bytes:
    if not any(old):
        return old
    new = b"".join(_digests(old, key))
    return new if any(new) else new[:-1] + b"\x01"


def _digests(old: bytes, key: bytes) -> Iterator[bytes]:
    """Yield as many bytes as *old* has, in digests of at most 64, each salted by its place."""
    for start in range(0, len(old), _DIGEST_BYTES):
        size = min(_DIGEST_BYTES, len(old) - start)
        yield blake2b(
            old, digest_size=size, key=key, salt=(start // _DIGEST_BYTES).to_bytes(8, "little")
        ).digest()

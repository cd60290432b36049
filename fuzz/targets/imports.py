"""Files to import, compressed or not: each entry is a request, or told as broken."""

import gzip
import io
import struct
from collections.abc import Generator
from contextlib import contextmanager
from io import BufferedIOBase
from typing import Final

import attrs
import zstandard

from fuzz.mutations import mutate_bytes
from fuzz.seeds import drawn_requests
from fuzz.target import Target
from otlp_capture import otlp
from otlp_capture.interchange.documents import Document
from otlp_capture.interchange.entries import Entries
from otlp_capture.interchange.errors import EntryBroken
from otlp_capture.result import Failure, Success

_SEEDS: Final = 30


@attrs.frozen
class _Bytes:
    content: bytes

    @contextmanager
    def open(self) -> Generator[BufferedIOBase]:
        yield io.BytesIO(self.content)


def _seeds() -> list[bytes]:
    drawn = drawn_requests()[:_SEEDS]
    lines = [otlp.encode(request, signal, "json").unwrap() + b"\n" for signal, request in drawn]
    frames = [struct.pack(">I", len(each)) + each for _, each in drawn]
    packed = zstandard.compress(lines[0])
    plain = [b"".join(lines), b"".join(frames), *lines, *(request for _, request in drawn)]
    compressed = [pack(each) for each in plain[:4] for pack in (gzip.compress, zstandard.compress)]
    return [*plain, *compressed, struct.pack(">I", len(packed)) + packed]


def _check(data: bytes) -> None:
    document = Document("file", _Bytes(data), "logs", None, 1)
    entries = Entries(document)
    for entry in entries.read():
        if isinstance(entry, Failure):
            assert isinstance(entry.failure(), EntryBroken), "a file in memory can be read"
            assert entry.failure().message
            continue
        for found in entry.unwrap():
            scanned = otlp.scan(found.request, found.signal)
            assert scanned == Success(found.facts), "the facts are of another request"
    assert 0 <= entries.position <= len(data)


TARGET: Final = Target(_seeds, mutate_bytes, _check)

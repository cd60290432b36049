"""Frames on their way into a local store and back, beside plain gzip files.

A session is written as a capture writes it, by an `ObjectWriter` into a store in a directory, each
object synced, with its manifest; and read back as a replay reads it, by way of the manifest, each
frame's CRC checked.
"""

import gzip
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import anyio.lowlevel
import attrs
from anyio.from_thread import BlockingPortal, start_blocking_portal

from benchmarks.harness import Case, Way
from benchmarks.requests import Sample
from otlp_capture import otlp
from otlp_capture.deflate import inflate
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import DEFAULT_LIMITS, RequestFacts, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    Arrival,
    Frame,
    NewFrame,
    ObjectWriter,
    RequestReader,
    SegmentIndex,
    adopt_member,
    encode_frame,
    in_order,
    index_frames,
    index_session,
    save_manifest,
)
from otlp_capture.storage import S3Storage, S3StorageTag, local_storage

_ABOUT_BYTES: Final = 20_000_000
_MOST_REQUESTS: Final = 2_000
_START_NS: Final = 1_763_861_000_000_000_000
_FAST, _CLIENT_LEVEL = 1, 6
_SPEED_FLOOR: Final = 200


@attrs.frozen
class _Load:
    """One request so often that it makes a session worth measuring."""

    sample: Sample
    facts: RequestFacts
    gzipped: bytes
    request_count: int

    @property
    def signal(self) -> Signal:
        return self.sample.signal

    @property
    def size_bytes(self) -> int:
        return self.request_count * len(self.sample.request)

    @property
    def name(self) -> str:
        return f"{self.request_count:,} requests of {self.sample.name}"

    @property
    def speed_floor(self) -> float | None:
        return _SPEED_FLOOR if self.sample.has_floors else None

    def framed(self) -> list[NewFrame]:
        """Compress each request into a frame."""
        request, facts = self.sample.request, self.facts
        return self._frames(lambda arrival: encode_frame(request, facts, arrival))

    def adopted(self) -> list[NewFrame]:
        """Inflate each request from a client's gzip, and make a frame of that."""

        def adopt(arrival: Arrival) -> bytes:
            request = or_raise(inflate(self.gzipped, max_bytes=DEFAULT_LIMITS.max_bytes)).raw
            return adopt_member(self.gzipped, request, self.facts, arrival)

        return self._frames(adopt)

    def _frames(self, encode: Callable[[Arrival], bytes]) -> list[NewFrame]:
        size = len(self.sample.request)
        arrivals = (Arrival(_START_NS + place, place) for place in range(self.request_count))
        return [
            NewFrame(self.signal, encode(arrival), size, self.facts, arrival)
            for arrival in arrivals
        ]


def _load(sample: Sample) -> _Load:
    wanted = max(1, min(_MOST_REQUESTS, round(_ABOUT_BYTES / max(1, len(sample.request)))))
    facts = or_raise(otlp.scan(sample.request, sample.signal))
    return _Load(sample, facts, gzip.compress(sample.request, _CLIENT_LEVEL, mtime=0), wanted)


@attrs.frozen
class _Store:
    """A local store whose operations block, and the sessions that are made in it."""

    storage: S3Storage
    portal: BlockingPortal
    numbers: Iterator[int] = attrs.field(factory=count)

    def keep(self, frames: Sequence[NewFrame]) -> str:
        """Write a session of *frames*, and return its id."""
        session_id = f"session-{next(self.numbers)}"
        self.portal.call(keep_session, self.storage, session_id, frames)
        return session_id

    def read_back(self, session_id: str) -> int:
        """Read all requests of a session, and return their size in bytes."""
        return self.portal.call(_read_back, self.storage, session_id)


def storing(samples: Iterable[Sample], directory: Path | None) -> Iterator[Case]:
    """Yield the cases of each sample; the store lies in *directory*, and is removed after.

    Args:
        samples: what to store.
        directory: where to make the store; None: where temporary files go.
    """
    for load in map(_load, samples):
        with (
            TemporaryDirectory(dir=directory, prefix="otlp-capture-bench-") as folder,
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(
                open_runtime(local_storage(Path(folder) / "store"), S3StorageTag)
            ) as opened,
        ):
            (storage,) = or_raise(opened)
            yield from _cases(load, _Store(storage, portal), Path(folder) / "plain.gz")


def _cases(load: _Load, store: _Store, plain_file: Path) -> Iterator[Case]:
    frames = load.framed()

    def case(subject: str, *ways: Way) -> Case:
        return Case(subject, load.name, load.size_bytes, ways)

    yield case(
        "frame",
        Way("gzip.compress, level 1", partial(_packed, load)),
        Way("encode_frame", load.framed),
        Way("inflate and adopt_member", load.adopted),
    )
    yield case(
        "store",
        Way("one file of gzip, synced", lambda: _written(plain_file, [f.member for f in frames])),
        Way("ObjectWriter, local store", partial(store.keep, frames)),
    )
    segment = b"".join(frame.member for frame in frames)
    session_id = store.keep(frames)
    yield case(
        "read back",
        Way("gzip.decompress", partial(gzip.decompress, segment)),
        Way("RequestReader", lambda: _checked(store.read_back(session_id), load)),
        Way(
            "index_frames, nothing inflated",
            lambda: list(index_frames("", segment, load.signal, 0)),
        ),
    )
    yield case(
        "frame, store, read back",
        Way(
            "gzip, one file, gzip",
            lambda: gzip.decompress(_written(plain_file, _packed(load))),
        ),
        Way(
            "requests",
            lambda: _checked(store.read_back(store.keep(load.framed())), load),
            speed_floor=load.speed_floor,
        ),
        Way(
            "a client's gzip, adopted",
            lambda: _checked(store.read_back(store.keep(load.adopted())), load),
            speed_floor=load.speed_floor,
        ),
    )


def _packed(load: _Load) -> list[bytes]:
    request = load.sample.request
    return [gzip.compress(request, _FAST, mtime=0) for _ in range(load.request_count)]


def _written(file: Path, members: Iterable[bytes]) -> bytes:
    """Write *members* to a file that is synced, and read it again."""
    with file.open("wb") as opened:
        opened.writelines(members)
        opened.flush()
        os.fsync(opened.fileno())
    return file.read_bytes()


def _checked(size_bytes: int, load: _Load) -> int:
    assert size_bytes == load.size_bytes, "a benchmark that loses something measures nothing"
    return size_bytes


async def keep_session(storage: S3Storage, session_id: str, frames: Sequence[NewFrame]) -> None:
    """Write a session of *frames*, and its manifest."""
    published: list[SegmentIndex] = []
    async with anyio.create_task_group() as publishing:
        writer = ObjectWriter(storage, session_id, publishing, _nothing, published.append)
        async with anyio.create_task_group() as appending:
            for frame in frames:
                appending.start_soon(_append, writer, frame)
            await anyio.lowlevel.checkpoint()
            await writer.drain()
    or_raise(await save_manifest(storage, session_id, published))


def _nothing(_signal: Signal, _frame: Frame) -> None:
    """Count nothing."""


async def _append(writer: ObjectWriter, frame: NewFrame) -> None:
    or_raise(await writer.append(frame))


async def _read_back(storage: S3Storage, session_id: str) -> int:
    size_bytes = 0
    index = or_raise(await index_session(storage, session_id))
    async for found in RequestReader(storage).read_all(in_order(index)):
        size_bytes += len(or_raise(found).request)
    return size_bytes

"""Comparing a session with what arrived of it, beside parsing both and comparing the records."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio.to_thread
from anyio.from_thread import start_blocking_portal

from benchmarks.harness import Case, Way
from benchmarks.requests import Sample
from benchmarks.sessions import keep_session
from otlp_capture import otlp
from otlp_capture.clock import moment
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import IdMapping, Signal
from otlp_capture.otlp.messages import parse_request
from otlp_capture.otlp.structure import record_groups
from otlp_capture.result import or_raise
from otlp_capture.sessions import (
    Arrival,
    CaptureSessionMetadata,
    NewFrame,
    create_session,
    encode_frame,
    session_prefix,
)
from otlp_capture.storage import S3Storage, S3StorageTag, local_storage
from otlp_replay.verify import verify

_ABOUT_BYTES: Final = 6_000_000
_START_NS: Final = 1_763_861_000_000_000_000
_HOUR_NS: Final = 3_600_000_000_000
_TWICE: Final = 2


def verifying(samples: Iterable[Sample], directory: Path | None) -> Iterator[Case]:
    """Yield a case for each sample; the store lies in *directory*, and is removed after.

    Args:
        samples: what the sessions hold, with other ids in each request.
        directory: where to make the store; None: where temporary files go.
    """
    for sample in samples:
        count = max(1, _ABOUT_BYTES // max(1, len(sample.request)))
        requests = [
            or_raise(otlp.remap_ids(sample.request, sample.signal, IdMapping(number)))
            for number in range(min(count, 500))
        ]
        with (
            TemporaryDirectory(dir=directory, prefix="otlp-capture-bench-") as folder,
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(
                open_runtime(local_storage(Path(folder)), S3StorageTag)
            ) as opened,
        ):
            (storage,) = or_raise(opened)
            later = [
                or_raise(otlp.shift_timestamps(each, sample.signal, _HOUR_NS)) for each in requests
            ]
            # Messages that are laid end to end are one message: the records in other requests.
            batched = [
                b"".join(later[place : place + _TWICE]) for place in range(0, len(later), _TWICE)
            ]
            for name, held in (("sent", requests), ("arrived", later), ("batched", batched)):
                portal.call(_keep, storage, name, sample.signal, held)
            size_bytes = 2 * sum(map(len, requests))
            compared = partial(portal.call, _compared, storage)
            yield Case(
                "verify",
                f"{len(requests):,} requests of {sample.name}, twice",
                size_bytes,
                [
                    Way(
                        "both parsed (upb), records serialized",
                        partial(_by_messages, sample.signal, requests, later),
                    ),
                    Way("verify, requests as they were", partial(compared, "arrived")),
                    Way("verify, batched anew", partial(compared, "batched")),
                ],
            )


def _by_messages(signal: Signal, sent: Iterable[bytes], arrived: Iterable[bytes]) -> bool:
    """Compare the records alone, without what is around them, and with no shift undone."""
    return Counter(_records(signal, sent)) == Counter(_records(signal, arrived))


def _records(signal: Signal, requests: Iterable[bytes]) -> Iterator[bytes]:
    for request in requests:
        message: Any = or_raise(parse_request(request, signal))
        for group in record_groups(message, signal):
            for record in group:
                yield record.SerializeToString(deterministic=True)


async def _keep(
    storage: S3Storage, session_id: str, signal: Signal, requests: Iterable[bytes]
) -> None:
    metadata = CaptureSessionMetadata(
        session_id=session_id,
        start_time=moment(_START_NS),
        end_time=moment(_START_NS),
        status="completed",
        s3_prefix=session_prefix(session_id),
        created_by="benchmarks",
    )
    or_raise(await create_session(storage, metadata))
    frames: list[NewFrame] = []
    for place, request in enumerate(requests):
        facts = or_raise(otlp.scan(request, signal))
        arrival = Arrival(_START_NS + place, place)
        member = await anyio.to_thread.run_sync(encode_frame, request, facts, arrival)
        frames.append(NewFrame(signal, member, len(request), facts, arrival))
    await keep_session(storage, session_id, frames)


async def _compared(storage: S3Storage, arrived: str) -> None:
    comparison = or_raise(await verify(storage, "sent", arrived))
    assert comparison.equal, "a benchmark that finds what is not there measures nothing"

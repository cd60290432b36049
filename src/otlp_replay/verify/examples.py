"""Examples of differences, read back from the two recordings and said for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import anyio.to_thread
import attrs

from otlp_capture.otlp import canonical_records, describe, first_difference
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import RequestReader, SegmentCorrupted, StoredRequest
from otlp_replay.errors import ReplayError, as_replay_error
from otlp_replay.verify.comparison import Difference, FieldDifference, Place
from otlp_replay.verify.matching import RowDifference
from otlp_replay.verify.reading import content_damage
from otlp_replay.verify.recording import Recording
from otlp_replay.verify.summaries import shown_apart, summarize

Levels: TypeAlias = Mapping[str, Any]


@attrs.frozen
class _Seen:
    """A record that was read back."""

    place: Place
    levels: Levels


@attrs.frozen
class Source:
    """A recording, and what reads it."""

    recording: Recording
    reader: RequestReader


async def describe_examples(
    a: Source, b: Source, examples: Sequence[RowDifference]
) -> Outcome[tuple[Difference, ...], ReplayError]:
    """Read the records of *examples* again, each request once, and say how they differ.

    Fails with:
        DataCorrupted, DecompressionFailure: a session was damaged meanwhile.
        StorageFailure: a store did not answer well.
    """
    seen_a = await _see(a, [found.row_a for found in examples if found.row_a is not None])
    if isinstance(seen_a, Failure):
        return seen_a
    seen_b = await _see(b, [found.row_b for found in examples if found.row_b is not None])
    if isinstance(seen_b, Failure):
        return seen_b
    return Success(
        tuple(
            _difference(a.recording, b.recording, found, seen_a.unwrap(), seen_b.unwrap())
            for found in examples
        )
    )


async def _see(source: Source, rows: Iterable[int]) -> Outcome[dict[int, _Seen], ReplayError]:
    recording = source.recording
    wanted: dict[int, list[int]] = {}
    for row in sorted(rows):
        wanted.setdefault(recording.request_of(row), []).append(row)
    seen: dict[int, _Seen] = {}
    for request, rows_there in wanted.items():
        read = await source.reader.read(recording.refs[request])
        if isinstance(read, Failure):
            return Failure(as_replay_error(recording.session_id, read.failure()))
        first = recording.rows_of(request).start
        indexes = [row - first for row in rows_there]
        described = await anyio.to_thread.run_sync(_describe_all, read.unwrap(), indexes)
        if isinstance(described, Failure):
            return Failure(as_replay_error(recording.session_id, described.failure()))
        seen.update(zip(rows_there, described.unwrap(), strict=True))
    return Success(seen)


def _describe_all(
    stored: StoredRequest, indexes: Iterable[int]
) -> Outcome[list[_Seen], SegmentCorrupted]:
    canonical = canonical_records(stored.request, stored.signal)
    if isinstance(canonical, Failure):
        return Failure(content_damage(stored, canonical.failure().message))
    records, frame = canonical.unwrap().records, stored.frame
    return Success(
        [
            _Seen(
                Place(stored.key, frame.offset, frame.received_unix_nano, records[index].path),
                describe(stored.request, stored.signal, records[index].path),
            )
            for index in indexes
        ]
    )


def _difference(
    a: Recording,
    b: Recording,
    found: RowDifference,
    seen_a: Mapping[int, _Seen],
    seen_b: Mapping[int, _Seen],
) -> Difference:
    in_a = None if found.row_a is None else seen_a[found.row_a]
    in_b = None if found.row_b is None else seen_b[found.row_b]
    named = in_a or in_b
    assert named is not None
    kin = a.kin_of(found.row_a) if found.row_a is not None else b.kin_of(found.row_b or 0)
    return Difference(
        kind=found.kind,
        signal=kin.signal,
        service=kin.service,
        record=summarize(kin.signal, named.levels),
        place_a=in_a.place if in_a else None,
        place_b=in_b.place if in_b else None,
        field=_first_field(in_a, in_b, found.shift_ns) if in_a and in_b else None,
    )


def _first_field(a: _Seen, b: _Seen, shift_ns: int) -> FieldDifference | None:
    difference = first_difference(a.levels, b.levels, shift_ns=shift_ns)
    if difference is None:
        return None
    path, value_a, value_b = difference
    return FieldDifference(path, *shown_apart(value_a, value_b))

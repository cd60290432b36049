"""Differing records read back from the two recordings, and said for people."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import anyio.to_thread
import attrs

from otlp_capture.otlp import SIGNALS, Signal, canonical_records, describer, first_difference
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import SegmentCorrupted, StoredRequest
from otlp_replay.errors import ReplayError
from otlp_replay.verify.comparison import Difference, FieldCounts, FieldDifference, Place
from otlp_replay.verify.contents import Contents
from otlp_replay.verify.matching import RowDifference
from otlp_replay.verify.reading import Source, content_damage
from otlp_replay.verify.rows import Row
from otlp_replay.verify.summaries import shown_apart, summarize
from otlp_replay.verify.tally import Tally

_KEPT_BYTES: Final = 4 << 20

Levels: TypeAlias = Mapping[str, Any]


@attrs.frozen
class _Seen:
    """A record that was read back."""

    place: Place
    levels: Levels


@attrs.frozen
class _Opened:
    """A request whose records are known by their paths."""

    stored: StoredRequest
    size_bytes: int
    paths: tuple[str, ...]
    describe: Callable[[str], Levels]


class Witness:
    """Reads the records of one side back; the requests that were read last are kept.

    Args:
        source: the side.
        contents: which of its requests holds a record.
    """

    def __init__(self, source: Source, contents: Contents) -> None:
        self._source, self._contents = source, contents
        self._opened: OrderedDict[int, _Opened] = OrderedDict()

    async def see(self, row: Row | None) -> Outcome[_Seen | None, ReplayError]:
        """Return a record, None for none."""
        if row is None:
            return Success(None)
        number, place = self._contents.find(row.number)
        opened = self._opened.get(number)
        if opened is None:
            read = await self._open(number)
            if isinstance(read, Failure):
                return read
            opened = self._keep(number, read.unwrap())
        return Success(await anyio.to_thread.run_sync(_describe, opened, place))

    async def _open(self, number: int) -> Outcome[_Opened, ReplayError]:
        width = self._source.declared.variant_count
        ref = self._source.refs[number // width]
        read = await self._source.reader.read(ref)
        if isinstance(read, Failure):
            return Failure(self._source.error(read.failure(), ref.segment.key))
        opened = await anyio.to_thread.run_sync(_open, self._source, read.unwrap(), number % width)
        if isinstance(opened, Failure):
            return Failure(self._source.error(opened.failure(), ref.segment.key))
        return opened

    def _keep(self, number: int, opened: _Opened) -> _Opened:
        self._opened[number] = opened
        held = sum(each.size_bytes for each in self._opened.values())
        while held > _KEPT_BYTES and len(self._opened) > 1:
            held -= self._opened.popitem(last=False)[1].size_bytes
        return opened


def _open(
    source: Source, stored: StoredRequest, variant: int
) -> Outcome[_Opened, SegmentCorrupted]:
    declared = source.declared.variants(stored.request, stored.signal, stored.frame.sequence)
    if isinstance(declared, Failure):
        return Failure(content_damage(stored, declared.failure().message))
    request = declared.unwrap()[variant].request
    canonical = canonical_records(request, stored.signal)
    if isinstance(canonical, Failure):
        return Failure(content_damage(stored, canonical.failure().message))
    paths = tuple(record.path for record in canonical.unwrap().records)
    return Success(_Opened(stored, len(request), paths, describer(request, stored.signal)))


def _describe(opened: _Opened, place: int) -> _Seen:
    stored, path = opened.stored, opened.paths[place]
    frame = stored.frame
    return _Seen(
        Place(stored.key, frame.offset, frame.received_unix_nano, path),
        opened.describe(path),
    )


async def describe_examples(
    a: Witness, b: Witness, tally: Tally
) -> Outcome[tuple[Difference, ...], ReplayError]:
    """Read the records of the first differences again, and say how they differ.

    Fails with:
        DataCorrupted, DecompressionFailure: a session was damaged meanwhile.
        StorageFailure: a store did not answer well.
    """
    described: list[Difference] = []
    for found in tally.examples():
        seen = await _see_both(a, b, found)
        if isinstance(seen, Failure):
            return seen
        described.append(_difference(tally, found, *seen.unwrap()))
    return Success(tuple(described))


async def count_fields(
    a: Witness, b: Witness, tally: Tally
) -> Outcome[tuple[FieldCounts, ...], ReplayError]:
    """Count the changed records by the field that differs; the fields of ten thousand are read.

    Fails with:
        DataCorrupted, DecompressionFailure: a session was damaged meanwhile.
        StorageFailure: a store did not answer well.
    """
    counts: Counter[tuple[Signal, str, str | None]] = Counter()
    for found in tally.changed():
        seen = await _see_both(a, b, found)
        if isinstance(seen, Failure):
            return seen
        in_a, in_b = seen.unwrap()
        assert in_a is not None
        assert in_b is not None
        difference = first_difference(in_a.levels, in_b.levels, shift_ns=found.shift_ns)
        kin = tally.kin_of(found)
        counts[kin.signal, kin.service, difference[0] if difference else ""] += 1
    for key, rest in tally.unexamined().items():
        counts[*key, None] += rest
    ranked = sorted(counts.items(), key=lambda item: (-item[1], _order(item[0])))
    return Success(
        tuple(
            FieldCounts(signal=signal, service=service, field=field, changed=count)
            for (signal, service, field), count in ranked
        )
    )


def _order(key: tuple[Signal, str, str | None]) -> tuple[int, str, str]:
    return SIGNALS.index(key[0]), key[1], key[2] or ""


async def _see_both(
    a: Witness, b: Witness, found: RowDifference
) -> Outcome[tuple[_Seen | None, _Seen | None], ReplayError]:
    in_a = await a.see(found.row_a)
    if isinstance(in_a, Failure):
        return in_a
    in_b = await b.see(found.row_b)
    if isinstance(in_b, Failure):
        return in_b
    return Success((in_a.unwrap(), in_b.unwrap()))


def _difference(
    tally: Tally, found: RowDifference, in_a: _Seen | None, in_b: _Seen | None
) -> Difference:
    named = in_a or in_b
    assert named is not None
    kin = tally.kin_of(found)
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

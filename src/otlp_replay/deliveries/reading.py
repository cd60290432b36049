"""A ledger is read: which events were delivered, which may have been, and which were not."""

import os
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.deliveries.errors import LedgerDamaged, LedgerError, LedgerNotFound, LedgerUnusable
from otlp_replay.deliveries.layout import (
    INTACT,
    INTENDED,
    MOST_EVENTS,
    OPENING_BYTES,
    RECORD_BYTES,
    RECORD_WORDS,
    RUN,
    STATES,
    UNTOUCHED,
    Entry,
    Header,
    header_size,
    read_entry,
    read_header,
)
from otlp_replay.deliveries.prior import PriorDeliveries

_STATES: Final = frozenset(STATES)
_AT_ONCE: Final = 1 << 16
"""So many records are in memory at once."""


@attrs.frozen
class LedgerContent:
    """What a ledger's file holds.

    Attributes:
        header: what it says of itself; None: its writer was killed before it had written that.
        header_bytes: how long that is.
        prior: what became of events.
        end: where its last whole record ends.
    """

    header: Header | None
    header_bytes: int
    prior: PriorDeliveries
    end: int


def read_ledger(path: Path) -> Outcome[PriorDeliveries, LedgerError]:
    """Return what became of the events of a replay, by its ledger. It blocks.

    A ledger that a replay still writes may be read: then it says how far that was.

    Fails with:
        LedgerNotFound: there is none.
        LedgerDamaged: it is none, or its beginning is damaged.
        LedgerUnusable: the file system refused.
    """
    try:
        with path.open("rb", buffering=0) as file:
            content = read_content(file.fileno(), str(path))
    except FileNotFoundError:
        return Failure(LedgerNotFound(str(path)))
    except OSError as error:
        return Failure(LedgerUnusable(str(path), error.strerror or str(error)))
    return Success(content.unwrap().prior) if isinstance(content, Success) else content


def read_entries(path: Path) -> Iterator[Entry]:
    """Yield all intact records of a ledger that `read_ledger` can read, as they were written.

    Raises:
        OSError: the file system refused.
    """
    with path.open("rb", buffering=0) as file:
        content = read_content(file.fileno(), str(path))
        if isinstance(content, Failure):
            return
        for records in _blocks(file.fileno(), content.unwrap().header_bytes):
            for start in range(0, len(records), RECORD_BYTES):
                record = records[start : start + RECORD_BYTES]
                if crc32(record) == INTACT:
                    yield read_entry(record)


def read_content(descriptor: int, path: str) -> Outcome[LedgerContent, LedgerDamaged]:
    """Read an open ledger.

    Fails with:
        LedgerDamaged: it is none, or its beginning is damaged.

    Raises:
        OSError: the file system refused.
    """
    size = os.fstat(descriptor).st_size
    opening = os.pread(descriptor, OPENING_BYTES, 0)
    sized = header_size(opening)
    if isinstance(sized, Failure):
        return Failure(LedgerDamaged(path, sized.failure()))
    header_bytes = sized.unwrap()
    if len(opening) < OPENING_BYTES or size < header_bytes:
        return Success(LedgerContent(None, 0, PriorDeliveries(torn_bytes=size), 0))
    header = read_header(os.pread(descriptor, header_bytes, 0))
    if isinstance(header, Failure):
        return Failure(LedgerDamaged(path, header.failure()))
    tally = _Tally()
    for records in _blocks(descriptor, header_bytes):
        tally.add(records)
    torn_bytes = (size - header_bytes) % RECORD_BYTES
    prior = PriorDeliveries(
        replay_id=header.unwrap().replay_id,
        states=tally.states,
        runs=tally.runs,
        damaged_records=tally.damaged,
        torn_bytes=torn_bytes,
    )
    return Success(LedgerContent(header.unwrap(), header_bytes, prior, size - torn_bytes))


def _blocks(descriptor: int, start: int) -> Iterator[bytes]:
    """Yield whole records, many at once."""
    while True:
        block = os.pread(descriptor, _AT_ONCE * RECORD_BYTES, start)
        whole = len(block) - len(block) % RECORD_BYTES
        if not whole:
            return
        yield block[:whole]
        start += whole


class _Tally:
    """Follows the state of each event through the records."""

    def __init__(self) -> None:
        self.runs = self.damaged = 0
        self._states = bytearray()
        self._reached = self._behind = 0

    @property
    def states(self) -> bytes:
        """The state of each event; what a damaged record may have been of is unknown."""
        states = self._states[: self._reached]
        if not self.damaged:
            return bytes(states)
        hidden = bytes([INTENDED])
        return bytes(states.replace(bytes([UNTOUCHED]), hidden)) + hidden * self._behind

    def add(self, records: bytes) -> None:
        kinds, words = records[::RECORD_BYTES], array("Q", records)
        if sys.byteorder == "big":
            words.byteswap()
        numbers = words[1::RECORD_WORDS]
        damaged = [
            place
            for place, start in enumerate(range(0, len(records), RECORD_BYTES))
            if crc32(records[start : start + RECORD_BYTES]) != INTACT
        ]
        if damaged or not _STATES.issuperset(kinds) or max(numbers) >= MOST_EVENTS:
            kinds, numbers = self._sort_out(kinds, numbers, set(damaged))
        if not numbers:
            return
        self._behind = self._behind if damaged else 0
        reached = max(numbers) + 1
        if reached > len(self._states):
            self._states.extend(bytes(reached + reached // 2 - len(self._states)))
        self._reached = max(self._reached, reached)
        states = self._states
        for number, kind in zip(numbers, kinds, strict=True):
            states[number] = kind

    def _sort_out(
        self, kinds: bytes, numbers: "array[int]", damaged: set[int]
    ) -> tuple[bytes, "array[int]"]:
        """Leave out what says nothing of an event, and count it."""
        kept = bytearray()
        kept_numbers = array("Q")
        for place, (kind, number) in enumerate(zip(kinds, numbers, strict=True)):
            if place in damaged or not _is_sane(kind, number):
                self.damaged += 1
                self._behind += 1
                continue
            self._behind = 0
            if kind == RUN:
                self.runs += 1
                continue
            kept.append(kind)
            kept_numbers.append(number)
        return bytes(kept), kept_numbers


def _is_sane(kind: int, number: int) -> bool:
    return kind == RUN or (kind in _STATES and number < MOST_EVENTS)

"""Whole requests, compared without being parsed: most of what a replay sends arrives as it was.

Requests that are equal byte by byte, once both are moved to one time, hold equal records. What is
left when they are set against each other is compared record by record.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final, TypeAlias

from otlp_capture import otlp
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure
from otlp_replay.verify.declared import Variant

_DIGEST_BYTES: Final = 16
_MIDDLE_NS: Final = 1 << 62
"""Where requests are moved to; far from both ends, so that no timestamp leaves its range."""
_MIXED: Final = (1 << 32) - 1
_UNCOMPARED: Final = (1 << 32) - 2

HELD_BYTES: Final = 300
"""What a request takes while it is compared, in bytes."""

Services: TypeAlias = Counter[tuple[Signal, str]]
"""How many records there are of each signal and service."""


class WholeRequests:
    """The requests of one side in columns, by their numbers in rising order."""

    def __init__(self) -> None:
        self.numbers = array("Q")
        self.first_times = array("Q")
        self.last_times = array("Q")
        self._digests = bytearray()
        self._record_counts = array("Q")
        self._service_of = array("I")
        self._loops = array("I")
        self._services: dict[tuple[Signal, str], int] = {}
        self._mixed: dict[int, Services] = {}

    def take(self, number: int, signal: Signal, variant: Variant) -> str | None:
        """Take a request; never anything wrong with it: what cannot be told is left for later."""
        request = variant.request
        self.numbers.append(number)
        self._loops.append(variant.loop)
        facts = otlp.scan(request, signal)
        services = None
        if not isinstance(facts, Failure):
            services = _services(request, signal, facts.unwrap())
        digest, first_time = b"", 0
        if services is not None and not isinstance(facts, Failure):
            first_time = facts.unwrap().min_time_unix_nano
            digest = _digest(request, signal, first_time)
        if isinstance(facts, Failure) or services is None or not digest:
            self.last_times.append(0)
            self._append(bytes(_DIGEST_BYTES), 0, 0, _UNCOMPARED)
            return None
        self.last_times.append(facts.unwrap().max_time_unix_nano)
        if len(services) > 1:
            self._mixed[len(self._service_of)] = services
            self._append(digest, first_time, services.total(), _MIXED)
            return None
        for service, count in services.items():
            known = self._services.setdefault(service, len(self._services))
            self._append(digest, first_time, count, known)
        return None

    def _append(self, digest: bytes, first_time: int, count: int, service: int) -> None:
        self._digests += digest
        self.first_times.append(first_time)
        self._record_counts.append(count)
        self._service_of.append(service)

    def __len__(self) -> int:
        return len(self.numbers)

    def is_comparable(self, place: int) -> bool:
        """Whether the request at *place* can be compared as a whole."""
        return self._service_of[place] != _UNCOMPARED

    def loop(self, place: int) -> int:
        """Return the loop of the request at *place*."""
        return self._loops[place]

    def digest(self, place: int) -> bytes:
        """Return the digest of all in a request but one constant of time."""
        return bytes(self._digests[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES])

    def services(self, is_counted: bytearray) -> Services:
        """Count the records of those requests that are marked in *is_counted*."""
        names = list(self._services)
        counts: Services = Counter()
        for place, service in enumerate(self._service_of):
            if not is_counted[place]:
                continue
            if service == _MIXED:
                counts.update(self._mixed[place])
            else:
                counts[names[service]] += self._record_counts[place]
        return counts

    def by_digest(self) -> Iterator[tuple[bytes, list[int]]]:
        """Yield each digest, and the places of the requests that have it, by their times."""
        times = self.first_times
        places = [place for place in range(len(self)) if self.is_comparable(place)]
        places.sort(key=lambda place: (self.digest(place), times[place]))
        return ((digest, list(same)) for digest, same in groupby(places, key=self.digest))


def _digest(request: bytes, signal: Signal, first_time: int) -> bytes:
    """Hash a request as if its first record were at a time that is the same for all.

    Returns:
        Nothing where it cannot be moved so.
    """
    if not first_time:
        # Without a time of any record it must not hold one elsewhere either.
        moved = otlp.shift_timestamps(request, signal, 1)
        is_timeless = not isinstance(moved, Failure) and moved.unwrap() == request
        return _hashed(signal, request) if is_timeless else b""
    shifted = otlp.shift_timestamps(request, signal, _MIDDLE_NS - first_time)
    return b"" if isinstance(shifted, Failure) else _hashed(signal, shifted.unwrap())


def _hashed(signal: Signal, request: bytes) -> bytes:
    key = signal.encode()
    return hashlib.blake2b(request, digest_size=_DIGEST_BYTES, key=key).digest()


def _services(request: bytes, signal: Signal, facts: otlp.RequestFacts) -> Services | None:
    """Count the records of each service; None where that takes more than the bytes.

    A container without records may be one with unknown fields, which are looked at as such.
    """
    names = [*facts.services, ""] if facts.record_count else []
    counts: Services = Counter()
    for name in names:
        if len(names) == 1:
            counts[signal, name] = facts.record_count
            break
        part = otlp.select_services(request, signal, name.__eq__)
        scanned = None if isinstance(part, Failure) else otlp.scan(part.unwrap(), signal)
        if scanned is None or isinstance(scanned, Failure):
            return None
        if scanned.unwrap().record_count:
            counts[signal, name] = scanned.unwrap().record_count
    is_whole = counts.total() == facts.record_count and counts
    return counts if is_whole else None

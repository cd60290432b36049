"""Which request of B is which request of A, where each may have been moved by its own shift."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from otlp_replay.verify.recording import Column, Recording, shared_times, sorted_rows
from otlp_replay.verify.shifts import find_shift

_DIGEST_BYTES: Final = 16
_TIME_BYTES: Final = 9
_SCORED_PAIRS: Final = 1 << 20
_WHOLE: Final = 1 << 32

_Tokens: TypeAlias = Mapping[bytes, Sequence[int]]
"""Which requests hold a record with a digest."""


@attrs.frozen
class Arrived:
    """A request of B, and how much later than in A its records are."""

    request: int
    shift_ns: int


@attrs.frozen
class Pair:
    """A request of A and what arrived of it.

    Attributes:
        request: which of A's requests.
        arrived: the request of B that is paired with it.
        again: further requests of B with the same content as `arrived`.
        is_same: it arrived with all its records, and all of them were moved alike.
    """

    request: int
    arrived: Arrived
    again: tuple[Arrived, ...]
    is_same: bool


@attrs.frozen
class Pairing:
    """How the requests of A and of B belong together; those without records are left out.

    Attributes:
        pairs: what belongs together, by the requests of A.
        alone_a: requests of A of which nothing arrived.
        alone_b: requests of B that no request of A is like.
    """

    pairs: tuple[Pair, ...]
    alone_a: tuple[int, ...]
    alone_b: tuple[int, ...]


@attrs.frozen
class _Content:
    """What a request holds, whatever its shift: `digest`; and its earliest time, 0 for none."""

    request: int
    digest: bytes
    first_time: int


def pair_requests(a: Recording, b: Recording) -> Pairing:
    """Pair every request of A with the request of B that is most like it.

    Requests are sets of records: neither their order nor the order within them matters. Requests
    of the same content are paired first, in the order of their times; what is left over of such a
    content in B arrived again. The others are paired by how many records they share, whole ones
    before those that share only their identity, the most alike first.
    """
    contents_a, contents_b = _contents(a), _contents(b)
    pairs, left_a, left_b = _pairs_of_same(contents_a, contents_b)
    left_b = _take_repeats(pairs, left_b)
    for one, other in _most_alike(a, left_a, b, left_b):
        pairs.append(_Draft(one, other, _shift_of_pair(a, one.request, b, other.request)))
    paired_a = {draft.original.request for draft in pairs}
    paired_b = {draft.arrived.request for draft in pairs}
    left_b = _take_repeats(pairs, [each for each in left_b if each.request not in paired_b])
    return Pairing(
        tuple(draft.finished() for draft in sorted(pairs, key=lambda d: d.original.request)),
        tuple(each.request for each in left_a if each.request not in paired_a),
        tuple(sorted(each.request for each in left_b)),
    )


@attrs.define
class _Draft:
    original: _Content
    arrived: _Content
    shift_ns: int
    again: list[Arrived] = attrs.field(factory=list[Arrived])

    def finished(self) -> Pair:
        return Pair(
            self.original.request,
            Arrived(self.arrived.request, self.shift_ns),
            tuple(self.again),
            self.original.digest == self.arrived.digest,
        )


def _contents(recording: Recording) -> list[_Content]:
    return [
        _content(recording, request)
        for request in range(recording.request_count)
        if recording.rows_of(request)
    ]


def _content(recording: Recording, request: int) -> _Content:
    rows = recording.rows_of(request)
    base_times = recording.base_times
    first_time = min((base_times[row] for row in rows if base_times[row]), default=0)
    marks = sorted(recording.fingerprint(row) + _mark(base_times[row], first_time) for row in rows)
    digest = hashlib.blake2b(b"".join(marks), digest_size=_DIGEST_BYTES).digest()
    return _Content(request, digest, first_time)


def _mark(time: int, first_time: int) -> bytes:
    """Say how long after the first time a record is, apart from being unset."""
    return (time - first_time + 1 if time else 0).to_bytes(_TIME_BYTES)


def _pairs_of_same(
    contents_a: Iterable[_Content], contents_b: Iterable[_Content]
) -> tuple[list[_Draft], list[_Content], list[_Content]]:
    waiting: dict[bytes, list[_Content]] = {}
    for other in sorted(contents_b, key=_by_time, reverse=True):
        waiting.setdefault(other.digest, []).append(other)
    pairs: list[_Draft] = []
    left_a: list[_Content] = []
    for one in sorted(contents_a, key=_by_time):
        partners = waiting.get(one.digest)
        if partners:
            other = partners.pop()
            pairs.append(_Draft(one, other, other.first_time - one.first_time))
        else:
            left_a.append(one)
    left_a.sort(key=lambda each: each.request)
    return pairs, left_a, [each for others in waiting.values() for each in others]


def _by_time(content: _Content) -> tuple[int, int]:
    return content.first_time, content.request


def _take_repeats(pairs: Iterable[_Draft], left_b: Iterable[_Content]) -> list[_Content]:
    """Add the requests that hold what a paired one holds to that pair; return the others."""
    by_content: dict[bytes, _Draft] = {}
    by_content_and_time: dict[tuple[bytes, int], _Draft] = {}
    for draft in pairs:
        by_content.setdefault(draft.arrived.digest, draft)
        by_content_and_time.setdefault((draft.arrived.digest, draft.arrived.first_time), draft)
    others: list[_Content] = []
    for content in left_b:
        twin = by_content_and_time.get(
            (content.digest, content.first_time), by_content.get(content.digest)
        )
        if twin is None:
            others.append(content)
            continue
        shift_ns = twin.shift_ns + content.first_time - twin.arrived.first_time
        twin.again.append(Arrived(content.request, shift_ns))
    return others


def _most_alike(
    a: Recording, left_a: Sequence[_Content], b: Recording, left_b: Sequence[_Content]
) -> Iterator[tuple[_Content, _Content]]:
    """Yield pairs of requests that share a record or an identity, each request once."""
    free_a = {content.request: content for content in left_a}
    free_b = {content.request: content for content in left_b}
    common: list[tuple[Sequence[int], Sequence[int]]] = []
    scores: Counter[tuple[int, int]] = Counter()
    for column, weight in ((Recording.fingerprint, _WHOLE), (Recording.identity, 1)):
        tokens_a, tokens_b = _tokens(a, free_a, column), _tokens(b, free_b, column)
        shared = [(tokens_a[token], tokens_b[token]) for token in tokens_a if token in tokens_b]
        shared.sort(key=lambda holders: len(holders[0]) * len(holders[1]))
        budget = _SCORED_PAIRS
        for holders_a, holders_b in shared:
            budget -= len(holders_a) * len(holders_b)
            if budget < 0:
                common.append((holders_a, holders_b))
                continue
            for one in holders_a:
                for other in holders_b:
                    scores[one, other] += weight
    ranked = sorted(scores, key=lambda pair: (-scores[pair], abs(pair[0] - pair[1]), pair))
    for one, other in ranked:
        if one in free_a and other in free_b:
            yield free_a.pop(one), free_b.pop(other)
    # What so many requests share says little: it pairs, in order, those that nothing else did.
    for holders_a, holders_b in common:
        rest_a = [each for each in holders_a if each in free_a]
        rest_b = [each for each in holders_b if each in free_b]
        for one, other in zip(rest_a, rest_b, strict=False):
            yield free_a.pop(one), free_b.pop(other)


def _tokens(recording: Recording, requests: Iterable[int], column: Column) -> _Tokens:
    holders: dict[bytes, array[int]] = {}
    for request in sorted(requests):
        for token in dict.fromkeys(column(recording, row) for row in recording.rows_of(request)):
            holders.setdefault(token, array("Q")).append(request)
    return holders


def _shift_of_pair(a: Recording, request_a: int, b: Recording, request_b: int) -> int:
    """Find how a request was moved by what it shares whole, or else by what is named alike."""
    for column in (Recording.fingerprint, Recording.identity):
        rows_a = sorted_rows(a, a.rows_of(request_a), column)
        rows_b = sorted_rows(b, b.rows_of(request_b), column)
        found = find_shift(shared_times(a, rows_a, b, rows_b, column))
        if found is not None:
            return found
    return 0

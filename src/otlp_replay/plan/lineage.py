"""Which requests of a loop depend on earlier ones, read from their payloads in bounded memory."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, overload

import anyio.to_thread
import attrs

from otlp_capture import otlp
from otlp_capture.otlp import Ties
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import RequestReader, StoredRequest
from otlp_capture.storage import S3Storage
from otlp_replay.errors import ReplayError, as_replay_error
from otlp_replay.plan.columns import Requests

MOST_SPANS: Final = 200_000
"""So many of the latest spans are remembered at the least, and twice as many at the most."""
_INLINE_BYTES: Final = 32_768


@attrs.frozen(eq=False)
class Lineage:
    """The dependencies of one loop, one row a request, in two columns.

    Attributes:
        ends: for each request, where its dependencies end in *targets*.
        targets: the earlier requests that hold a parent of one of its spans, ascending.
        with_parents_elsewhere: how many requests have spans whose parent is in another request,
            or in none.
        with_cumulative_points: how many have points that go on from those before them.
        forgotten_spans: how many spans were too far back to be looked for.
    """

    ends: "array[int]"
    targets: "array[int]"
    with_parents_elsewhere: int = 0
    with_cumulative_points: int = 0
    forgotten_spans: int = 0

    def of(self, row: int) -> Sequence[int]:
        """Return what a request depends on."""
        return self.targets[self.ends[row - 1] if row else 0 : self.ends[row]]

    def batches(self) -> "array[int]":
        """Return where each run of requests ends in which none depends on another of them."""
        ends = array("Q")
        start = 0
        for row in range(len(self.ends)):
            depends_on = self.of(row)
            if depends_on and depends_on[-1] >= start:
                ends.append(row)
                start = row
        if len(self.ends) > start:
            ends.append(len(self.ends))
        return ends


class LineageBuilder:
    """Finds out what requests depend on, one after the other in their order.

    Args:
        most_spans: how many of the latest spans are remembered at the least.
    """

    def __init__(self, most_spans: int = MOST_SPANS) -> None:
        self._most_spans = most_spans
        self._latest, self._before = dict[bytes, int](), dict[bytes, int]()
        self._ends, self._targets = array("Q"), array("Q")
        self._with_parents = self._with_points = self._forgotten = 0

    def add(self, ties: Ties) -> None:
        """Add the next request."""
        row = len(self._ends)
        holders = {self._latest.get(span, self._before.get(span)) for span in ties.parents}
        self._targets.extend(sorted(holder for holder in holders if holder is not None))
        self._ends.append(len(self._targets))
        self._with_parents += bool(ties.parents)
        self._with_points += bool(ties.cumulative_points)
        for span in ties.spans:
            self._latest[span] = row
        if len(self._latest) >= self._most_spans:
            self._forgotten += len(self._before)
            self._before, self._latest = self._latest, {}

    def done(self) -> Lineage:
        """Return what was found."""
        return Lineage(
            self._ends, self._targets, self._with_parents, self._with_points, self._forgotten
        )


def lineage_of(ties: Iterable[Ties]) -> Lineage:
    """Return what requests depend on, by what ties each to others.

    >>> from otlp_capture.otlp import Ties
    >>> found = lineage_of([Ties(frozenset({b"a"})), Ties(parents=frozenset({b"a", b"b"}))])
    >>> list(found.of(0)), list(found.of(1)), found.batches()
    ([], [0], array('Q', [1, 2]))
    """
    builder = LineageBuilder()
    for each in ties:
        builder.add(each)
    return builder.done()


async def read_lineage(storage: S3Storage, requests: Requests) -> Outcome[Lineage, ReplayError]:
    """Read traces and metrics, and return what their requests depend on; logs depend on nothing.

    Fails with:
        DataCorrupted, DecompressionFailure: a request is damaged.
        StorageFailure: the store did not answer well.
    """
    reader, builder = RequestReader(storage), LineageBuilder()
    for row in range(len(requests)):
        if requests.signal(row) == "logs":
            builder.add(Ties())
            continue
        session_id = requests.session_id(row)
        read = await reader.read(requests.ref(row))
        if isinstance(read, Failure):
            return Failure(as_replay_error(session_id, read.failure()))
        builder.add(await _ties(read.unwrap()))
    return Success(builder.done())


async def _ties(stored: StoredRequest) -> Ties:
    if len(stored.request) <= _INLINE_BYTES:
        found = otlp.ties_of(stored.request, stored.signal)
    else:
        found = await anyio.to_thread.run_sync(otlp.ties_of, stored.request, stored.signal)
    # What cannot be read is sent as it is, and ties nothing.
    return found.value_or(Ties())


class Batches(Sequence[range]):
    """Runs of a replay's numbers; none in a run depends on another one of it.

    All of a run may be sent in parallel, once what comes before it has arrived.

    Args:
        ends: where the runs of one loop end, without copies.
        loops: how many loops there are.
        copies: how many copies of each request.
        count: how many requests the replay has.
    """

    def __init__(self, ends: "array[int]", loops: int, copies: int, count: int) -> None:
        self._ends, self._copies, self._count = ends, copies, count
        self._per_loop = ends[-1] if ends else 0
        whole, within = divmod(count, self._per_loop * copies) if ends else (0, 0)
        begun = bisect_right(ends, (within - 1) // copies) + 1 if within else 0
        self._length = min(whole, loops) * len(ends) + begun

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> range: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[range]: ...
    def __getitem__(self, index: int | slice) -> range | Sequence[range]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(self._length)[index]
        loop, run = divmod(place, len(self._ends))
        start = self._ends[run - 1] if run else 0
        base = loop * self._per_loop
        end = (base + self._ends[run]) * self._copies
        return range((base + start) * self._copies, min(end, self._count))

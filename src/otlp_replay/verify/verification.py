"""The comparison of two recordings, from the sessions to the report."""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import anyio.to_thread
import attrs

from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.storage import S3Storage
from otlp_replay.errors import ReplayError
from otlp_replay.verify.asked import Asked, each_id, each_shift, wrong_argument, wrong_sessions
from otlp_replay.verify.by_constant import (
    Apart,
    Compared,
    Memory,
    Rows,
    compare_rows,
    read_rows,
    set_apart,
    shifts_of_rows,
)
from otlp_replay.verify.by_request import compare_by_request
from otlp_replay.verify.comparison import Comparison, ShiftFound, ShiftMode
from otlp_replay.verify.contents import Contents
from otlp_replay.verify.declared import (
    Declarations,
    Repeated,
    Resent,
    Selects,
    wrong_declaration,
)
from otlp_replay.verify.errors import ComparisonTooLarge, NoScratchSpace, VerifyError
from otlp_replay.verify.examples import Witness, count_fields, describe_examples
from otlp_replay.verify.mutations import Mutation
from otlp_replay.verify.progress import Progress, Watch
from otlp_replay.verify.reading import Source, into_recording, open_source, read_requests
from otlp_replay.verify.recording import RECORDED_BYTES, Recording
from otlp_replay.verify.second_look import find_repeated, is_the_best_shift
from otlp_replay.verify.settling import Left, equal_by_request, proposed_shifts, set_against
from otlp_replay.verify.tally import Tally
from otlp_replay.verify.whole import HELD_BYTES, Services, WholeRequests

DEFAULT_MAX_EXAMPLES: Final = 20
DEFAULT_MEMORY_BYTES: Final = 256 << 20


async def verify(
    storage: S3Storage,
    session_a: str | Sequence[str],
    session_b: str | Sequence[str],
    *,
    storage_b: S3Storage | None = None,
    shift: ShiftMode = "auto",
    shift_ns: int | Sequence[int] | None = None,
    signals: Collection[Signal] = SIGNALS,
    remapped: Resent | None = None,
    mutations: Sequence[Mutation] = (),
    selected: Selects | None = None,
    limit: int | None = None,
    max_examples: int = DEFAULT_MAX_EXAMPLES,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    temporary_folder: Path | None = None,
    watch: Watch | None = None,
) -> Outcome[Comparison, VerifyError]:
    """Compare what arrived with what was captured.

    The recordings are equal when their multisets of records are, each record in its resource and
    scope context, what is declared carried out on A. How records are batched, and resources and
    scopes grouped, does not matter, nor does the order of attributes. Nothing else is masked: every
    other field counts, unknown ones too. Sessions that are still recorded are compared as they
    stand, and named in `Comparison.active`.

    `auto` and `constant` find the one shift under which the most records are equal, 0 where none
    is; of several, the one nearest to 0, then the one forward in time. Where A was sent in loops,
    each has a shift of its own. `per-request` pairs each request with the one that is most like it
    and finds the shift of each pair, so it tells nothing equal that was batched anew; one shift is
    for all records of a request, and a record that moved otherwise differs. Times that are unset
    stay unset under any shift.

    Requests that are equal byte by byte but for the shift are set against each other first, without
    being parsed. The records of the others are sorted; beyond *memory_bytes* in a temporary file,
    so sessions may be larger than memory.

    Args:
        storage: where the sessions are.
        session_a: the original; of several ids, those sessions together.
        session_b: what arrived; likewise.
        storage_b: where *session_b* is, if elsewhere.
        shift: what B's timestamps may differ by: `none` by nothing, `constant` by *shift_ns* or the
            constant that is found, `auto` by the constant that is found, `per-request` by one
            shift a request.
        shift_ns: the constant, in nanoseconds that B is later than A; only with `constant`. For a
            session that was sent in loops, one for each loop, or one for all.
        signals: what to compare.
        remapped: how often A was sent, and with which ids: `RemappedIds` or `Repeated`.
        mutations: what was changed on the way, in this order.
        selected: which part of A was sent.
        limit: how many requests of this part were sent at the most, the first; None: all.
        max_examples: how many differences of each kind to describe.
        memory_bytes: how much memory the comparison may take.
        temporary_folder: where it puts what does not fit; None: where temporary files go.
        watch: is told how many requests were read, and of how many as far as is known: some may
            have to be read again.

    Fails with:
        InvalidConfig: an argument has a value that it cannot have.
        InvalidSessionId, SessionNotFound: there is no such session.
        DataCorrupted, DecompressionFailure: a session is damaged, so it cannot be told.
        StorageFailure: a store did not answer well.
        NoScratchSpace: records do not fit into memory, nor into a temporary file.
        ComparisonTooLarge: `per-request` needs more memory than it may take.
    """
    declared = Declarations(
        selected=selected,
        limit=limit,
        mutations=tuple(mutations),
        resent=remapped or Repeated(),
    )
    asked = Asked(shift, each_shift(shift_ns), declared.resent.loops, max_examples)
    wrong = (
        wrong_declaration(declared)
        or wrong_argument(asked, signals, memory_bytes)
        or wrong_sessions("session_a", session_a)
        or wrong_sessions("session_b", session_b)
    )
    if wrong is not None:
        return Failure(wrong)
    opened_a = await open_source(storage, each_id(session_a), signals, declared)
    if isinstance(opened_a, Failure):
        return opened_a
    in_b = storage if storage_b is None else storage_b
    opened_b = await open_source(in_b, each_id(session_b), signals, Declarations())
    if isinstance(opened_b, Failure):
        return opened_b
    a, b = opened_a.unwrap(), opened_b.unwrap()
    try:
        with ExitStack() as files:
            memory = Memory(files, memory_bytes, temporary_folder)
            progress = Progress(len(a.refs) + len(b.refs), watch)
            one, other = (attrs.evolve(side, progress=progress) for side in (a, b))
            return await _Comparing(one, other, asked, memory).run()
    except OSError as fault:
        # A store's faults are values: only the temporary file raises.
        return Failure(NoScratchSpace(temporary_folder, fault.strerror or str(fault)))


class _Comparing:
    """One comparison: by whole requests, then by records as far as that is needed."""

    def __init__(self, a: Source, b: Source, asked: Asked, memory: Memory) -> None:
        self._a, self._b, self._asked, self._memory = a, b, asked, memory

    async def run(self) -> Outcome[Comparison, VerifyError]:
        request_count = self._a.request_count + self._b.request_count
        if request_count * HELD_BYTES <= self._memory.most_bytes // 2:
            settled = await self._by_whole_requests()
            if isinstance(settled, Failure):
                return settled
            found = settled.unwrap()
            if found is not None:
                return Success(found)
        if self._asked.mode == "per-request":
            return await self._by_pairs()
        return await self._by_records()

    async def _by_whole_requests(self) -> Outcome[Comparison | None, VerifyError]:
        """Return the comparison where it can be told by whole requests and a few records."""
        a, b = WholeRequests(), WholeRequests()
        for source, whole in ((self._a, a), (self._b, b)):
            read = await read_requests(source, whole.take)
            if isinstance(read, Failure):
                return read
        if self._asked.mode == "per-request":
            shift = await anyio.to_thread.run_sync(equal_by_request, a, b)
            if shift is None:
                return Success(None)
            counts = a.services(bytearray(b"\1") * len(a))
            return Success(self._all_equal(shift, counts, len(a), len(b)))
        left = await anyio.to_thread.run_sync(self._set_against, a, b)
        if left.is_nothing:
            shift = self._asked.found(left.shifts)
            return Success(self._all_equal(shift, left.settled, len(a), len(b)))
        if 2 * (sum(left.in_a) + sum(left.in_b)) > len(a) + len(b):
            return Success(None)
        return await self._by_what_is_left(left, len(a), len(b))

    def _set_against(self, a: WholeRequests, b: WholeRequests) -> Left:
        shifts = self._asked.known_shifts()
        if shifts is None:
            shifts = proposed_shifts(a, b, self._asked.loops)
        return set_against(a, b, shifts)

    async def _by_what_is_left(
        self, left: Left, requests_a: int, requests_b: int
    ) -> Outcome[Comparison | None, ReplayError]:
        """Compare the records of requests without an equal; None where the others are needed."""
        a = await read_rows(self._a, self._memory, left.in_a)
        if isinstance(a, Failure):
            return a
        b = await read_rows(self._b, self._memory, left.in_b)
        if isinstance(b, Failure):
            return b
        rows_a, rows_b = a.unwrap(), b.unwrap()
        apart = await anyio.to_thread.run_sync(
            set_apart, rows_a, rows_b, left.shifts, self._memory, self._asked.max_examples
        )
        looked = await self._looked_again(left, apart)
        if isinstance(looked, Failure):
            return looked
        found = looked.unwrap()
        if found is None:
            rows_a.rows.clear()
            rows_b.rows.clear()
            return Success(None)
        await anyio.to_thread.run_sync(found.name)
        return await self._report(
            found.compared,
            self._asked.found(left.shifts),
            _Besides(left.settled, requests_a, requests_b),
        )

    async def _looked_again(self, left: Left, apart: Apart) -> Outcome[Apart | None, ReplayError]:
        """Ask the requests that are equal what they say of the records that are left."""
        differing = len(apart.left.missing) + len(apart.left.extra) + apart.compared.tally.total()
        if not differing:
            return Success(apart)
        if self._asked.known_shifts() is None:
            records = len(apart.compared.a) + len(apart.compared.b)
            best = await is_the_best_shift(self._a, left, records)
            if isinstance(best, Failure):
                return best
            if not best.unwrap():
                return Success(None)
        return await find_repeated(self._a, left, apart, self._memory)

    def _all_equal(
        self, shift: ShiftFound, counts: Services, requests_a: int, requests_b: int
    ) -> Comparison:
        nothing = Tally(Contents(), Contents(), 0)
        by_service = nothing.by_service(counts, counts)
        return Comparison(
            missing=0,
            extra=0,
            duplicated=0,
            changed=0,
            records_a=counts.total(),
            records_b=counts.total(),
            requests_a=requests_a,
            requests_b=requests_b,
            shift=shift,
            by_service=by_service,
            differences=(),
            active=self._active(),
        )

    def _active(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._a.active, *self._b.active)))

    async def _by_records(self) -> Outcome[Comparison, ReplayError]:
        a = await read_rows(self._a, self._memory, None)
        if isinstance(a, Failure):
            return a
        b = await read_rows(self._b, self._memory, None)
        if isinstance(b, Failure):
            return b
        rows = (a.unwrap(), b.unwrap())
        compared = await anyio.to_thread.run_sync(self._compare, *rows)
        return await self._report(compared, self._asked.found(compared.shifts))

    def _compare(self, a: Rows, b: Rows) -> Compared:
        shifts = self._asked.known_shifts()
        if shifts is None:
            shifts = shifts_of_rows(a, b, self._asked.loops)
        return compare_rows(a, b, shifts, self._memory, self._asked.max_examples)

    async def _by_pairs(self) -> Outcome[Comparison, VerifyError]:
        needed_bytes = (self._a.record_count + self._b.record_count) * RECORDED_BYTES
        if needed_bytes > self._memory.most_bytes:
            return Failure(ComparisonTooLarge(needed_bytes, self._memory.most_bytes))
        a, b = Recording(), Recording()
        for source, recording in ((self._a, a), (self._b, b)):
            read = await read_requests(source, into_recording(recording))
            if isinstance(read, Failure):
                return read
        tally = Tally(a.contents, b.contents, self._asked.max_examples)
        shift = await anyio.to_thread.run_sync(compare_by_request, a, b, tally)
        return await self._report(Compared(a.contents, b.contents, tally, ()), shift)

    async def _report(
        self, compared: Compared, shift: ShiftFound, besides: "_Besides | None" = None
    ) -> Outcome[Comparison, ReplayError]:
        tally, in_a, in_b = compared.tally, compared.a, compared.b
        a, b = Witness(self._a, in_a), Witness(self._b, in_b)
        described = await describe_examples(a, b, tally)
        if isinstance(described, Failure):
            return described
        by_field = await count_fields(a, b, tally)
        if isinstance(by_field, Failure):
            return by_field
        besides = besides or _Besides(Counter(), in_a.request_count, in_b.request_count)
        by_service = tally.by_service(
            besides.equal + in_a.record_counts(), besides.equal + in_b.record_counts()
        )
        return Success(
            Comparison(
                missing=tally.count("missing"),
                extra=tally.count("extra"),
                duplicated=tally.count("duplicated"),
                changed=tally.count("changed"),
                records_a=sum(row.records_a for row in by_service),
                records_b=sum(row.records_b for row in by_service),
                requests_a=besides.requests_a,
                requests_b=besides.requests_b,
                shift=shift,
                by_service=by_service,
                by_field=by_field.unwrap(),
                differences=described.unwrap(),
                active=self._active(),
            )
        )


@attrs.frozen
class _Besides:
    """What is on both sides besides the records that were compared, and how many requests are."""

    equal: Services
    requests_a: int
    requests_b: int

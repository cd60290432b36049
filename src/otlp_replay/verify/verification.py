"""The comparison of two recordings, from the two sessions to the report."""

from collections.abc import Collection
from typing import Final, get_args

import anyio.to_thread

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import RequestReader
from otlp_capture.storage import S3Storage
from otlp_replay.errors import ReplayError
from otlp_replay.verify.comparison import Comparison, ShiftFound, ShiftMode
from otlp_replay.verify.examples import Source, describe_examples
from otlp_replay.verify.matching import RowDifference, TimeOfRow, row_differences
from otlp_replay.verify.pairing import Pair, pair_requests
from otlp_replay.verify.reading import read_recording
from otlp_replay.verify.recording import Column, Recording, shared_times, sorted_rows
from otlp_replay.verify.shifts import find_shift
from otlp_replay.verify.tally import Tally

DEFAULT_MAX_EXAMPLES: Final = 20
_FINGERPRINT: Final[Column] = Recording.fingerprint


async def verify(
    storage: S3Storage,
    session_a: str,
    session_b: str,
    *,
    storage_b: S3Storage | None = None,
    shift: ShiftMode = "auto",
    shift_ns: int | None = None,
    signals: Collection[Signal] = SIGNALS,
    max_examples: int = DEFAULT_MAX_EXAMPLES,
) -> Outcome[Comparison, ReplayError]:
    """Compare what arrived with what was captured.

    The recordings are equal when their multisets of records are, each record in its resource and
    scope context, the declared shift undone. How records are batched, and resources and scopes
    grouped, does not matter, nor does the order of attributes. Nothing else is masked: every other
    field counts, unknown ones too. Sessions that are still recorded are compared as they stand.

    `auto` and `constant` find the one shift under which the most records are equal, 0 where none
    is; of several, the one nearest to 0, then the one forward in time. `per-request` pairs each
    request with the one that is most like it and finds the shift of each pair, so it tells nothing
    equal that was batched anew; one shift is for all records of a request, and a record that moved
    otherwise differs. Times that are unset stay unset under any shift.

    Args:
        storage: where the sessions are.
        session_a: the original.
        session_b: what arrived.
        storage_b: where *session_b* is, if elsewhere.
        shift: what B's timestamps may differ by: `none` by nothing, `constant` by *shift_ns* or the
            constant that is found, `auto` by the constant that is found, `per-request` by one
            shift a request.
        shift_ns: the constant, in nanoseconds that B is later than A; only with `constant`.
        signals: what to compare.
        max_examples: how many differences of each kind to describe.

    Fails with:
        InvalidConfig: an argument has a value that it cannot have.
        InvalidSessionId, SessionNotFound: there is no such session.
        DataCorrupted, DecompressionFailure: a session is damaged, so it cannot be told.
        StorageFailure: a store did not answer well.
    """
    wrong = _wrong_argument(shift, shift_ns, signals, max_examples)
    if wrong is not None:
        return Failure(wrong)
    other_storage = storage if storage_b is None else storage_b
    reader_a, reader_b = RequestReader(storage), RequestReader(other_storage)
    read_a = await read_recording(storage, session_a, signals, reader_a)
    if isinstance(read_a, Failure):
        return read_a
    read_b = await read_recording(other_storage, session_b, signals, reader_b)
    if isinstance(read_b, Failure):
        return read_b
    a, b = read_a.unwrap(), read_b.unwrap()
    tally = Tally(a, b, max_examples)
    shift_found = await anyio.to_thread.run_sync(_compare, a, b, shift, shift_ns, tally)
    described = await describe_examples(Source(a, reader_a), Source(b, reader_b), tally.examples())
    if isinstance(described, Failure):
        return described
    by_service = tally.by_service()
    return Success(
        Comparison(
            missing=tally.count("missing"),
            extra=tally.count("extra"),
            duplicated=tally.count("duplicated"),
            changed=tally.count("changed"),
            records_a=sum(row.records_a for row in by_service),
            records_b=sum(row.records_b for row in by_service),
            requests_a=a.request_count,
            requests_b=b.request_count,
            shift=shift_found,
            by_service=by_service,
            differences=described.unwrap(),
        )
    )


def _wrong_argument(
    shift: str, shift_ns: int | None, signals: Collection[str], max_examples: int
) -> InvalidConfig | None:
    if shift not in get_args(ShiftMode):
        return InvalidConfig("shift", shift, f"use one of {', '.join(get_args(ShiftMode))}")
    if shift_ns is not None and shift != "constant":
        allowed = f"a shift is given only with the shift 'constant', not with {shift!r}"
        return InvalidConfig("shift_ns", shift_ns, allowed)
    if not signals or not set(signals) <= set(SIGNALS):
        allowed = f"name at least one of {', '.join(SIGNALS)}, and nothing else"
        return InvalidConfig("signals", tuple(signals), allowed)
    if max_examples < 0:
        return InvalidConfig("max_examples", max_examples, "use 0 or more")
    return None


def _compare(
    a: Recording, b: Recording, mode: ShiftMode, shift_ns: int | None, tally: Tally
) -> ShiftFound:
    """Count the differences into *tally*, and return the shift that was undone."""
    if mode == "per-request":
        return _compare_by_request(a, b, tally)
    rows_a = sorted_rows(a, range(len(a)), _FINGERPRINT)
    rows_b = sorted_rows(b, range(len(b)), _FINGERPRINT)
    constant = 0 if mode == "none" else shift_ns
    if constant is None:
        constant = find_shift(shared_times(a, rows_a, b, rows_b, _FINGERPRINT)) or 0
    tally.add(row_differences(a, b, rows_a, rows_b, _undoing(b, constant)))
    return ShiftFound(mode, constant, constant, constant)


def _undoing(recording: Recording, shift_ns: int) -> TimeOfRow:
    base_times = recording.base_times

    def undone(row: int) -> int:
        time = base_times[row]
        return time - shift_ns if time else 0

    return undone


def _compare_by_request(a: Recording, b: Recording, tally: Tally) -> ShiftFound:
    pairing = pair_requests(a, b)
    for pair in pairing.pairs:
        if not pair.is_same or pair.again:
            _compare_pair(a, b, pair, tally)
    for request in pairing.alone_a:
        tally.add(RowDifference("missing", row_a=row) for row in a.rows_of(request))
    for request in pairing.alone_b:
        tally.add(RowDifference("extra", row_b=row) for row in b.rows_of(request))
    shifts = [
        arrived.shift_ns
        for pair in pairing.pairs
        for arrived in (pair.arrived, *pair.again)
        if any(b.base_times[row] for row in b.rows_of(arrived.request))
    ]
    least, most = min(shifts, default=0), max(shifts, default=0)
    return ShiftFound("per-request", least if least == most else None, least, most)


def _compare_pair(a: Recording, b: Recording, pair: Pair, tally: Tally) -> None:
    undone: dict[int, int] = {}
    for arrived in (pair.arrived, *pair.again):
        undo = _undoing(b, arrived.shift_ns)
        undone.update((row, undo(row)) for row in b.rows_of(arrived.request))
    rows_a = sorted_rows(a, a.rows_of(pair.request), _FINGERPRINT)
    rows_b = sorted_rows(b, undone, _FINGERPRINT)
    tally.add(row_differences(a, b, rows_a, rows_b, undone.__getitem__))

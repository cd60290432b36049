"""Laws of the comparison of two recordings, against a slow oracle that shares no code with it."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_replay.verify import Comparison, ShiftFound, ShiftMode, verify
from otlp_replay.verify.shifts import find_shift
from tests.laws.test_canonical_record_laws import shuffle_attributes
from tests.plain_records import (
    Case,
    atoms,
    equal_by_request,
    equal_under_a_constant,
    first_time,
    plain_records,
)
from tests.sessions import arriving, opened_memory, write_session
from tests.strategies import LEVELS, NOW, REQUEST_TYPES, otlp_requests
from tests.walks import parse

MODES: tuple[ShiftMode, ...] = ("auto", "none", "constant", "per-request")


def small_record(
    signal: Signal, service: str, name: str, time: int, other_time: int, keys: Sequence[str]
) -> bytes:
    resources, scopes, items = LEVELS[signal]
    message = REQUEST_TYPES[signal]()
    container = getattr(message, resources).add()
    container.resource.attributes.add(key="service.name").value.string_value = service
    item = getattr(getattr(container, scopes).add(), items).add()
    if signal == "traces":
        record = item
        record.name, record.span_id = name, name.encode() * 8
        record.start_time_unix_nano = time
        record.events.add(time_unix_nano=other_time)
    elif signal == "metrics":
        item.name = name
        record = item.sum.data_points.add(time_unix_nano=time, start_time_unix_nano=other_time)
    else:
        record = item
        record.body.string_value = name
        record.time_unix_nano, record.observed_time_unix_nano = time, other_time
    for key in keys:
        record.attributes.add(key=key).value.string_value = name
    return bytes(message.SerializeToString())


small_times = st.sampled_from([0, NOW, NOW + 1, NOW + 2, NOW + 10])
small_requests = st.sampled_from(SIGNALS).flatmap(
    lambda signal: st.tuples(
        st.just(signal),
        st.lists(
            st.builds(
                small_record,
                st.just(signal),
                st.sampled_from(["cart", "checkout"]),
                st.sampled_from("ab"),
                small_times,
                small_times,
                st.permutations("xyz"),
            ),
            max_size=4,
        ).map(b"".join),
    )
)
"""Few different records, so that many are repeated or named alike."""

sessions = st.lists(st.one_of(small_requests, otlp_requests(unknown=st.just(b""))), max_size=5)
sessions_with_unknown_fields = st.lists(st.one_of(small_requests, otlp_requests()), max_size=5)
sessions_in_time = sessions.filter(lambda requests: first_time(requests) > 0)
shifts = st.integers(-(10**15), 10**15)
seeds = st.integers(0, 2**32)


def compared(a: Sequence[Case], b: Sequence[Case], **asked: Any) -> Comparison:
    async def work() -> Comparison:
        async with opened_memory() as storage:
            await write_session(storage, "a", arriving(a))
            await write_session(storage, "b", arriving(b))
            return or_raise(await verify(storage, "a", "b", **asked))

    return anyio.run(work)


def moved(requests: Sequence[Case], shift_ns: int) -> list[Case]:
    return [
        (signal, or_raise(otlp.shift_timestamps(request, signal, shift_ns)))
        for signal, request in requests
    ]


def moved_each(requests: Sequence[Case], shifts_ns: Sequence[int]) -> list[Case]:
    return [
        each
        for request, shift_ns in zip(requests, shifts_ns, strict=False)
        for each in moved([request], shift_ns)
    ]


def shuffled(requests: Sequence[Case], seed: int) -> list[Case]:
    shuffled_requests: list[Case] = []
    for signal, request in requests:
        message = parse(request, signal)
        shuffle_attributes(message, seed)
        shuffled_requests.append((signal, message.SerializeToString()))
    return shuffled_requests


def batched_anew(requests: Sequence[Case], seed: int) -> list[Case]:
    """Put the records, each with everything around it, into other requests in another order."""
    order = random.Random(seed)
    batches: list[Case] = []
    for signal in SIGNALS:
        rest = [request for each, request in atoms(requests) if each == signal]
        order.shuffle(rest)
        while rest:
            size = order.randint(1, len(rest))
            # Protobuf messages that are laid end to end are one message.
            batches.append((signal, b"".join(rest[:size])))
            rest = rest[size:]
    order.shuffle(batches)
    return batches


def has_a_time(case: Case) -> bool:
    return first_time([case]) > 0


class TestEqual:
    @pytest.mark.parametrize("mode", MODES)
    @settings(max_examples=50)
    @given(a=sessions_with_unknown_fields)
    def test_a_session_equals_itself(self, mode: ShiftMode, a: list[Case]) -> None:
        comparison = compared(a, a, shift=mode)

        records = sum(or_raise(otlp.scan(each, signal)).record_count for signal, each in a)
        assert comparison.equal
        assert comparison.shift == ShiftFound(mode, 0, 0, 0)
        assert (comparison.records_a, comparison.records_b) == (records, records)
        assert (comparison.requests_a, comparison.requests_b) == (len(a), len(a))

    @given(a=sessions_with_unknown_fields, shift_ns=shifts, seed=seeds)
    def test_a_constant_is_found_and_named_whatever_the_order_of_attributes(
        self, a: list[Case], shift_ns: int, seed: int
    ) -> None:
        found = shift_ns if first_time(a) else 0

        comparison = compared(a, shuffled(moved(a, shift_ns), seed))

        assert comparison.equal
        assert comparison.shift == ShiftFound("auto", found, found, found)

    @given(a=sessions, shift_ns=shifts, seed=seeds)
    def test_batches_and_groups_do_not_matter(
        self, a: list[Case], shift_ns: int, seed: int
    ) -> None:
        b = batched_anew(moved(a, shift_ns), seed)

        assert compared(a, b).equal
        assert compared(b, a).equal

    @given(a=sessions_with_unknown_fields, data=st.data(), seed=seeds)
    def test_each_request_may_have_its_own_shift(
        self, a: list[Case], data: st.DataObject, seed: int
    ) -> None:
        chosen = data.draw(st.lists(shifts, min_size=len(a), max_size=len(a)))
        b = shuffled(moved_each(a, chosen), seed)
        random.Random(seed).shuffle(b)

        comparison = compared(a, b, shift="per-request")

        assert comparison.equal
        assert comparison.shift.min_ns <= comparison.shift.max_ns
        assert (comparison.shift.ns is None) == (comparison.shift.min_ns != comparison.shift.max_ns)

    @given(a=sessions_in_time, shift_ns=shifts.filter(bool))
    def test_a_wrong_shift_never_says_equal(self, a: list[Case], shift_ns: int) -> None:
        b = moved(a, shift_ns)

        assert not compared(a, b, shift="none").equal
        assert not compared(a, b, shift="constant", shift_ns=shift_ns + 1).equal
        assert compared(a, b, shift="constant", shift_ns=shift_ns).equal


class TestOracle:
    @settings(max_examples=200)
    @given(pool=sessions, data=st.data())
    def test_every_mode_says_what_the_oracle_says(
        self, pool: list[Case], data: st.DataObject
    ) -> None:
        assume(pool)
        few = st.integers(-2, 2)
        parts = [*pool, *atoms(pool)]
        chosen = st.lists(st.sampled_from(parts), max_size=5)
        a = data.draw(chosen)
        b = data.draw(st.one_of(st.just(a), st.permutations(a), chosen))
        b = moved_each(b, data.draw(st.lists(few, min_size=len(b), max_size=len(b))))

        said = {mode: compared(a, b, shift=mode).equal for mode in MODES}

        is_constant = equal_under_a_constant(a, b)
        assert said == {
            "none": plain_records(a) == plain_records(b),
            "constant": is_constant,
            "auto": is_constant,
            "per-request": equal_by_request(a, b),
        }

    @given(a=sessions, b=sessions)
    def test_nothing_is_lost_between_two_recordings(self, a: list[Case], b: list[Case]) -> None:
        one, other = plain_records(a), plain_records(b)

        comparison = compared(a, b, shift="none")

        gone, come = one - other, other - one
        again = sum(count for record, count in come.items() if record in one)
        assert comparison.missing + comparison.changed == gone.total()
        assert comparison.extra + comparison.changed == come.total() - again
        assert comparison.duplicated == again
        assert (comparison.records_a, comparison.records_b) == (one.total(), other.total())


@attrs.frozen
class Fate:
    """What becomes of one record: copies in A, copies in B, and changed copies in B."""

    in_a: int
    in_b: int
    changed_in_b: int

    def counts(self) -> Counter[str]:
        missing = max(0, self.in_a - self.in_b)
        again = max(0, self.in_b - self.in_a)
        duplicated, extra = (again, 0) if self.in_a else (0, again)
        extra += self.changed_in_b
        changed = min(missing, extra)
        return Counter(
            missing=missing - changed,
            extra=extra - changed,
            duplicated=duplicated,
            changed=changed,
        )


fates = st.builds(Fate, st.integers(0, 2), st.integers(0, 3), st.integers(0, 2))


def named(atom: Case, number: int) -> Case:
    """Make a record one of a kind by what it is known by."""
    signal, request = atom
    message = parse(request, signal)
    record = record_of(message, atom)
    if signal == "traces":
        record.span_id = number.to_bytes(8)
    elif signal == "metrics":
        record.attributes.add(key="number").value.int_value = number
    else:
        record.body.int_value = number
    return signal, message.SerializeToString()


def changed(atom: Case) -> Case:
    """Change a record in a field by which it is not known."""
    signal, request = atom
    message = parse(request, signal)
    record = record_of(message, atom)
    if signal == "traces":
        record.name += "~"
    elif signal == "metrics":
        record.flags ^= 1
    else:
        record.severity_text += "~"
    return signal, message.SerializeToString()


def record_of(message: Any, atom: Case) -> Any:
    """Return the one record in *message*, to be changed in place."""
    signal, _ = atom
    if signal == "traces":
        return message.resource_spans[0].scope_spans[0].spans[0]
    if signal == "logs":
        return message.resource_logs[0].scope_logs[0].log_records[0]
    metric = message.resource_metrics[0].scope_metrics[0].metrics[0]
    return getattr(metric, metric.WhichOneof("data")).data_points[0]


class TestCounts:
    @settings(max_examples=200)
    @given(pool=sessions, data=st.data(), shift_ns=shifts, seed=seeds)
    def test_what_is_deleted_repeated_added_and_changed_is_counted_exactly(
        self, pool: list[Case], data: st.DataObject, shift_ns: int, seed: int
    ) -> None:
        records = [named(atom, number) for number, atom in enumerate(atoms(pool))]
        drawn = [(record, data.draw(fates)) for record in records]
        a = [record for record, fate in drawn for _ in range(fate.in_a)]
        b = [record for record, fate in drawn for _ in range(fate.in_b)]
        b += [changed(record) for record, fate in drawn for _ in range(fate.changed_in_b)]

        comparison = compared(
            batched_anew(a, seed),
            batched_anew(moved(b, shift_ns), seed + 1),
            shift="constant",
            shift_ns=shift_ns,
        )

        expected = sum((fate.counts() for _, fate in drawn), Counter[str]())
        kinds = ("missing", "extra", "duplicated", "changed")
        assert {kind: getattr(comparison, kind) for kind in kinds} == {
            kind: expected[kind] for kind in kinds
        }
        by_service = comparison.by_service
        for kind in ("records_a", "records_b", *kinds):
            assert sum(getattr(row, kind) for row in by_service) == getattr(comparison, kind)
        assert Counter(each.kind for each in comparison.differences) == Counter(
            {kind: min(20, expected[kind]) for kind in kinds}
        )
        for each in comparison.differences:
            assert (each.field is not None) == (each.kind == "changed")

    @given(a=sessions, data=st.data(), shift_ns=shifts)
    def test_losses_do_not_hide_the_constant(
        self, a: list[Case], data: st.DataObject, shift_ns: int
    ) -> None:
        records = atoms(a)
        kept = data.draw(st.lists(st.integers(0, 3), min_size=len(records), max_size=len(records)))
        b = [record for record, chance in zip(records, kept, strict=True) if chance]

        comparison = compared(records, moved(b, shift_ns))

        assert (comparison.missing, comparison.extra) == (len(records) - len(b), 0)
        assert (comparison.duplicated, comparison.changed) == (0, 0)

    @given(
        requests=st.lists(small_requests.filter(has_a_time), min_size=3, max_size=6),
        shift_ns=shifts,
        data=st.data(),
    )
    def test_a_record_that_moved_otherwise_than_its_request_shows(
        self, requests: list[Case], shift_ns: int, data: st.DataObject
    ) -> None:
        signal = requests[0][0]
        records = [
            named(atom, number)
            for number, atom in enumerate(atoms(requests))
            if atom[0] == signal and has_a_time(atom)
        ]
        together = [*records, *(named(records[0], 100 + number) for number in range(2))]
        astray = data.draw(st.integers(0, len(together) - 1))
        apart = [
            each
            for number, record in enumerate(together)
            for each in moved([record], shift_ns + (number == astray))
        ]

        comparison = compared(
            [(signal, b"".join(each for _, each in together))],
            [(signal, b"".join(each for _, each in apart))],
            shift="per-request",
        )

        assert comparison.shift == ShiftFound("per-request", shift_ns, shift_ns, shift_ns)
        assert (comparison.changed, comparison.missing, comparison.extra) == (1, 0, 0)
        assert comparison.differences[0].field is not None


times = st.lists(st.integers(0, 12), max_size=6)


class TestFindShift:
    @given(st.lists(st.tuples(times, times), max_size=4))
    def test_it_is_the_best_shift_the_nearest_to_0_and_rather_forward(
        self, shared: list[tuple[list[int], list[int]]]
    ) -> None:
        def equal_under(shift: int) -> int:
            return sum(
                (Counter(time + shift for time in one) & Counter(other)).total()
                for one, other in shared
            )

        candidates = {late - early for one, other in shared for early in one for late in other}
        best = min(
            candidates,
            key=lambda shift: (-equal_under(shift), abs(shift), shift < 0),
            default=None,
        )

        assert find_shift(shared) == best

    @settings(max_examples=10)
    @given(
        seed=seeds,
        shift_ns=shifts,
        count=st.integers(2_000, 4_000),
        lost_at_start=st.integers(0, 900),
        lost_at_end=st.integers(0, 900),
        extra=st.integers(0, 50),
    )
    def test_crowds_of_repeated_records_are_told_by_their_rhythm(
        self,
        seed: int,
        shift_ns: int,
        count: int,
        lost_at_start: int,
        lost_at_end: int,
        extra: int,
    ) -> None:
        order = random.Random(seed)
        one = [10**18 + beat * 10**9 + order.randint(0, 10**6) for beat in range(count)]
        other = [time + shift_ns for time in one[lost_at_start : count - lost_at_end]]
        other += [10**18 + order.randint(0, 10**12) for _ in range(extra)]

        assert find_shift([(one, other)]) == shift_ns

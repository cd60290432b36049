"""Laws of what a comparison may be told, and of how much memory it takes."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.otlp import (
    SIGNALS,
    DropAttribute,
    Edit,
    IdMapping,
    InvalidRequest,
    RenameAttribute,
    SetAttribute,
    SetText,
    Signal,
)
from otlp_capture.result import Outcome, Success, or_raise
from otlp_capture.sessions import FrameRef, SessionIndex, in_order
from otlp_replay.selection import Selection, Shard
from otlp_replay.verify import Comparison, RemappedIds, Repeated, ShiftMode
from tests.laws.test_verify_laws import (
    MODES,
    batched_anew,
    changed,
    compared,
    moved,
    named,
    seeds,
    sessions,
    sessions_in_time,
    shifts,
    small_requests,
)
from tests.plain_records import Case, atoms, plain_records
from tests.walks import messages_in, parse

TINY = 1 << 16
"""The least memory that a comparison can be given, in bytes: 128 records of a side."""
MANY = 10_000
FEW_REQUESTS = 120
"""More than are compared as wholes within the least memory."""


def findings(comparison: Comparison) -> dict[str, Any]:
    """Return all that is found, but for which of several equal records is told of."""
    document = comparison.to_json()
    described = [
        (each["kind"], each["record"], each["field"] and each["field"]["path"])
        for each in document.pop("differences")
    ]
    return {**document, "differences": Counter(described)}


class TestMemory:
    @pytest.mark.parametrize("mode", ["auto", "none", "constant"])
    @settings(max_examples=6)
    @given(pool=st.lists(small_requests, min_size=2, max_size=6), seed=seeds)
    def test_it_never_changes_what_is_found(
        self, mode: ShiftMode, pool: list[Case], seed: int
    ) -> None:
        order = random.Random(seed)
        many = [
            each
            for request in order.choices(pool, k=100)
            for each in moved([request], order.randint(0, 9))
        ]
        b = [each for each in batched_anew(many, seed) if order.random() < 0.9]
        b += [changed(each) for each in order.choices(atoms(many), k=9)] if atoms(many) else []

        within = compared(many, b, shift=mode, max_examples=MANY)
        beyond = compared(many, b, shift=mode, max_examples=MANY, memory_bytes=TINY)

        assert findings(beyond) == findings(within)

    @pytest.mark.parametrize("mode", ["auto", "constant"])
    @settings(max_examples=12)
    @given(pool=st.lists(small_requests, min_size=2, max_size=6), seed=seeds, shift_ns=shifts)
    def test_few_differences_among_equal_requests_are_those_among_all_records(
        self, mode: ShiftMode, pool: list[Case], seed: int, shift_ns: int
    ) -> None:
        """Equal requests are set aside where there is memory for that, and not in the least."""
        order = random.Random(seed)
        records = [each for request in pool for each in atoms([request])]
        assume(records)
        a = [
            each
            for number, record in enumerate(order.choices(records, k=FEW_REQUESTS))
            for each in moved([named(record, number // 2)], 1_000 * (number // 3))
        ]
        some = order.sample(range(FEW_REQUESTS), 9)
        b = [each for number, each in enumerate(a) if number not in some[:6]]
        b += [changed(each) for each in atoms([a[number] for number in some[:3]])]
        b += atoms([a[number] for number in some[5:]])
        b = moved(b, shift_ns)
        order.shuffle(b)
        asked: dict[str, Any] = {"max_examples": MANY}
        if mode == "constant":
            asked |= {"shift": mode, "shift_ns": shift_ns}

        by_requests = compared(a, b, **asked)
        by_records = compared(a, b, **asked, memory_bytes=TINY)

        assert findings(by_requests) == findings(by_records)

    @settings(max_examples=5)
    @given(pool=sessions, shift_ns=shifts, seed=seeds)
    def test_what_is_equal_is_so_within_any(
        self, pool: list[Case], shift_ns: int, seed: int
    ) -> None:
        many = pool * 30

        comparison = compared(many, batched_anew(moved(many, shift_ns), seed), memory_bytes=TINY)

        assert comparison.equal
        assert comparison.records_a == 30 * plain_records(pool).total()


def remapped(requests: Sequence[Case], mapping: IdMapping) -> list[Case]:
    return [
        (signal, or_raise(otlp.remap_ids(request, signal, mapping))) for signal, request in requests
    ]


loops_and_copies = st.tuples(st.integers(1, 3), st.integers(1, 3))


class TestResent:
    @settings(max_examples=25)
    @given(a=sessions_in_time, many=loops_and_copies, seed=seeds, data=st.data())
    def test_loops_and_copies_with_other_ids_are_equal(
        self, a: list[Case], many: tuple[int, int], seed: int, data: st.DataObject
    ) -> None:
        loops, copies = many
        own = data.draw(st.lists(shifts, min_size=loops, max_size=loops))
        b = [
            each
            for loop in range(loops)
            for copy in range(copies)
            for each in moved(remapped(a, IdMapping(seed, loop, copy)), own[loop])
        ]
        declared = RemappedIds(seed, loops, copies)

        given_shifts = compared(
            a, batched_anew(b, seed), shift="constant", shift_ns=own, remapped=declared
        )

        assert given_shifts.equal
        assert given_shifts.requests_a == len(a) * loops * copies
        assert given_shifts.shift.by_loop == (tuple(own) if loops > 1 else ())
        if copies == loops == 1:
            assert compared(a, b, remapped=declared).equal

    @settings(max_examples=15)
    @given(a=sessions_in_time, seed=seeds, first=shifts, later=st.integers(10**16, 10**17))
    def test_the_shift_of_each_loop_is_found(
        self, a: list[Case], seed: int, first: int, later: int
    ) -> None:
        b = [
            each
            for loop in range(3)
            for each in moved(remapped(a, IdMapping(7, loop)), first + loop * later)
        ]

        comparison = compared(a, batched_anew(b, seed), remapped=RemappedIds(7, loops=3))

        assert comparison.equal
        assert sorted(comparison.shift.by_loop) == [first + loop * later for loop in range(3)]

    @settings(max_examples=25)
    @given(a=sessions, copies=st.integers(2, 3), seed=seeds)
    def test_copies_with_their_ids_are_equal(self, a: list[Case], copies: int, seed: int) -> None:
        b = batched_anew(a * copies, seed)

        assert compared(a, b, shift="none", remapped=Repeated(copies=copies)).equal
        assert compared(a, b, shift="none").equal == (not plain_records(a))

    @settings(max_examples=25)
    @given(a=sessions, seed=seeds)
    def test_other_ids_than_declared_are_told(self, a: list[Case], seed: int) -> None:
        b = remapped(a, IdMapping(seed))

        told = compared(a, b, shift="none", remapped=RemappedIds(seed + 1)).equal

        assert told == (plain_records(remapped(a, IdMapping(seed + 1))) == plain_records(b))


KEYS = ("x", "service.name", "http.route")
edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(
        DropAttribute,
        st.sampled_from(KEYS),
        st.sampled_from(["resource", "span", "point", "log", "event"]),
    ),
    st.builds(
        SetAttribute,
        st.sampled_from(KEYS),
        st.one_of(st.text(max_size=3), st.booleans(), st.integers(-5, 5), st.just(1.5)),
        st.sampled_from(["resource", "scope", "span", "point", "log"]),
    ),
    st.builds(
        RenameAttribute,
        st.sampled_from(KEYS),
        st.just("renamed"),
        st.sampled_from(["resource", "span", "point", "log"]),
    ),
    st.builds(SetText, st.sampled_from(["span_name", "event_name"]), st.text(max_size=3)),
)


def edited(requests: Sequence[Case], chosen: Sequence[Edit]) -> list[Case]:
    return [
        (signal, or_raise(otlp.apply_edits(request, signal, chosen)))
        for signal, request in requests
    ]


class TestMutations:
    @settings(max_examples=25)
    @given(a=sessions_in_time, chosen=st.lists(edits, max_size=3), shift_ns=shifts, seed=seeds)
    def test_what_is_declared_is_carried_out_on_the_original(
        self, a: list[Case], chosen: list[Edit], shift_ns: int, seed: int
    ) -> None:
        b = batched_anew(moved(edited(a, chosen), shift_ns), seed)

        assert compared(a, b, mutations=chosen).equal

    @settings(max_examples=25)
    @given(a=sessions, chosen=st.lists(edits, min_size=1, max_size=3))
    def test_what_is_not_declared_is_told(self, a: list[Case], chosen: list[Edit]) -> None:
        b = edited(a, chosen)

        assert compared(a, b, shift="none").equal == (plain_records(a) == plain_records(b))

    @settings(max_examples=25)
    @given(a=sessions, on=st.sampled_from(["span", "point", "log", "event"]))
    def test_a_dropped_attribute_is_nowhere_of_its_kind(self, a: list[Case], on: Any) -> None:
        names = {
            "span": {"Span"},
            "event": {"Event"},
            "log": {"LogRecord"},
            "point": {
                "NumberDataPoint",
                "HistogramDataPoint",
                "ExponentialHistogramDataPoint",
                "SummaryDataPoint",
            },
        }[on]

        for (signal, before), (_, after) in zip(
            a, edited(a, [DropAttribute("x", on)]), strict=True
        ):
            for old, new in zip(
                messages_in(parse(before, signal)), messages_in(parse(after, signal)), strict=False
            ):
                del old
                if new.DESCRIPTOR.name in names:
                    assert "x" not in {each.key for each in new.attributes}


@attrs.frozen
class Kept:
    request: bytes
    is_filtered_out: bool


@attrs.frozen
class Parts:
    """Requests of every *count*-th sequence, and of those the resources of some services."""

    index: int
    count: int
    services: frozenset[str]

    def resolved(self, *_: SessionIndex) -> "Parts":
        return self

    def segments(self, index: SessionIndex, /) -> SessionIndex:
        return index

    def frames(self, index: SessionIndex, /) -> Iterator[FrameRef]:
        return (ref for ref in in_order(index) if ref.frame.sequence % self.count == self.index)

    def narrow(
        self, request: bytes, signal: Signal, sequence: int, /
    ) -> Outcome[Kept, InvalidRequest]:
        assert sequence % self.count == self.index
        kept = or_raise(otlp.select_services(request, signal, self.services.__contains__))
        return Success(Kept(kept, not or_raise(otlp.scan(kept, signal)).record_count))


class TestSelected:
    @settings(max_examples=25)
    @given(a=st.lists(small_requests, max_size=6), count=st.integers(1, 3), seed=seeds)
    def test_only_what_is_chosen_has_to_arrive(self, a: list[Case], count: int, seed: int) -> None:
        parts = Parts(0, count, frozenset({"cart"}))
        b = [
            (signal, or_raise(otlp.select_services(request, signal, "cart".__eq__)))
            for signal, request in a[::count]
        ]

        comparison = compared(a, batched_anew(b, seed), shift="none", selected=parts)

        assert comparison.equal
        assert comparison.records_a == plain_records(b).total()

    @settings(max_examples=25)
    @given(a=sessions, count=st.integers(2, 3), seed=seeds)
    def test_the_parts_of_a_sharded_replay_are_the_whole(
        self, a: list[Case], count: int, seed: int
    ) -> None:
        chosen = [Selection(shard=Shard(index, count)) for index in range(count)]
        parts = [
            [
                (signal, or_raise(each.narrow(request, signal, sequence)).request)
                for sequence, (signal, request) in enumerate(a)
            ]
            for each in chosen
        ]

        for each, part in zip(chosen, parts, strict=True):
            assert compared(a, batched_anew(part, seed), shift="none", selected=each).equal
        together = [request for part in parts for request in part]
        assert compared(a, batched_anew(together, seed), shift="none").equal

    @settings(max_examples=25)
    @given(a=sessions, limit=st.integers(0, 5))
    def test_a_limit_counts_requests(self, a: list[Case], limit: int) -> None:
        assert compared(a, a[:limit], shift="none", limit=limit).equal


class TestOneDifference:
    @pytest.mark.parametrize("mode", MODES)
    @settings(max_examples=15)
    @given(pool=sessions, data=st.data(), shift_ns=shifts)
    def test_it_is_found_and_named(
        self, mode: ShiftMode, pool: list[Case], data: st.DataObject, shift_ns: int
    ) -> None:
        """Four records that cannot be mistaken hold the shift, whatever else is there."""
        anchors = [named(each, 900 + number) for number, each in enumerate(atoms(ANCHORS))]
        records = [named(each, number) for number, each in enumerate(atoms(pool))] + anchors
        at = data.draw(st.integers(0, len(records) - 1))
        b = [*records[:at], changed(records[at]), *records[at + 1 :]]
        later = 0 if mode == "none" else shift_ns

        comparison = compared(records, moved(b, later), shift=mode)

        found = Counter(each.kind for each in comparison.differences)
        assert found == Counter({"changed": 1})
        (row,) = comparison.by_field
        assert (row.changed, row.signal) == (1, records[at][0])
        fields = {"traces": "spans.name", "metrics": "dataPoints.flags"}
        assert row.field == fields.get(row.signal, "logRecords.severityText")


ANCHORS: list[Case] = [
    (signal, request)
    for signal in SIGNALS
    for request in (
        or_raise(
            otlp.decode(
                {
                    "traces": b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"n",'
                    b'"startTimeUnixNano":"1763861000000000000"}]}]}]}',
                    "metrics": b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m",'
                    b'"gauge":{"dataPoints":[{"timeUnixNano":"1763861000000000000"}]}}]}]}]}',
                    "logs": b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{'
                    b'"timeUnixNano":"1763861000000000000"}]}]}]}',
                }[signal],
                signal,
                "json",
            )
        ),
    )
    * 2
]

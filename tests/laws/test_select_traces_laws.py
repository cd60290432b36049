"""A selection by traces cuts a request where its records end, and nowhere else."""

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.otlp import (
    TRACE_PLACES,
    ChosenRecords,
    InvalidRequest,
    Signal,
    TraceChoice,
    trace_place,
)
from otlp_capture.otlp.select_traces import select_traces_by_parsing
from otlp_capture.result import Failure, Success
from tests.roads import HALF, Roads, compiled_walk
from tests.strategies import LEVELS, length_delimited, mutations, otlp_requests, requests_of, varint
from tests.walks import parse

Case: TypeAlias = tuple[Signal, bytes]

requests = otlp_requests()
known_requests = otlp_requests(unknown=st.just(b""))
places = st.one_of(st.sampled_from([1, HALF, TRACE_PLACES - 1]), st.integers(1, TRACE_PLACES - 1))
bounds = st.one_of(st.sampled_from([0, HALF, TRACE_PLACES]), st.integers(0, TRACE_PLACES))


@st.composite
def choices(draw: Any) -> TraceChoice:
    low, high = sorted((draw(bounds), draw(bounds)))
    return TraceChoice(low, high, keeps_untraced=draw(st.booleans()))


@pytest.fixture(scope="module")
def roads() -> Roads:
    return Roads(compiled_walk())


def chosen(request: bytes, signal: Signal, choice: TraceChoice) -> ChosenRecords:
    return otlp.select_traces(request, signal, choice).unwrap()


def records(request: bytes, signal: Signal) -> Counter[bytes]:
    """Count each record in its resource and scope, by its bytes."""
    found = Counter[bytes]()
    containers, scopes, items = LEVELS[signal]
    for container in getattr(parse(request, signal), containers):
        for scope in getattr(container, scopes):
            lists = getattr(scope, items)
            if signal == "metrics":
                lists = [point for metric in lists for point in points_of(metric)]
            around = container.resource.SerializeToString(), scope.scope.SerializeToString()
            found.update(b"|".join((*around, each.SerializeToString())) for each in lists)
    return found


def points_of(metric: Any) -> Any:
    name = metric.WhichOneof("data")
    return getattr(metric, name).data_points if name else []


def keep(messages: Any, is_kept: Callable[[Any], bool]) -> None:
    kept = [each for each in messages if is_kept(each)]
    del messages[:]
    messages.extend(kept)


def holds_records(container: Any, signal: Signal) -> bool:
    """Say whether a resource holds any record, and drop its scopes that hold none."""
    _, scopes, items = LEVELS[signal]
    keep(getattr(container, scopes), lambda scope: len(getattr(scope, items)) > 0)
    return len(getattr(container, scopes)) > 0


class TestTheRoadsAgree:
    @given(known_requests, choices())
    def test_on_requests_that_the_walk_judges_by_itself(
        self, roads: Roads, case: Case, choice: TraceChoice
    ) -> None:
        signal, request = case

        assert roads.select_traces(request, signal, choice)

    @given(requests, choices())
    def test_on_requests_with_unknown_fields(
        self, roads: Roads, case: Case, choice: TraceChoice
    ) -> None:
        signal, request = case

        roads.select_traces(request, signal, choice)

    @given(mutations(requests), choices())
    def test_on_mutated_bytes(self, roads: Roads, case: Case, choice: TraceChoice) -> None:
        signal, body = case

        roads.select_traces(body, signal, choice)

    @given(st.lists(known_requests, min_size=2, max_size=4), choices())
    def test_on_several_requests_in_one(
        self, roads: Roads, cases: list[Case], choice: TraceChoice
    ) -> None:
        for signal in otlp.SIGNALS:
            body = b"".join(request for each, request in cases if each == signal)
            assert roads.select_traces(body, signal, choice)

    @given(requests_of("metrics"), choices())
    def test_on_metrics(self, request_: bytes, choice: TraceChoice) -> None:
        walked = otlp.select_traces(request_, "metrics", choice)

        assert walked == select_traces_by_parsing(request_, "metrics", choice)

    @pytest.mark.parametrize("size", [0, 1, 8, 15, 16, 17, 64, 127, 128, 129, 300])
    def test_on_ids_of_any_length(self, roads: Roads, size: int) -> None:
        for fill in (0, 1, 200):
            span = length_delimited(1, bytes([fill]) * size)
            body = length_delimited(1, length_delimited(2, length_delimited(2, span)))
            for choice in (TraceChoice(high=HALF), TraceChoice(HALF, keeps_untraced=False)):
                is_walked = roads.select_traces(body, "traces", choice)
                assert is_walked is (size <= 128 or fill == 0)

    def test_on_lengths_that_are_longer_than_they_need_be(self, roads: Roads) -> None:
        spans = [length_delimited(2, length_delimited(1, bytes([n]) * 16)) for n in range(1, 60)]
        inside = b"".join(spans)
        scope = b"\x12" + padded(len(inside)) + inside
        body = b"\x0a" + padded(len(scope)) + scope

        assert roads.select_traces(body, "traces", TraceChoice(high=HALF))
        kept = chosen(body, "traces", TraceChoice(high=HALF))
        assert 0 < kept.kept < 59
        assert otlp.count_records(kept.request, "traces") == Success(kept.kept)

    def test_on_a_trace_id_that_repeats_the_walk_hands_over(self, roads: Roads) -> None:
        ids = [bytes([n]) * 16 for n in range(1, 20)]
        low = next(each for each in ids if trace_place(each) < HALF)
        high = next(each for each in ids if trace_place(each) >= HALF)
        span = length_delimited(1, low) + length_delimited(1, high)
        body = length_delimited(1, length_delimited(2, length_delimited(2, span)))

        assert not roads.select_traces(body, "traces", TraceChoice(high=HALF))
        assert chosen(body, "traces", TraceChoice(high=HALF)) == ChosenRecords(b"", 0, 1)


def padded(value: int) -> bytes:
    """Write a length in five bytes."""
    parts = [value >> 7 * index & 0x7F for index in range(5)]
    return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])


class TestWhatIsKept:
    @given(known_requests, places)
    @example(("traces", b""), HALF)
    def test_the_parts_of_a_range_share_out_the_records(self, case: Case, at: int) -> None:
        signal, request = case

        below = chosen(request, signal, TraceChoice(0, at))
        above = chosen(request, signal, TraceChoice(at, TRACE_PLACES, keeps_untraced=False))

        whole = records(request, signal)
        assert records(below.request, signal) + records(above.request, signal) == whole
        assert (below.kept, below.left_out) == (above.left_out, above.kept)

    @given(known_requests, choices())
    def test_each_record_is_judged_by_its_own_trace(self, case: Case, choice: TraceChoice) -> None:
        signal, request = case
        assume(signal != "metrics")
        expected = parse(request, signal)
        containers, scopes, items = LEVELS[signal]
        for container in getattr(expected, containers):
            for scope in getattr(container, scopes):
                keep(getattr(scope, items), lambda record: choice.keeps(record.trace_id))
        keep(getattr(expected, containers), lambda each: holds_records(each, signal))

        kept = parse(chosen(request, signal, choice).request, signal)

        keep(getattr(kept, containers), lambda each: holds_records(each, signal))
        assert kept == expected

    @given(requests, choices())
    def test_what_is_kept_whole_stays_the_same_object(
        self, case: Case, choice: TraceChoice
    ) -> None:
        signal, request = case

        found = chosen(request, signal, choice)

        assert (found.request is request) == (found.left_out == 0)
        assert chosen(request, signal, TraceChoice()).request is request

    @given(requests, choices())
    def test_choosing_again_changes_nothing(self, case: Case, choice: TraceChoice) -> None:
        signal, request = case
        once = chosen(request, signal, choice)

        assert chosen(once.request, signal, choice) == ChosenRecords(once.request, once.kept, 0)

    @given(known_requests, places, places)
    def test_a_larger_share_holds_the_smaller_one(self, case: Case, one: int, other: int) -> None:
        signal, request = case
        small, large = sorted((one, other))

        less = records(chosen(request, signal, TraceChoice(0, small)).request, signal)
        more = records(chosen(request, signal, TraceChoice(0, large)).request, signal)

        assert less <= more

    def test_unknown_fields_stay_byte_for_byte_in_their_places(self, roads: Roads) -> None:
        unknown = varint(900 << 3) + b"\x81\x00"
        ids = [bytes([n]) * 16 for n in range(1, 20)]
        low = next(each for each in ids if trace_place(each) < HALF)
        high = next(each for each in ids if trace_place(each) >= HALF)
        kept, lost = (
            length_delimited(2, unknown + length_delimited(1, each)) for each in (low, high)
        )

        def around(inside: bytes) -> bytes:
            scope = unknown + inside + length_delimited(3, b"url")
            return unknown + length_delimited(1, length_delimited(2, scope) + unknown) + unknown

        choose = roads.kernel.select_traces
        half = TraceChoice(high=HALF)

        one_of_three = choose(around(lost + kept + lost), "traces", half)
        none = choose(around(lost), "traces", half)

        assert one_of_three == Success(ChosenRecords(around(kept), 1, 2))
        assert none == Success(ChosenRecords(unknown + unknown, 0, 1))

    def test_a_scope_that_was_empty_stays(self) -> None:
        empty = length_delimited(1, length_delimited(2, b""))
        log = length_delimited(9, b"\x05" * 16)
        full = length_delimited(1, length_delimited(2, length_delimited(2, log)))
        place = trace_place(b"\x05" * 16)

        found = chosen(empty + full + empty, "logs", TraceChoice(place + 1, place + 2))

        assert found == ChosenRecords(empty + empty, 0, 1)

    def test_an_exemplar_does_not_make_a_point_part_of_a_trace(self) -> None:
        exemplar = length_delimited(5, b"\x05" * 16)
        point = length_delimited(5, exemplar)
        metric = length_delimited(5, length_delimited(1, point) * 2)
        body = length_delimited(1, length_delimited(2, length_delimited(2, metric)))
        choice = TraceChoice(high=1)

        assert chosen(body, "metrics", choice) == ChosenRecords(body, 2, 0)
        left_out = TraceChoice(high=1, keeps_untraced=False)
        assert chosen(body, "metrics", left_out) == ChosenRecords(b"", 0, 2)


class TestRefusals:
    @pytest.mark.parametrize("signal", otlp.SIGNALS)
    def test_malformed_bytes_are_refused_by_both_roads(self, signal: Signal) -> None:
        walked = otlp.select_traces(b"\x0a\x05\x01", signal, TraceChoice(high=HALF))
        parsed = select_traces_by_parsing(b"\x0a\x05\x01", signal, TraceChoice(high=HALF))

        assert walked == parsed
        assert isinstance(walked, Failure)
        assert isinstance(walked.failure(), InvalidRequest)

    @pytest.mark.parametrize(("low", "high"), [(-1, 3), (0, TRACE_PLACES + 1), (4, 3)])
    def test_what_is_no_range_is_an_error_of_the_program(self, low: int, high: int) -> None:
        with pytest.raises(ValueError, match="no range of places"):
            TraceChoice(low, high)


class TestPlaces:
    @pytest.mark.parametrize(
        ("trace_id", "place"),
        [(b"\x01" * 16, 552_005_791_618_594_971), (bytes(range(16)), 3_295_286_499_313_253_419)],
    )
    def test_a_place_never_changes(self, trace_id: bytes, place: int) -> None:
        assert trace_place(trace_id) == place

    def test_ids_that_count_up_spread_evenly(self) -> None:
        in_tenths = Counter(
            trace_place(number.to_bytes(16, "big")) * 10 // TRACE_PLACES
            for number in range(1, 10_001)
        )

        assert sorted(in_tenths) == list(range(10))
        assert all(850 < count < 1150 for count in in_tenths.values())

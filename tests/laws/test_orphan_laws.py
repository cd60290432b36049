"""Orphans are counted as one would who sees the whole session, or not at all."""

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.otlp import InvalidRequest
from otlp_capture.otlp.span_links import span_links_by_parsing
from otlp_capture.result import Failure, Success
from otlp_replay.selection import OrphanCounter, OrphanCounts, OrphansUncounted, Selection
from tests.roads import Roads, compiled_walk
from tests.strategies import REQUEST_TYPES, length_delimited, mutations, requests_of

Span: TypeAlias = tuple[str, int, int, int]
"""A service, a trace, a span, and its parent; 0 is none."""

spans = st.tuples(
    st.sampled_from(["cart", "checkout"]),
    st.integers(0, 2),
    st.integers(0, 6),
    st.integers(0, 6),
)
sessions = st.lists(
    st.lists(spans, max_size=6, unique_by=lambda span: span[1:3]), max_size=5
).filter(lambda requests: is_unique([span[1:3] for each in requests for span in each if span[2]]))


def is_unique(names: list[tuple[int, int]]) -> bool:
    return len(names) == len(set(names))


def request_of(session: list[Span]) -> bytes:
    request = REQUEST_TYPES["traces"]()
    for service, trace, span, parent in session:
        container = request.resource_spans.add()
        container.resource.attributes.add(key="service.name").value.string_value = service
        container.scope_spans.add().spans.add(
            trace_id=trace.to_bytes(16, "big"),
            span_id=span.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big"),
        )
    return bytes(request.SerializeToString())


def counted(session: list[list[Span]], counter: OrphanCounter) -> OrphanCounts | OrphansUncounted:
    selection = Selection(services=("cart",))
    for number, each in enumerate(session):
        request = request_of(each)
        narrowed = selection.narrow(request, "traces", number).unwrap()
        assert counter.note(request, narrowed.request) == Success(None)
    return counter.counts


class TestCounting:
    @given(sessions)
    def test_each_kept_span_is_asked_for_its_parent(self, session: list[list[Span]]) -> None:
        every = [span for each in session for span in each]
        kept = [span for span in every if span[0] == "cart"]
        names = {span[1:3] for span in every}
        kept_names = {span[1:3] for span in kept}
        parents = [(trace, parent) for _, trace, _, parent in kept if parent]
        missing = [name for name in parents if name not in kept_names]
        left_out = sum(name in names for name in missing)

        found = counted(session, OrphanCounter())

        assert found == OrphanCounts(left_out, len(missing) - left_out)

    @given(sessions.flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
    def test_the_order_of_requests_does_not_matter(
        self, orders: tuple[list[list[Span]], list[list[Span]]]
    ) -> None:
        session, shuffled = orders

        assert counted(session, OrphanCounter()) == counted(shuffled, OrphanCounter())

    @given(sessions, st.integers(0, 20))
    def test_beyond_the_bound_nothing_is_guessed(
        self, session: list[list[Span]], max_spans: int
    ) -> None:
        found = counted(session, OrphanCounter(max_spans))

        exact = counted(session, OrphanCounter())
        assert found in (exact, OrphansUncounted(max_spans))

    def test_what_is_not_counted_says_why(self) -> None:
        session: list[list[Span]] = [[("cart", 1, 1, 0)], [("cart", 1, 2, 1)]]

        found = counted(session, OrphanCounter(max_spans=1))

        assert isinstance(found, OrphansUncounted)
        assert found.message == (
            "Spans without their parents were not counted: there are more than 1 spans and "
            "parents. Count with a shorter window."
        )
        assert counted(session, OrphanCounter(max_spans=3)) == OrphanCounts()

    def test_malformed_bytes_are_an_error(self) -> None:
        noted = OrphanCounter().note(b"\x0a\x05", b"")

        assert isinstance(noted, Failure)
        assert isinstance(noted.failure(), InvalidRequest)


class TestSpanLinks:
    @given(mutations(requests_of("traces").map(lambda request: ("traces", request))))
    def test_the_roads_agree(self, case: tuple[otlp.Signal, bytes]) -> None:
        Roads(compiled_walk()).span_links(case[1], "traces")

    @pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 17, 128, 129])
    @pytest.mark.parametrize("field", [1, 2, 4])
    def test_ids_of_any_length_have_numbers(self, size: int, field: int) -> None:
        ids = {1: b"t" * 16, 2: b"s" * 8, 4: b"p" * 8, field: b"x" * size}
        span = b"".join(length_delimited(number, each) for number, each in ids.items())
        body = length_delimited(1, length_delimited(2, length_delimited(2, span)))

        found = otlp.span_links(body)

        assert found == span_links_by_parsing(body)
        assert [len(found.unwrap().spans), len(found.unwrap().parents)] == [1, 1]
        assert Roads(compiled_walk()).span_links(body, "traces") is (size <= 128)

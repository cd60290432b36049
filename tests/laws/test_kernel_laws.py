"""The compiled walk is the same function as the road through messages, up to parsing."""

import hashlib
from typing import TypeAlias

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.otlp import IdMapping, Limits, RequestTooLarge, Signal, wire
from otlp_capture.otlp.shift import shift_by_parsing
from tests.roads import Roads, compiled_walk
from tests.strategies import (
    any_times,
    any_value_bytes,
    length_delimited,
    mutations,
    otlp_requests,
    unknown_fields,
    varint,
)
from tests.walks import messages_in, parse

Case: TypeAlias = tuple[Signal, bytes]

requests = otlp_requests(times=any_times)
known_requests = otlp_requests(times=st.integers(2**32, 2**63), unknown=st.just(b""))
GROUP, END = varint(500 << 3 | 3), varint(500 << 3 | 4)
shifts = st.one_of(st.integers(-(10**12), 10**12), st.integers(-(2**65), 2**65))


@pytest.fixture(scope="module")
def roads() -> Roads:
    return Roads(compiled_walk())


class TestTheRoadsAgree:
    @given(known_requests)
    def test_on_requests_that_the_walk_judges_by_itself(self, roads: Roads, case: Case) -> None:
        signal, request = case

        assert roads.all(request, signal)

    @given(requests, shifts)
    def test_on_requests_with_unknown_fields(self, roads: Roads, case: Case, delta_ns: int) -> None:
        signal, request = case

        roads.all(request, signal)
        roads.shift(request, signal, delta_ns)

    @given(mutations(requests))
    def test_on_mutated_bytes(self, roads: Roads, case: Case) -> None:
        signal, body = case

        roads.all(body, signal)

    @given(st.binary(max_size=200), st.sampled_from(otlp.SIGNALS))
    def test_on_noise(self, roads: Roads, body: bytes, signal: Signal) -> None:
        roads.all(body, signal)

    @given(requests, st.integers(0, 40), st.integers(0, 4))
    def test_on_every_limit(
        self, roads: Roads, case: Case, max_elements: int, max_depth: int
    ) -> None:
        signal, request = case

        roads.scan(request, signal, Limits(max_elements, max_depth))

    def test_on_limits_larger_than_a_machine_word(self, roads: Roads) -> None:
        assert roads.scan(length_delimited(1, b""), "logs", Limits(2**80, 2**80, 2**80))

    @given(mutations(requests), st.integers(0, 20), st.integers(0, 3))
    def test_on_the_first_of_several_faults(
        self, roads: Roads, case: Case, max_elements: int, max_depth: int
    ) -> None:
        signal, body = case

        roads.scan(body, signal, Limits(max_elements, max_depth))

    @given(known_requests)
    def test_on_a_request_cut_at_each_byte(self, roads: Roads, case: Case) -> None:
        signal, request = case
        for end in range(0, len(request), max(1, len(request) // 60)):
            roads.all(request[:end], signal)

    @given(
        st.sampled_from([1, 2, 3, 4, 5, 6, 10, 11]),
        st.sampled_from([0, 1, 2, 5, 3, 4, 6, 7]),
        st.integers(0, 20),
        st.integers(1, 11),
        st.integers(0, 2**35),
        st.binary(max_size=12),
    )
    def test_on_numbers_of_any_length(
        self,
        roads: Roads,
        tag_bytes: int,
        wire_type: int,
        number: int,
        value_bytes: int,
        value: int,
        rest: bytes,
    ) -> None:
        tag = padded_varint(number << 3 | wire_type, tag_bytes)
        inner = tag + padded_varint(value, value_bytes) + rest

        roads.all(inner, "traces")
        roads.all(length_delimited(1, inner), "metrics")
        roads.all(length_delimited(1, length_delimited(2, length_delimited(2, inner))), "logs")

    @pytest.mark.parametrize("kind", ["array", "kvlist"])
    @pytest.mark.parametrize("depth", [1, 31, 32, 33, 34, 46, 47, 48, 49, 60])
    def test_on_nested_values(self, roads: Roads, depth: int, kind: str) -> None:
        value = any_value_bytes(depth, "array" if kind == "array" else "kvlist")
        attribute = length_delimited(1, b"deep") + length_delimited(2, value)
        span = length_delimited(9, attribute)
        body = length_delimited(1, length_delimited(2, length_delimited(2, span)))

        assert roads.all(body, "traces")

    @pytest.mark.parametrize("depth", [98, 99, 100, 101])
    def test_on_nested_groups(self, roads: Roads, depth: int) -> None:
        body = varint(500 << 3 | 3) * depth + varint(500 << 3 | 4) * depth

        assert roads.all(body, "logs")

    @given(
        st.lists(st.sampled_from([b"\0\0", b"\3", b"\4", b"\2\0", b"\x08\1", b"\6", GROUP, END])),
        st.sampled_from([b"", GROUP, GROUP + b"\3"]),
    )
    def test_on_the_field_number_zero(
        self, roads: Roads, pieces: list[bytes], before: bytes
    ) -> None:
        roads.all(before + b"".join(pieces), "logs")
        roads.all(before + b"".join(pieces) + END, "logs")

    @given(unknown_fields, unknown_fields)
    def test_on_unknown_fields_inside_a_resource(
        self, roads: Roads, before: bytes, after: bytes
    ) -> None:
        value = length_delimited(2, after + length_delimited(1, b"cart"))
        service = before + length_delimited(1, b"service.name") + value
        resource = before + length_delimited(1, service) + after
        body = length_delimited(1, length_delimited(1, resource))

        roads.all(body, "traces")


def padded_varint(value: int, size: int) -> bytes:
    """Write *value* as a varint of *size* bytes, whatever does not fit left out."""
    parts = [value >> 7 * index & 0x7F for index in range(size)]
    return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])


class TestHandingOver:
    @given(known_requests)
    def test_a_request_twice_over_is_still_walked(self, roads: Roads, case: Case) -> None:
        signal, request = case

        assert roads.all(request + request, signal)

    def test_a_singular_field_that_repeats_is_handed_over(self, roads: Roads) -> None:
        resource = length_delimited(1, length_delimited(1, length_delimited(1, b"k")))
        body = length_delimited(1, resource + resource)

        assert roads.kernel.scan(body, "traces", otlp.DEFAULT_LIMITS) is None
        assert otlp.scan(body, "traces") == Success(otlp.RequestFacts(0, 0, 0, ()))

    @pytest.mark.parametrize("field", [b"\x1a\x01x", b"\x0a\x00"])
    def test_what_was_counted_is_not_counted_once_more_in_python(
        self, roads: Roads, field: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_: object) -> object:
            raise AssertionError("the slow walk was asked")

        body = length_delimited(1, field * 1_000)
        limits = Limits(max_elements=1_001)
        assert roads.kernel.scan(body, "traces", limits) is None
        monkeypatch.setattr(wire, "_walk", never)

        assert otlp.scan(body, "traces", limits) == Success(otlp.RequestFacts(0, 0, 0, ()))

    def test_too_many_elements_in_fields_that_stand_once_are_too_many(self, roads: Roads) -> None:
        body = length_delimited(1, b"\x0a\x00" * 1_000)
        limits = Limits(max_elements=500)

        assert not roads.kernel.counts(body, "traces", limits)
        assert otlp.scan(body, "traces", limits) == Failure(RequestTooLarge("elements", 500))

    def test_a_oneof_with_two_members_is_handed_over(self, roads: Roads) -> None:
        value = length_delimited(1, b"text") + b"\x18\x01"
        attribute = length_delimited(1, b"k") + length_delimited(2, value)
        body = length_delimited(1, length_delimited(1, length_delimited(1, attribute)))

        assert roads.kernel.scan(body, "logs", otlp.DEFAULT_LIMITS) is None

    def test_a_time_that_would_leave_its_range_is_refused_by_both(self, roads: Roads) -> None:
        span = b"\x39" + (2**64 - 1).to_bytes(8, "little")
        body = length_delimited(1, length_delimited(2, length_delimited(2, span)))

        assert roads.kernel.shift(body, "traces", 1) is None
        assert roads.shift(body, "traces", -1)
        assert otlp.shift_timestamps(body, "traces", 1) == shift_by_parsing(body, "traces", 1)
        assert isinstance(otlp.shift_timestamps(body, "traces", 1), Failure)


class TestRemap:
    @given(known_requests, st.integers())
    def test_each_id_becomes_its_keyed_hash(self, case: Case, seed: int) -> None:
        signal, request = case
        mapping = IdMapping(seed, loop=3)

        mapped = parse(otlp.remap_ids(request, signal, mapping).unwrap(), signal)

        expected = parse(request, signal)
        for each in messages_in(expected):
            for name in ("trace_id", "span_id", "parent_span_id"):
                old = getattr(each, name, b"")
                if any(old):
                    hashed = hashlib.blake2b(old, digest_size=len(old), key=mapping.key)
                    setattr(each, name, hashed.digest() if any(hashed.digest()) else old)
        assume(all_hashes_are_set(request, signal, mapping))
        assert mapped == expected

    @given(known_requests)
    def test_two_mappings_give_ids_that_differ(self, case: Case) -> None:
        signal, request = case
        one = parse(otlp.remap_ids(request, signal, IdMapping(1)).unwrap(), signal)
        other = parse(otlp.remap_ids(request, signal, IdMapping(1, copy=1)).unwrap(), signal)

        for here, there in zip(messages_in(one), messages_in(other), strict=True):
            for name in ("trace_id", "span_id"):
                if len(getattr(here, name, b"")) >= 8 and any(getattr(here, name)):
                    assert getattr(here, name) != getattr(there, name)

    @pytest.mark.parametrize("size", [1, 2, 8, 16, 17, 63, 64, 65, 128, 200])
    def test_an_id_of_any_length_keeps_it(self, roads: Roads, size: int) -> None:
        span = length_delimited(1, bytes(range(1, 201))[:size])
        body = length_delimited(1, length_delimited(2, length_delimited(2, span)))

        mapped = otlp.remap_ids(body, "traces", IdMapping(5)).unwrap()

        assert roads.remap(body, "traces") is (size <= 64)
        assert len(mapped) == len(body)
        assert mapped != body

    def test_one_byte_ids_never_become_zero(self) -> None:
        for seed in range(8):
            for old in range(1, 256):
                span = length_delimited(1, bytes([old]))
                body = length_delimited(1, length_delimited(2, length_delimited(2, span)))
                mapped = otlp.remap_ids(body, "traces", IdMapping(seed)).unwrap()
                assert mapped[-1] != 0


def all_hashes_are_set(request: bytes, signal: Signal, mapping: IdMapping) -> bool:
    """Whether no short id happens to hash to zeros, which one in 256 of one byte does."""
    ids = {
        getattr(each, name, b"")
        for each in messages_in(parse(request, signal))
        for name in ("trace_id", "span_id", "parent_span_id")
    }
    return all(
        any(hashlib.blake2b(old, digest_size=len(old), key=mapping.key).digest())
        for old in ids
        if any(old)
    )


class TestSelect:
    @given(known_requests, st.sets(st.sampled_from(["cart", "checkout", "größe", "frontend", ""])))
    @example(("traces", b""), set())
    def test_what_is_kept_and_what_is_left_out_is_the_request(
        self, roads: Roads, case: Case, services: set[str]
    ) -> None:
        signal, request = case
        assert roads.select(request, signal, lambda service: service in services)

        kept = otlp.select_services(request, signal, lambda service: service in services).unwrap()
        rest = otlp.select_services(
            request, signal, lambda service: service not in services
        ).unwrap()

        whole, one, other = (otlp.scan(each, signal).unwrap() for each in (request, kept, rest))
        assert one.record_count + other.record_count == whole.record_count
        assert set(one.services) <= services
        assert set(one.services) | set(other.services) == set(whole.services)
        assert len(kept) + len(rest) == len(request)

    @given(known_requests)
    def test_each_service_is_asked_for_once(self, case: Case) -> None:
        signal, request = case
        asked: list[str] = []

        def note(service: str) -> bool:
            asked.append(service)
            return True

        kept = otlp.select_services(request, signal, note).unwrap()

        assert kept == request
        assert len(asked) == len(set(asked))

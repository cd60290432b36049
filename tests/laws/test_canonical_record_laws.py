"""Laws of the canonical form in which recordings are compared."""

import random
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otlp_capture import otlp
from otlp_capture.otlp import Signal
from otlp_capture.result import or_raise
from tests.strategies import LEVELS, any_times, length_delimited, otlp_requests
from tests.walks import messages_in, parse

Case: TypeAlias = tuple[Signal, bytes]


def shuffle_attributes(message: Any, seed: int) -> None:
    """Reorder attributes of different keys; those of one key keep their order."""
    order = random.Random(seed)
    for each in list(messages_in(message)):
        for descriptor, value in each.ListFields():
            if (
                descriptor.is_repeated
                and getattr(descriptor.message_type, "name", "") == "KeyValue"
            ):
                ranks: dict[str, float] = {}
                value.sort(
                    key=lambda attribute, r=ranks: r.setdefault(attribute.key, order.random())
                )


def outline(request: bytes, signal: Signal) -> list[tuple[bytes, bytes, int]]:
    records = or_raise(otlp.canonical_records(request, signal)).records
    return [(each.identity, each.fingerprint, each.base_time) for each in records]


class TestCanonicalRecords:
    @given(otlp_requests(), st.integers(-(10**15), 10**15))
    def test_a_constant_shift_moves_base_times_and_nothing_else(
        self, case: Case, delta_ns: int
    ) -> None:
        signal, request = case
        shifted = or_raise(otlp.shift_timestamps(request, signal, delta_ns))

        expected = [
            (identity, fingerprint, base_time and base_time + delta_ns)
            for identity, fingerprint, base_time in outline(request, signal)
        ]

        assert outline(shifted, signal) == expected

    @given(otlp_requests(times=any_times), st.integers())
    def test_the_order_of_attributes_does_not_matter(self, case: Case, seed: int) -> None:
        signal, request = case
        message = parse(request, signal)
        shuffle_attributes(message, seed)

        assert outline(message.SerializeToString(), signal) == outline(request, signal)

    @given(otlp_requests())
    def test_every_record_is_there_once_and_can_be_described(self, case: Case) -> None:
        signal, request = case
        facts = or_raise(otlp.scan(request, signal))

        records = or_raise(otlp.canonical_records(request, signal)).records

        assert sum(not each.is_container for each in records) == facts.record_count
        assert len({each.path for each in records}) == len(records)
        for each in records:
            described = otlp.describe(request, signal, each.path)
            assert otlp.first_difference(described, described) is None

    @given(otlp_requests(), st.data())
    def test_any_changed_field_changes_a_fingerprint(self, case: Case, data: st.DataObject) -> None:
        signal, request = case
        before = or_raise(otlp.canonical_records(request, signal)).records
        assume(before)
        message = parse(request, signal)
        assume(change_one_field(message, data, around_records=LEVELS[signal]))
        changed = message.SerializeToString()

        after = or_raise(otlp.canonical_records(changed, signal)).records

        differing = [
            (one, other)
            for one, other in zip(before, after, strict=True)
            if (one.fingerprint, one.base_time) != (other.fingerprint, other.base_time)
        ]
        assert differing
        for one, other in differing:
            shift_ns = (
                other.base_time - one.base_time if other.fingerprint == one.fingerprint else 0
            )
            left = otlp.describe(request, signal, one.path)
            right = otlp.describe(changed, signal, other.path)
            assert (otlp.first_difference(left, right, shift_ns=shift_ns) is None) == bool(shift_ns)

    @given(otlp_requests(), st.data())
    def test_an_added_unknown_field_is_never_masked(self, case: Case, data: st.DataObject) -> None:
        signal, request = case
        message = parse(request, signal)
        target = data.draw(st.sampled_from(list(messages_in(message))))
        target.MergeFromString(b"\xc0\x3e\x07")

        assert outline(message.SerializeToString(), signal) != outline(request, signal)

    @pytest.mark.parametrize("depth", [1, 29, 30, 31, 32])
    @pytest.mark.parametrize("unknown", [b"\xc0\x3e\x07", b"\xc3\x3e\xc4\x3e"])
    def test_an_unknown_field_is_seen_however_deep_it_is(self, depth: int, unknown: bytes) -> None:
        value = unknown
        for _ in range(depth - 1):
            value = length_delimited(5, length_delimited(1, value))
        attribute = length_delimited(1, b"deep") + length_delimited(2, value)
        request = length_delimited(1, length_delimited(1, length_delimited(1, attribute)))

        canonical = otlp.canonical_records(request, "logs").unwrap()

        assert [record.is_container for record in canonical.records] == [True]


def change_one_field(message: Any, data: st.DataObject, around_records: tuple[str, ...]) -> bool:
    """Change one scalar that is set somewhere inside a record or around one."""
    spots = [
        (each, descriptor)
        for each in relevant_messages(message, around_records)
        for descriptor, _ in each.ListFields()
        if descriptor.message_type is None and not descriptor.is_repeated
    ]
    if not spots:
        return False
    target, descriptor = data.draw(st.sampled_from(spots))
    value = getattr(target, descriptor.name)
    setattr(target, descriptor.name, changed_value(value))
    return True


def changed_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "~"
    if isinstance(value, bytes):
        return value + b"~"
    if isinstance(value, float):
        return 1.25 if value != 1.25 else 2.5
    return value - 1 if value > 1 else value + 1


def relevant_messages(request: Any, levels: tuple[str, ...]) -> Iterator[Any]:
    """Messages inside records and their contexts: all that fingerprints are taken over."""
    resources, scopes, items = levels
    for container in getattr(request, resources):
        filled = [scope for scope in getattr(container, scopes) if has_records(scope, items)]
        if not filled:
            continue
        yield from messages_in(container.resource)
        for scope in filled:
            yield from messages_in(scope.scope)
            for item in getattr(scope, items):
                if has_points(item):
                    yield from messages_in(item)


def has_records(scope: Any, items: str) -> bool:
    return any(has_points(item) for item in getattr(scope, items))


def has_points(item: Any) -> bool:
    if item.DESCRIPTOR.name != "Metric":
        return True
    name = item.WhichOneof("data")
    return name is not None and len(getattr(item, name).data_points) > 0

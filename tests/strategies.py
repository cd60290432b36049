"""Hypothesis strategies for export requests, read from opentelemetry-proto's descriptors.

A request is protobuf bytes. `requests_of(signal)` and `otlp_requests()` are what other tests need.
"""

import struct
from typing import Any, Literal, TypeAlias

import attrs
from google.protobuf.descriptor_pb2 import (  # type: ignore[import-untyped]  # it ships no types
    FieldDescriptorProto,
)
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from otlp_capture.otlp import SIGNALS, Signal

Draw: TypeAlias = Any

REQUEST_TYPES: dict[Signal, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
LEVELS: dict[Signal, tuple[str, str, str]] = {
    "traces": ("resource_spans", "scope_spans", "spans"),
    "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
}
NOW = 1_700_000_000_000_000_000
SERVICES = ("cart", "checkout", "größe", "frontend")

_BOUNDS: dict[int, tuple[int, int]] = {
    FieldDescriptorProto.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptorProto.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptorProto.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptorProto.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptorProto.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptorProto.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptorProto.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptorProto.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptorProto.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptorProto.TYPE_FIXED64: (0, 2**64 - 1),
}

plausible_times = st.one_of(st.just(0), st.integers(NOW, NOW + 60_000_000_000))
any_times = st.one_of(st.sampled_from([0, 1, 2**63, 2**64 - 1]), plausible_times)


def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from(sorted({0, 1, low, high})), st.integers(low, high))


_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    **{kind: _integers(*bounds) for kind, bounds in _BOUNDS.items()},
    FieldDescriptorProto.TYPE_BOOL: st.booleans(),
    FieldDescriptorProto.TYPE_DOUBLE: st.one_of(
        st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 5e-324]), st.floats()
    ),
    FieldDescriptorProto.TYPE_STRING: st.one_of(
        st.sampled_from(["", "a", "service.name", "ключ", "\x00", "🙂"]), st.text(max_size=6)
    ),
    FieldDescriptorProto.TYPE_BYTES: st.binary(max_size=6),
}
_IDS = {
    "trace_id": st.one_of(
        st.sampled_from([b"", bytes(16), b"\x01" * 16]),
        st.binary(min_size=16, max_size=16),
        st.binary(max_size=20),
    ),
    "span_id": st.one_of(
        st.sampled_from([b"", bytes(8), b"\x02" * 8]),
        st.binary(min_size=8, max_size=8),
        st.binary(max_size=14),
    ),
}
_IDS["parent_span_id"] = _IDS["span_id"]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def length_delimited(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def _group(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 3) + payload + varint(number << 3 | 4)


_unknown_numbers = st.one_of(st.sampled_from([1000, 2**29 - 1]), st.integers(500, 2**29 - 1))
_unknown_leaf = st.one_of(
    st.builds(
        lambda number, value: varint(number << 3) + varint(value),
        _unknown_numbers,
        st.integers(0, 2**64 - 1),
    ),
    st.builds(
        lambda number, value: varint(number << 3 | 1) + struct.pack("<Q", value),
        _unknown_numbers,
        st.integers(0, 2**64 - 1),
    ),
    st.builds(
        lambda number, value: varint(number << 3 | 5) + struct.pack("<I", value),
        _unknown_numbers,
        st.integers(0, 2**32 - 1),
    ),
    st.builds(length_delimited, _unknown_numbers, st.binary(max_size=8)),
)
unknown_fields = st.one_of(
    _unknown_leaf,
    st.builds(_group, _unknown_numbers, st.lists(_unknown_leaf, max_size=2).map(b"".join)),
)
"""The bytes of one field that no release of OTLP knows, groups included."""

rarely_unknown = st.integers(0, 9).flatmap(
    lambda chance: unknown_fields if chance == 9 else st.just(b"")
)


@attrs.frozen
class Content:
    """What messages are filled with: their timestamps, and the unknown fields they may hold."""

    times: st.SearchStrategy[int]
    unknown: st.SearchStrategy[bytes]


def _fill(draw: Draw, message: Any, content: Content, values_left: int) -> None:
    """Set a random choice of the fields of *message*, at any depth."""
    fields = [field for field in message.DESCRIPTOR.fields if _may_descend(field, values_left)]
    chosen = draw(st.lists(st.sampled_from(fields), unique_by=_alternative, max_size=len(fields)))
    for field in chosen:
        _fill_field(draw, message, field, content, values_left)
    message.MergeFromString(draw(content.unknown))


def _alternative(field: Any) -> str:
    return str(field.containing_oneof.name if field.containing_oneof else field.name)


def _may_descend(field: Any, values_left: int) -> bool:
    return values_left > 0 or field.name not in ("array_value", "kvlist_value")


def _fill_field(draw: Draw, message: Any, field: Any, content: Content, values_left: int) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None:
        inside = values_left - (message.DESCRIPTOR.name == "AnyValue")
        if field.is_repeated:
            children = [target.add() for _ in range(draw(st.integers(1, 2)))]
        else:
            target.SetInParent()
            children = [target]
        for child in children:
            _fill(draw, child, content, inside)
    elif field.is_repeated:
        target.extend(draw(st.lists(_scalars(field, content), min_size=1, max_size=3)))
    else:
        setattr(message, field.name, draw(_scalars(field, content)))


def _scalars(field: Any, content: Content) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptorProto.TYPE_FIXED64 and field.name.endswith("time_unix_nano"):
        return content.times
    if field.name in _IDS:
        return _IDS[field.name]
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values]
        return st.one_of(st.sampled_from(numbers), st.sampled_from([-1, 99, 2**31 - 1]))
    return _SCALARS[field.type]


@st.composite
def generic_requests(draw: Draw, signal: Signal, content: Content) -> bytes:
    """Anything that the descriptors allow."""
    request = REQUEST_TYPES[signal]()
    _fill(draw, request, content, 2)
    return bytes(request.SerializeToString())


@st.composite
def realistic_requests(draw: Draw, signal: Signal, content: Content) -> bytes:
    """Services with scopes with records, each record filled with whatever it may hold."""
    resources, scopes, items = LEVELS[signal]
    request = REQUEST_TYPES[signal]()
    for _ in range(draw(st.integers(0, 2))):
        container = getattr(request, resources).add()
        service = container.resource.attributes.add(key="service.name")
        service.value.string_value = draw(st.sampled_from(SERVICES))
        for _ in range(draw(st.integers(0, 2))):
            scope = getattr(container, scopes).add()
            scope.scope.name = draw(st.sampled_from(["http", "db"]))
            for _ in range(draw(st.integers(0, 3))):
                _fill(draw, getattr(scope, items).add(), content, 2)
    return bytes(request.SerializeToString())


@st.composite
def deep_requests(draw: Draw, signal: Signal, content: Content) -> bytes:
    """One resource attribute whose AnyValue is nested up to 32 deep."""
    request = REQUEST_TYPES[signal]()
    container = getattr(request, LEVELS[signal][0]).add()
    value = container.resource.attributes.add(key="deep").value
    for holds_keys in draw(st.lists(st.booleans(), max_size=31)):
        if holds_keys:
            value = value.kvlist_value.values.add(key="k").value
        else:
            value = value.array_value.values.add()
    _fill(draw, value, content, 0)
    return bytes(request.SerializeToString())


def requests_of(
    signal: Signal,
    *,
    times: st.SearchStrategy[int] = plausible_times,
    unknown: st.SearchStrategy[bytes] = rarely_unknown,
) -> st.SearchStrategy[bytes]:
    """Requests of *signal*, as protobuf bytes that the wire accepts.

    Args:
        signal: what they carry.
        times: what their timestamps are drawn from.
        unknown: the unknown fields of each message; `st.just(b"")` for none.
    """
    content = Content(times, unknown)
    return st.one_of(
        realistic_requests(signal, content),
        generic_requests(signal, content),
        deep_requests(signal, content),
    )


def otlp_requests(
    *,
    times: st.SearchStrategy[int] = plausible_times,
    unknown: st.SearchStrategy[bytes] = rarely_unknown,
) -> st.SearchStrategy[tuple[Signal, bytes]]:
    """Requests of any signal, each with its signal."""
    return st.sampled_from(SIGNALS).flatmap(
        lambda signal: st.tuples(st.just(signal), requests_of(signal, times=times, unknown=unknown))
    )


@st.composite
def mutations(
    draw: Draw, requests: st.SearchStrategy[tuple[Signal, bytes]]
) -> tuple[Signal, bytes]:
    """A request after flips, cuts and splices, some of them with pieces of another request."""
    signal, body = draw(requests)
    _, other = draw(requests)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(["flip", "cut", "replace", "splice", "repeat"])):
            case "flip" if body:
                place = at % len(body)
                bit = 1 << draw(st.integers(0, 7))
                body = body[:place] + bytes([body[place] ^ bit]) + body[place + 1 :]
            case "cut":
                body = body[:at] + body[at + draw(st.integers(0, 9)) :]
            case "replace":
                piece = draw(st.binary(max_size=4))
                body = body[:at] + piece + body[at + len(piece) :]
            case "splice":
                start = draw(st.integers(0, len(other)))
                body = body[:at] + other[start : start + draw(st.integers(0, 40))] + body[at:]
            case _:
                body = body[:at] + body[max(0, at - draw(st.integers(0, 40))) :]
    return signal, body


def any_value_bytes(depth: int, kind: Literal["array", "kvlist"]) -> bytes:
    """Return an AnyValue that holds AnyValues *depth* deep."""
    value = AnyValue(int_value=1).SerializeToString()
    for _ in range(depth - 1):
        if kind == "array":
            value = length_delimited(5, length_delimited(1, value))
        else:
            value = length_delimited(6, length_delimited(1, length_delimited(2, value)))
    return bytes(value)

"""Records in a form in which two recordings can be compared, whatever batched or ordered them.

A record's fingerprint covers the record and its whole context, unknown fields included. It leaves
out only what may differ between equal recordings: the order of attributes, and one constant added
to all of the record's timestamps.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.messages import (
    Message,
    children_of,
    new_attributes,
    parse_request,
    request_table,
    table_of_message,
    to_bytes,
)
from otlp_capture.otlp.nesting import HOLDS_VALUES
from otlp_capture.otlp.signals import Signal
from otlp_capture.otlp.structure import (
    DATA_POINTS,
    ITEMS,
    RECORD_TIMES,
    RESOURCES,
    SCOPES,
    data_of,
    service_of,
)
from otlp_capture.otlp.tables import MessageTable
from otlp_capture.otlp.wire import holds_unknown_fields
from otlp_capture.result import Failure, Outcome, Success

_DIGEST_BYTES: Final = 16
_LENGTH_BYTES: Final = 8
_TIME_MASK: Final = 2**64 - 1


@attrs.frozen
class CanonicalRecord:
    """One record, or one container without records that holds unknown fields.

    Attributes:
        signal: what it is.
        service: its resource's `service.name`, `""` where it has none.
        identity: 16 bytes that say which record it is, whatever else about it changed: of a span
            its ids, of a point its resource's and own attributes, scope and metric name, of a log
            record its resource's attributes, scope, ids, severity and body.
        fingerprint: 16 bytes over everything, timestamps counted from `base_time`. Records that
            differ by a constant shift have equal fingerprints.
        base_time: the record's own time in nanoseconds since the Unix epoch: a span's start, a
            point's time, a log's time or else observed time, or else the first timestamp inside it.
            0 when it has none; then no shift moves it.
        path: where it stands in its request, such as `resourceLogs[0].scopeLogs[0].logRecords[2]`;
            `describe` takes it.
        is_container: it is no record but a container, kept so that its unknown fields are compared.
        is_dated: `base_time` is the record's own, so it lies within the bounds that `scan` tells.
    """

    signal: Signal
    service: str
    identity: bytes
    fingerprint: bytes
    base_time: int
    path: str
    is_container: bool
    is_dated: bool = False


@attrs.frozen
class CanonicalRequest:
    """What a request holds, for comparison, in the order of the request."""

    signal: Signal
    records: tuple[CanonicalRecord, ...]


@attrs.frozen
class _Context:
    """What stands around a record: everything (`digest`), and what names it (`identity`)."""

    signal: Signal
    service: str
    digest: bytes
    identity: bytes
    path: str

    def inside(self, shell: bytes, names: bytes, path: str) -> "_Context":
        return _Context(
            self.signal,
            self.service,
            _digest(self.digest, shell),
            _digest(self.identity, names),
            f"{self.path}.{path}",
        )


def canonical_records(request: bytes, signal: Signal) -> Outcome[CanonicalRequest, InvalidRequest]:
    """Bring every record of a request into canonical form.

    A resource, scope or metric without records, and the request itself, counts as one record when
    it holds unknown fields (metrics of OTLP 0.7 live there), so that nothing is masked.

    Args:
        request: protobuf bytes that `scan` has passed.
        signal: what they carry.

    Fails with:
        InvalidRequest: the bytes are malformed.
    """
    parsed = parse_request(request, signal)
    if isinstance(parsed, Failure):
        return parsed
    return Success(CanonicalRequest(signal, tuple(_records_of_request(parsed.unwrap(), signal))))


def _records_of_request(request: Message, signal: Signal) -> Iterator[CanonicalRecord]:
    name = request_table(signal).by_any_name[RESOURCES[signal]].json_name
    for index, container in enumerate(_detached(request, RESOURCES[signal])):
        yield from _records_of_resource(container, signal, f"{name}[{index}]")
    label = signal.encode()
    yield from _container_of_unknowns(request, _Context(signal, "", label, label, ""))


def _records_of_resource(
    container: Message, signal: Signal, path: str
) -> Iterator[CanonicalRecord]:
    scopes = _detached(container, SCOPES[signal])
    shell = _canonical_bytes(container)
    names = to_bytes(new_attributes(container.resource.attributes))
    label = signal.encode()
    context = _Context(
        signal, service_of(container), _digest(label, shell), _digest(label, names), path
    )
    name = table_of_message(container).by_any_name[SCOPES[signal]].json_name
    inner = (
        record
        for index, scope in enumerate(scopes)
        for record in _records_of_scope(scope, context, f"{name}[{index}]")
    )
    yield from _or_container(inner, container, context)


def _records_of_scope(container: Message, around: _Context, path: str) -> Iterator[CanonicalRecord]:
    items_name = ITEMS[around.signal]
    items = _detached(container, items_name)
    shell = _canonical_bytes(container)
    scope = container.scope
    names = _digest(
        scope.name.encode(), scope.version.encode(), to_bytes(new_attributes(scope.attributes))
    )
    context = around.inside(shell, names, path)
    name = table_of_message(container).by_any_name[items_name].json_name
    inner: Iterator[CanonicalRecord]
    if around.signal == "metrics":
        inner = (
            record
            for index, metric in enumerate(items)
            for record in _records_of_metric(metric, context, f"{name}[{index}]")
        )
    else:
        inner = _canonical(items, context, name)
    yield from _or_container(inner, container, context)


def _records_of_metric(metric: Message, around: _Context, path: str) -> Iterator[CanonicalRecord]:
    data_name = data_of(metric)
    points = [] if data_name is None else _detached(getattr(metric, data_name), DATA_POINTS)
    context = around.inside(_canonical_bytes(metric), metric.name.encode(), path)
    inner: Iterator[CanonicalRecord] = iter(())
    if data_name is not None:
        data_field = table_of_message(metric).by_any_name[data_name]
        points_name = data_field.message.by_any_name[DATA_POINTS].json_name
        inner = _canonical(points, context, f"{data_field.json_name}.{points_name}")
    yield from _or_container(inner, metric, context)


def _canonical(records: list[Message], context: _Context, path: str) -> Iterator[CanonicalRecord]:
    """Bring the records of one container into canonical form; they are changed in place."""
    if not records:
        return
    signal, table = context.signal, table_of_message(records[0])
    times_of, identify = RECORD_TIMES[signal], _IDENTITIES[signal]
    for index, record in enumerate(records):
        own_time = times_of(record)[0]
        base_time = own_time or _first_time(record, table)
        marks = bytearray()
        _canonicalize(record, table, base_time, marks)
        yield CanonicalRecord(
            signal,
            context.service,
            identify(record, context),
            _digest(context.digest, to_bytes(record), marks),
            base_time,
            f"{context.path}.{path}[{index}]",
            is_container=False,
            is_dated=bool(own_time),
        )


def _identify_span(span: Message, _: _Context) -> bytes:
    return _digest(b"span", span.trace_id, span.span_id)


def _identify_point(point: Message, context: _Context) -> bytes:
    return _digest(b"point", context.identity, to_bytes(new_attributes(point.attributes)))


def _identify_log(record: Message, context: _Context) -> bytes:
    return _digest(
        b"log",
        context.identity,
        record.trace_id,
        record.span_id,
        str(record.severity_number).encode(),
        to_bytes(record.body),
    )


_IDENTITIES: Final[Mapping[Signal, Callable[[Message, _Context], bytes]]] = {
    "traces": _identify_span,
    "metrics": _identify_point,
    "logs": _identify_log,
}


def _or_container(
    inner: Iterable[CanonicalRecord], shell: Message, context: _Context
) -> Iterator[CanonicalRecord]:
    """Yield the records of a container, or the container itself where it has none."""
    is_empty = True
    for record in inner:
        is_empty = False
        yield record
    if is_empty:
        yield from _container_of_unknowns(shell, context)


def _container_of_unknowns(shell: Message, context: _Context) -> Iterator[CanonicalRecord]:
    content = to_bytes(shell)
    if not holds_unknown_fields(content, table_of_message(shell)):
        return
    yield CanonicalRecord(
        context.signal,
        context.service,
        _digest(b"container", context.identity),
        _digest(b"container", context.digest, content),
        0,
        context.path,
        is_container=True,
    )


def _detached(message: Message, name: str) -> list[Message]:
    """Take the items of a repeated field out of *message*, which is left as their shell."""
    children = list(getattr(message, name))
    message.ClearField(name)
    return children


def _canonical_bytes(shell: Message) -> bytes:
    _canonicalize(shell, table_of_message(shell), 0, bytearray())
    return to_bytes(shell)


def _canonicalize(message: Message, table: MessageTable, base_time: int, marks: bytearray) -> None:
    """Sort attributes and count timestamps from *base_time*, in place.

    *marks* takes one byte for each timestamp: whether it is set, which an offset of 0 would hide.
    """
    for name in table.timestamps:
        value = getattr(message, name)
        marks.append(value != 0)
        if value:
            setattr(message, name, (value - base_time) & _TIME_MASK)
    for name in table.attribute_lists:
        _sort_attributes(getattr(message, name))
    for field in table.to_canonical:
        for child in children_of(message, field):
            _canonicalize(child, field.message, base_time, marks)


def _sort_attributes(attributes: Any) -> None:
    keys: list[str] = []
    for attribute in attributes:
        keys.append(attribute.key)
        value = attribute.value
        if value.WhichOneof("value") in HOLDS_VALUES:
            _canonicalize(value, table_of_message(value), 0, bytearray())
    if keys != sorted(keys):
        attributes.sort(key=_key_of)


def _key_of(attribute: Message) -> str:
    return str(attribute.key)


def _first_time(message: Message, table: MessageTable) -> int:
    """Return the first timestamp inside *message* that is set, 0 where none is."""
    for name in table.timestamps:
        if value := getattr(message, name):
            return int(value)
    for field in table.to_timestamps:
        for child in children_of(message, field):
            if time := _first_time(child, field.message):
                return time
    return 0


def _digest(*parts: bytes | bytearray) -> bytes:
    """Hash *parts* so that no two lists of parts are one."""
    framed = [piece for part in parts for piece in (len(part).to_bytes(_LENGTH_BYTES), part)]
    return hashlib.blake2b(b"".join(framed), digest_size=_DIGEST_BYTES).digest()

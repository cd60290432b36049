"""Records as plain text, for oracles that compare recordings slowly and share no code with us."""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from otlp_capture.otlp import Signal
from tests.strategies import LEVELS, REQUEST_TYPES
from tests.walks import is_time, messages_in, parse

Case: TypeAlias = tuple[Signal, bytes]


def records_in_context(request: bytes, signal: Signal) -> Iterator[tuple[Any, ...]]:
    """Yield each record behind the messages around it, each a copy without its children."""
    message = parse(request, signal)
    resources, scopes, items = LEVELS[signal]
    for container in getattr(message, resources):
        around = (_without(container, scopes),)
        for scope in getattr(container, scopes):
            for item in getattr(scope, items):
                context = (*around, _without(scope, items))
                if signal != "metrics":
                    yield (*context, item)
                elif (data := item.WhichOneof("data")) is not None:
                    shell = type(item)()
                    shell.CopyFrom(item)
                    getattr(shell, data).ClearField("data_points")
                    yield from (
                        (*context, shell, point) for point in getattr(item, data).data_points
                    )


def _without(message: Any, name: str) -> Any:
    shell = type(message)()
    shell.CopyFrom(message)
    shell.ClearField(name)
    return shell


def plain_text(message: Any, shift_ns: int) -> str:
    """Write everything in *message*, its timestamps *shift_ns* earlier, attributes by key."""
    known: list[str] = []
    rest = type(message)()
    rest.CopyFrom(message)
    for descriptor, value in message.ListFields():
        rest.ClearField(descriptor.name)
        values = list(value) if descriptor.is_repeated else [value]
        if descriptor.is_repeated and getattr(descriptor.message_type, "name", "") == "KeyValue":
            values.sort(key=lambda attribute: str(attribute.key))
        written = [_plain_value(descriptor, each, shift_ns) for each in values]
        known.append(f"{descriptor.number}:[{','.join(written)}]")
    return f"{{{' '.join(known)} {rest.SerializeToString().hex()}}}"


def _plain_value(descriptor: Any, value: Any, shift_ns: int) -> str:
    if descriptor.message_type is not None:
        return plain_text(value, shift_ns)
    if is_time(descriptor):
        return str(value - shift_ns if value else 0)
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    return repr(value)


def plain_records(requests: Sequence[Case], shift_ns: int = 0) -> Counter[str]:
    """Count the records of a session, everything around each included, *shift_ns* earlier."""
    return Counter(
        f"{signal} {' '.join(plain_text(level, shift_ns) for level in levels)}"
        for signal, request in requests
        for levels in records_in_context(request, signal)
    )


def first_time(requests: Sequence[Case]) -> int:
    """Return the earliest timestamp of any record, 0 where none is set."""
    times = (
        value
        for signal, request in requests
        for *_, record in records_in_context(request, signal)
        for message in messages_in(record)
        for descriptor, field in message.ListFields()
        if is_time(descriptor)
        for value in ([field] if isinstance(field, int) else field)
    )
    return min(filter(None, times), default=0)


def equal_under_a_constant(a: Sequence[Case], b: Sequence[Case]) -> bool:
    """Say whether one constant makes them equal: it could only be that of the earliest times."""
    shift_ns = first_time(b) - first_time(a)
    return plain_records(a) == plain_records(b, shift_ns)


def equal_by_request(a: Sequence[Case], b: Sequence[Case]) -> bool:
    """Say whether the same requests are there when each counts its time from its own beginning."""
    return _relative_requests(a) == _relative_requests(b)


def _relative_requests(requests: Sequence[Case]) -> Counter[tuple[tuple[str, int], ...]]:
    relative = (plain_records([case], first_time([case])) for case in requests)
    return Counter(tuple(sorted(records.items())) for records in relative if records)


def atoms(requests: Sequence[Case]) -> list[Case]:
    """Split requests into requests of one record each, with everything around it."""
    return [
        (signal, _nested(signal, levels))
        for signal, request in requests
        for levels in records_in_context(request, signal)
    ]


def _nested(signal: Signal, levels: Sequence[Any]) -> bytes:
    resources, scopes, items = LEVELS[signal]
    request = REQUEST_TYPES[signal]()
    container = getattr(request, resources).add()
    container.CopyFrom(levels[0])
    scope = getattr(container, scopes).add()
    scope.CopyFrom(levels[1])
    item = getattr(scope, items).add()
    item.CopyFrom(levels[2])
    if signal == "metrics":
        getattr(item, item.WhichOneof("data")).data_points.add().CopyFrom(levels[3])
    return bytes(request.SerializeToString())

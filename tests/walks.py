"""Slow walks over protobuf messages, for oracles that share no code with the library."""

import math
from collections.abc import Iterator
from typing import Any

from otlp_capture.otlp import Signal
from tests.strategies import REQUEST_TYPES


def messages_in(message: Any) -> Iterator[Any]:
    """Every message inside *message*, itself first."""
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else [value]:
                yield from messages_in(child)


def is_time(descriptor: Any) -> bool:
    return bool(
        descriptor.type == descriptor.TYPE_FIXED64 and descriptor.name.endswith("time_unix_nano")
    )


def with_usual_nans(message: Any) -> Any:
    """Replace every NaN by the usual one: JSON has no other."""
    for each in messages_in(message):
        for descriptor, value in each.ListFields():
            if descriptor.type != descriptor.TYPE_DOUBLE:
                continue
            if descriptor.is_repeated:
                usual = [math.nan if math.isnan(item) else item for item in value]
                del value[:]
                value.extend(usual)
            elif math.isnan(value):
                setattr(each, descriptor.name, math.nan)
    return message


def without_unknown_fields(message: Any) -> Any:
    """Discard every unknown field; by itself protobuf stops some sixty messages below."""
    for each in messages_in(message):
        each.DiscardUnknownFields()
    return message


def parse(request: bytes, signal: Signal) -> Any:
    return REQUEST_TYPES[signal].FromString(request)

"""Bytes after a few changes: to any bytes, and to the fields of a protobuf message.

A change to a field mends the lengths around it, so that what follows is still read as it was.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeAlias

import attrs

_MAX_CHANGES: Final = 4
_MAX_PIECE: Final = 40
_MAX_DEPTH: Final = 60
_VARINT, _FIXED64, _LENGTH, _START_GROUP, _END_GROUP, _FIXED32 = range(6)
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}
_ODD_NUMBERS: Final = (0, 1, 0x7F, 0x80, 2**28, 2**31 - 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1)
_NESTINGS: Final = (
    lambda inner: _delimited(5, _delimited(1, inner)),
    lambda inner: _delimited(6, _delimited(1, _delimited(2, inner))),
    lambda inner: _varint(500 << 3 | _START_GROUP) + inner + _varint(500 << 3 | _END_GROUP),
)
"""Around an AnyValue in an array, in a list of keys and values, and around anything in a group."""

_Change: TypeAlias = Callable[[Random, bytes, bytes], bytes]


def mutate_bytes(rng: Random, data: bytes, donors: Sequence[bytes]) -> bytes:
    """Flip, cut, overwrite, repeat and splice a few times, blind to what the bytes mean."""
    return _several(rng, data, donors, _BLIND)


def mutate_fields(rng: Random, data: bytes, donors: Sequence[bytes]) -> bytes:
    """Change a few fields of a protobuf message at any depth, and sometimes its plain bytes."""
    return _several(rng, data, donors, (*_BLIND, *(_in_fields for _ in range(2 * len(_BLIND)))))


def _several(
    rng: Random, data: bytes, donors: Sequence[bytes], changes: Sequence[_Change]
) -> bytes:
    for _ in range(rng.randint(1, _MAX_CHANGES)):
        data = rng.choice(changes)(rng, data, rng.choice(donors))
    return data


def _flip(rng: Random, data: bytes, _: bytes) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _cut(rng: Random, data: bytes, _: bytes) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + data[place + rng.choice((1, 2, 8, len(data))) :]


def _overwrite(rng: Random, data: bytes, _: bytes) -> bytes:
    place = rng.randint(0, len(data))
    noise = rng.choice((b"\x00", b"\xff", rng.randbytes(1), rng.randbytes(4), b"\xff" * 9))
    return data[:place] + noise + data[place + len(noise) :]


def _repeat(rng: Random, data: bytes, _: bytes) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + data[max(0, place - rng.randint(0, _MAX_PIECE)) :]


def _splice(rng: Random, data: bytes, donor: bytes) -> bytes:
    place, start = rng.randint(0, len(data)), rng.randint(0, len(donor))
    return data[:place] + donor[start : start + rng.randint(0, _MAX_PIECE)] + data[place:]


_BLIND: Final[tuple[_Change, ...]] = (_flip, _cut, _overwrite, _repeat, _splice)


@attrs.frozen
class _Field:
    """A field and where it stands: its tag, its payload behind a length, its end."""

    begin: int
    number: int
    wire_type: int
    start: int
    end: int


def _in_fields(rng: Random, data: bytes, donor: bytes) -> bytes:
    """Change one field of *data*, or of a message inside it."""
    fields = _fields(data)
    if not fields:
        return data + _delimited(1, donor[:_MAX_PIECE])
    field = rng.choice(fields)
    payload = data[field.start : field.end]
    if field.wire_type == _LENGTH and rng.random() < 0.75 and _fields(payload):  # noqa: PLR2004 - most records lie four messages deep
        changed = _delimited(field.number, _in_fields(rng, payload, donor))
    else:
        changed = _changed(rng, field, data, donor)
    return data[: field.begin] + changed + data[field.end :]


def _changed(rng: Random, field: _Field, data: bytes, donor: bytes) -> bytes:
    whole, payload = data[field.begin : field.end], data[field.start : field.end]
    tag = _varint(field.number << 3 | field.wire_type)
    match rng.randrange(10):
        case 0:
            return b""
        case 1:
            return whole * rng.choice((2, 3, 40))
        case 2:
            return rng.choice(_fields_as_bytes(donor) or [b""]) + whole
        case 3:
            other = rng.choice((field.number ^ 1, rng.randrange(64), 0, 2**29 - 1, 2**29))
            return _varint(other << 3 | field.wire_type) + whole[len(tag) :]
        case 4:
            return _varint(field.number << 3 | rng.randrange(8)) + whole[len(tag) :]
        case 5:
            length = rng.choice((len(payload) - 1, len(payload) + 1, *_ODD_NUMBERS))
            return tag + _varint(max(length, 0)) + payload
        case 6:
            return _padded(rng, field.number << 3 | field.wire_type) + whole[len(tag) :]
        case 7:
            return tag + _padded(rng, rng.choice((len(payload), *_ODD_NUMBERS))) + payload
        case 8:
            nest = rng.choice(_NESTINGS)
            for _ in range(rng.randint(1, _MAX_DEPTH)):
                payload = nest(payload)
            return _delimited(field.number, payload)
        case _:
            number = rng.choice(_ODD_NUMBERS)
            width = _WIDTHS.get(field.wire_type)
            value = (number % (1 << 8 * width)).to_bytes(width, "little") if width else None
            return tag + (_varint(number) if value is None else value)


def _fields(data: bytes) -> list[_Field]:
    """Read *data* as a message without groups; nothing where it is none."""
    fields: list[_Field] = []
    at = 0
    while at < len(data):
        begin = at
        tag, at = _read_varint(data, at)
        start, wire_type = at, tag & 7
        if wire_type == _VARINT:
            _, at = _read_varint(data, at)
        elif wire_type == _LENGTH:
            length, start = _read_varint(data, at)
            at = start + length
        elif wire_type in _WIDTHS:
            at += _WIDTHS[wire_type]
        else:
            return []
        if at > len(data) or not tag >> 3:
            return []
        fields.append(_Field(begin, tag >> 3, wire_type, start, at))
    return fields


def _fields_as_bytes(data: bytes) -> list[bytes]:
    return [data[field.begin : field.end] for field in _fields(data)]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number and where it ends: beyond the data where it does not."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:  # noqa: PLR2004 - the bit that says more follows
            return value, at
        shift += 7
    return value, len(data) + 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _padded(rng: Random, value: int) -> bytes:
    """Write *value* in more bytes than it needs."""
    plain = _varint(value)
    more = rng.randint(1, 10)
    return plain[:-1] + bytes([plain[-1] | 0x80]) + b"\x80" * (more - 1) + b"\x00"


def _delimited(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(payload)) + payload

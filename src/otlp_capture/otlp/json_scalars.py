"""How each kind of scalar is read from OTLP/JSON, in the receiver's and in the import dialect.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and
https://protobuf.dev/programming-guides/json/.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

import attrs

from otlp_capture.otlp.json_text import describe_value
from otlp_capture.otlp.signals import Dialect
from otlp_capture.otlp.tables import Field, Kind, MessageTable

_INT32: Final = (-(2**31), 2**31 - 1, "an integer of 32 bits")
_UINT32: Final = (0, 2**32 - 1, "an unsigned integer of 32 bits")
_INT64: Final = (-(2**63), 2**63 - 1, "an integer of 64 bits, as a string or a number")
_UINT64: Final = (0, 2**64 - 1, "an unsigned integer of 64 bits, as a string or a number")

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_SPECIAL_DOUBLES: Final = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
_MAX_NUMBER_LENGTH: Final = 64
_MAX_INTEGER_DIGITS: Final = 20
_LARGEST_FLOAT: Final = 3.4028235677973366e38
_ID_BYTES: Final = (16, 8)


class Rejected(Exception):  # noqa: N818 - it names a value, and never leaves the JSON reader
    """A value that must not stand where it stands.

    The reader of each level around it adds its own segment, so the path is built only when needed.
    """

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(found, allowed)
        self.found = found
        self.allowed = allowed
        self._path = ""

    @property
    def path(self) -> str:
        """The JSON path, from the outermost key to the value."""
        return self._path or "the document"

    def stand_inside(self, key: str) -> None:
        """Put *key* before the path."""
        separator = "" if not self._path or self._path.startswith("[") else "."
        self._path = f"{key}{separator}{self._path}"

    def stand_at(self, index: int) -> None:
        """Put the place in an array before the path."""
        separator = "." if self._path else ""
        self._path = f"[{index}]{separator}{self._path}"


Read: TypeAlias = Callable[[Any, Field], Any]


@attrs.frozen(eq=False)
class Reading:
    """One dialect: which keys it knows, and how it reads each kind of scalar."""

    fields_of: Callable[[MessageTable], Mapping[str, Field]]
    read: Mapping[Kind, Read]


def _rejected(value: object, allowed: str) -> Rejected:
    return Rejected(describe_value(value), allowed)


def _read_string(value: Any, _: Field) -> str:
    if not isinstance(value, str):
        raise _rejected(value, "a string")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise _rejected(value, "a string without lone surrogates") from None
    return value


def _read_string_or_number(value: Any, field: Field) -> str:
    return json.dumps(value) if type(value) in (int, float) else _read_string(value, field)


def _read_bool(value: Any, _: Field) -> bool:
    if not isinstance(value, bool):
        raise _rejected(value, "true or false")
    return value


def _read_integer(value: Any, bounds: tuple[int, int, str]) -> int:
    low, high, allowed = bounds
    number = value if type(value) is int else _integral(value)
    if number is None or not low <= number <= high:
        raise _rejected(value, allowed)
    return number


def _integral(value: Any) -> int | None:
    """Return the integer that a string or an integral float writes, None where it writes none."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if not isinstance(value, str) or len(value) > _MAX_NUMBER_LENGTH:
        return None
    if _PLAIN_INTEGER.fullmatch(value):
        return int(value)
    if not _NUMBER.fullmatch(value):
        return None
    number = Decimal(value)
    is_short = number.adjusted() < _MAX_INTEGER_DIGITS
    return int(number) if is_short and number == number.to_integral_value() else None


def _read_int32(value: Any, _: Field) -> int:
    return _read_integer(value, _INT32)


def _read_uint32(value: Any, _: Field) -> int:
    return _read_integer(value, _UINT32)


def _read_int64(value: Any, _: Field) -> int:
    return _read_integer(value, _INT64)


def _read_uint64(value: Any, _: Field) -> int:
    return _read_integer(value, _UINT64)


def _read_double(value: Any, _: Field) -> float:
    allowed = 'a number, "NaN", "Infinity" or "-Infinity"'
    if isinstance(value, str) and value in _SPECIAL_DOUBLES:
        return _SPECIAL_DOUBLES[value]
    is_text = isinstance(value, str) and _NUMBER.fullmatch(value) is not None
    if not is_text and type(value) not in (int, float):
        raise _rejected(value, allowed)
    try:
        number = float(value)
    except OverflowError:
        raise _rejected(value, f"{allowed}, within the range of a double") from None
    if number in (float("inf"), float("-inf")):
        found = "a number beyond the range of a double"
        raise Rejected(found, f"{allowed}, within that range")
    return number


def _read_float(value: Any, field: Field) -> float:
    number = _read_double(value, field)
    if _LARGEST_FLOAT <= abs(number) < float("inf"):
        raise _rejected(value, "a number within the range of a float")
    return number


def _read_enum(value: Any, _: Field) -> int:
    if isinstance(value, str):
        raise _rejected(value, "an integer; OTLP/JSON writes enums as numbers")
    return _read_integer(value, _INT32)


def _read_enum_or_name(value: Any, field: Field) -> int:
    if isinstance(value, str) and value in field.enum:
        return field.enum[value]
    try:
        return _read_integer(value, _INT32)
    except Rejected:
        names = ", ".join(list(field.enum)[:6])
        raise _rejected(value, f"an integer, or a name such as {names}") from None


def _read_bytes(value: Any, _: Field) -> bytes:
    allowed = "a string in base64"
    if not isinstance(value, str):
        raise _rejected(value, allowed)
    standard = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError:
        raise _rejected(value, allowed) from None


def _strict_base64(text: str) -> bytes | None:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if base64.b64encode(value).decode() == text else None


def _read_id(value: Any, _: Field) -> bytes:
    if isinstance(value, str):
        if _HEX.fullmatch(value):
            return bytes.fromhex(value)
        decoded = _strict_base64(value)
        if decoded is not None and len(decoded) in _ID_BYTES:
            return decoded
    raise _rejected(value, "hex digits (32 for a trace id, 16 for a span id)")


def _read_id_of_any_length(value: Any, _: Field) -> bytes:
    if isinstance(value, str):
        if _HEX.fullmatch(value):
            return bytes.fromhex(value)
        decoded = _strict_base64(value)
        if decoded is not None:
            return decoded
    raise _rejected(value, "hex digits (32 for a trace id, 16 for a span id), or padded base64")


_OTLP: Final[Mapping[Kind, Read]] = {
    "string": _read_string,
    "bytes": _read_bytes,
    "id": _read_id,
    "bool": _read_bool,
    "double": _read_double,
    "float": _read_float,
    "enum": _read_enum,
    "int32": _read_int32,
    "uint32": _read_uint32,
    "int64": _read_int64,
    "uint64": _read_uint64,
}

READINGS: Final[Mapping[Dialect, Reading]] = {
    "otlp": Reading(lambda table: table.by_json_name, _OTLP),
    "import": Reading(
        lambda table: table.by_any_name,
        {
            **_OTLP,
            "id": _read_id_of_any_length,
            "enum": _read_enum_or_name,
            "string": _read_string_or_number,
        },
    ),
}

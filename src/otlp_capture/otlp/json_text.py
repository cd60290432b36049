"""OTLP/JSON text to plain Python values, within bounds.

A small text can be large in memory (20 MiB of `{},` are seven million dicts), so objects and arrays
are counted before the parser builds any.
"""

import codecs
import json
import re
from typing import Any, Final, NoReturn, TypeGuard

import attrs

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.signals import Dialect
from otlp_capture.result import Failure, Outcome, Success

ARRAYS_PER_ELEMENT: Final = 4
"""A span without content may still bring four empty lists."""

_SHOWN_CHARACTERS: Final = 40

# A string is taken whole, closed or not, and never again: no input makes this slower than linear.
_STRING_OR_OPENING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[{\[]', re.DOTALL)

_NEGATIVE_ZERO: Final = re.compile(r"-0(?![.eE0-9])")


class _BareConstant(ValueError):  # noqa: N818 - it names what is found, and never leaves this module
    pass


def parse_object(
    body: bytes, limits: Limits
) -> Outcome[dict[str, Any], InvalidRequest | RequestTooLarge]:
    """Parse the text of one JSON object.

    Stricter than `json.loads`: UTF-8 only, and no bare NaN or Infinity. Of keys that occur twice
    the last one wins.

    Fails with:
        RequestTooLarge: more bytes, or more objects and arrays, than *limits* allow.
        InvalidRequest: no JSON, no object, or nested too deep to be read.
    """
    if len(body) > limits.max_bytes:
        return Failure(RequestTooLarge("bytes", limits.max_bytes))
    if _opens_more_than(body, limits.max_elements):
        return Failure(RequestTooLarge("elements", limits.max_elements))
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{body[error.start]:02x}"
        return Failure(InvalidRequest(f"byte {error.start}", found, "JSON in UTF-8"))
    try:
        document = parse_text(text)
    except json.JSONDecodeError as error:
        return Failure(_no_json(error, error.lineno, error.colno))
    except _BareConstant as error:
        return Failure(_bare_constant(error))
    except ValueError:
        return Failure(
            InvalidRequest("the document", "a number of over 4,000 digits", "64-bit numbers")
        )
    except RecursionError:
        found = "arrays or objects nested hundreds deep"
        return Failure(InvalidRequest("the document", found, "the nesting of OTLP"))
    if not is_object(document):
        return Failure(InvalidRequest("the document", describe_value(document), "one JSON object"))
    return Success(document)


def parse_text(text: str) -> Any:
    """Parse JSON; a zero keeps its sign, with which the collector writes the double -0.0 as `-0`.

    Raises:
        ValueError: no JSON, a bare NaN or Infinity, or an integer of thousands of digits.
        RecursionError: it is nested too deep.

    >>> parse_text("[-0, 0, -7]")
    [-0.0, 0, -7]
    """
    if _NEGATIVE_ZERO.search(text) is None:
        return json.loads(text, parse_constant=_refuse_constant)
    return json.loads(text, parse_constant=_refuse_constant, parse_int=_signed)


def _signed(digits: str) -> int | float:
    return -0.0 if digits == "-0" else int(digits)


@attrs.frozen
class JsonFault:
    """Where a text in UTF-8 stops being JSON.

    Attributes:
        offset: the byte from which on what is left need be read to find the fault.
        before: what can stand for all that is before it.
    """

    offset: int
    before: str


def explain_fault(
    body: bytes, fault: JsonFault, limits: Limits
) -> InvalidRequest | RequestTooLarge | None:
    """Say what `parse_object` says, without building what stands before the fault.

    Returns:
        None if there is no fault: then the text is to be parsed as a whole.
    """
    if _opens_more_than(body, limits.max_elements):
        return RequestTooLarge("elements", limits.max_elements)
    passed = len(fault.before)
    try:
        json.loads(
            fault.before + str(memoryview(body)[fault.offset :], "utf-8"),
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        lines = body.count(b"\n", 0, fault.offset) + error.lineno
        if error.lineno > 1:
            return _no_json(error, lines, error.colno)
        line = body[body.rfind(b"\n", 0, fault.offset) + 1 : fault.offset]
        return _no_json(error, lines, len(line.decode()) + error.colno - passed)
    except _BareConstant as error:
        return _bare_constant(error)
    return None


def _no_json(error: json.JSONDecodeError, line: int, column: int) -> InvalidRequest:
    found = f"{describe_value(error.doc[error.pos : error.pos + 100])} ({error.msg})"
    return InvalidRequest(f"line {line} column {column}", found, "one JSON object")


def _bare_constant(error: _BareConstant) -> InvalidRequest:
    return InvalidRequest("the document", f"a bare {error}", 'the string "NaN" or alike')


def json_of(body: bytes, dialect: Dialect) -> bytes:
    """Return the text of a body as *dialect* has it: files may begin with a byte order mark."""
    return body.removeprefix(codecs.BOM_UTF8) if dialect == "import" else body


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Say whether *value* is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Say whether *value* is a JSON array."""
    return isinstance(value, list)


def _opens_more_than(body: bytes, limit: int) -> bool:
    objects_left, arrays_left = limit, limit * ARRAYS_PER_ELEMENT
    if body.count(b"{") <= objects_left and body.count(b"[") <= arrays_left:
        return False
    for match in _STRING_OR_OPENING.finditer(body):
        opening = body[match.start()]
        objects_left -= opening == ord("{")
        arrays_left -= opening == ord("[")
        if objects_left < 0 or arrays_left < 0:
            return True
    return False


def _refuse_constant(name: str) -> NoReturn:
    raise _BareConstant(name)


def describe_value(value: object) -> str:
    r"""Say what a JSON value is, shortened, in ASCII.

    >>> describe_value("zzz"), describe_value({}), describe_value(None)
    ('"zzz"', 'an object', 'null')
    """
    if is_object(value):
        return "an object"
    if is_array(value):
        return "an array"
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return f"{json.dumps(value[:_SHOWN_CHARACTERS])}... ({len(value)} characters)"
    text = json.dumps(value)
    return text if len(text) <= 2 * _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."

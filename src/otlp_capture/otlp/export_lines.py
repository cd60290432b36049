"""Lines of the collector's file exporter: JSON, one request a line, signals mixed."""

from collections.abc import Mapping
from typing import Any, Final

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.json_decode import parse_text, request_from_json
from otlp_capture.otlp.json_text import describe_value
from otlp_capture.otlp.kernel.choice import KERNEL
from otlp_capture.otlp.limits import DEFAULT_LIMITS, Limits
from otlp_capture.otlp.messages import request_table
from otlp_capture.otlp.signals import SIGNALS, Signal
from otlp_capture.result import Failure, Outcome, Success

_SIGNAL_OF_KEY: Final[Mapping[str, Signal]] = {
    key: signal for signal in SIGNALS for key in request_table(signal).by_any_name
}
_MAX_KEYS_SHOWN: Final = 5


def decode_export_line(
    line: bytes, limits: Limits = DEFAULT_LIMITS
) -> Outcome[tuple[tuple[Signal, bytes], ...], InvalidRequest]:
    """Read one line (or one whole JSON document) of a file exporter, in the import dialect.

    Args:
        line: the text.
        limits: what it may hold; above the default ones only what needs no parsed document.

    Returns:
        One request with its signal for each of resourceSpans, resourceMetrics and resourceLogs (or
        their snake_case), in the order of the keys.

    Fails with:
        InvalidRequest: no JSON object, none of these keys, a value that does not fit its field, or
            more than *limits* allow.

    Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/.

    >>> decode_export_line(b'{"resourceLogs":[],"resourceSpans":[]}')
    <Success: (('logs', b''), ('traces', b''))>
    """
    is_small = len(line) <= limits.max_bytes
    decoded = KERNEL.decode_line(line, limits) if KERNEL and is_small else None
    if decoded is None:
        return decode_line_by_parsing(line)
    return _invalid(decoded) if isinstance(decoded, Failure) else decoded


def decode_line_by_parsing(
    line: bytes,
) -> Outcome[tuple[tuple[Signal, bytes], ...], InvalidRequest]:
    """Do what `decode_export_line` does, through a parsed document and messages."""
    parsed = parse_text(line, "import", DEFAULT_LIMITS)
    if isinstance(parsed, Failure):
        return _invalid(parsed)
    document = parsed.unwrap()
    requests: list[tuple[Signal, bytes]] = []
    for key in document:
        signal = _SIGNAL_OF_KEY.get(key)
        if signal is None or document[key] is None:
            continue
        decoded = request_from_json({key: document[key]}, signal, "import", DEFAULT_LIMITS)
        if isinstance(decoded, Failure):
            return _invalid(decoded)
        requests.append((signal, decoded.unwrap()))
    return Success(tuple(requests)) if requests else Failure(_no_signal(document))


def _invalid(
    failure: Failure[InvalidRequest | RequestTooLarge],
) -> Failure[InvalidRequest]:
    error = failure.failure()
    if isinstance(error, InvalidRequest):
        return Failure(error)
    found = f"more than {error.limit:,} {error.unit}"
    return Failure(InvalidRequest("the document", found, "smaller requests"))


def _no_signal(document: Mapping[str, Any]) -> InvalidRequest:
    keys = [describe_value(key) for key in list(document)[:_MAX_KEYS_SHOWN]]
    more = ", ..." if len(document) > _MAX_KEYS_SHOWN else ""
    found = f"the keys {', '.join(keys)}{more}" if keys else "an empty object"
    names = [name for name in _SIGNAL_OF_KEY if "_" not in name]
    return InvalidRequest("the document", found, f"at least one of {', '.join(names)}")

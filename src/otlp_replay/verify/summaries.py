"""Records and values in a few words, for people."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from otlp_capture.clock import moment
from otlp_capture.otlp import Signal

_MAX_CHARACTERS: Final = 200
_BEFORE_THE_DIFFERENCE: Final = 40


def summarize(signal: Signal, levels: Mapping[str, Any]) -> str:
    """Say what a record is.

    Args:
        signal: which signal it is of.
        levels: what `otlp_capture.otlp.describe` says of it.

    >>> summarize("traces", {"spans": {"name": "GET /", "spanId": "0a", "traceId": "0b"}})
    'span GET / (span id 0a, trace id 0b)'
    >>> summarize("metrics", {"metrics": {"name": "load"}, "gauge": {}, "dataPoints": {}})
    'point of load'
    >>> summarize("logs", {"logRecords": {"body": {"stringValue": "started"}}})
    'log "started"'
    """
    level, write = _RECORDS[signal]
    if level in levels:
        return write(levels)
    innermost = list(levels)[-1]
    return f"unknown fields of a {innermost} without records"


def _span(levels: Mapping[str, Any]) -> str:
    span = levels["spans"]
    name = cut(str(span.get("name") or "without a name"))
    span_id, trace_id = span.get("spanId") or "none", span.get("traceId") or "none"
    return f"span {name} (span id {span_id}, trace id {trace_id})"


def _point(levels: Mapping[str, Any]) -> str:
    point = levels["dataPoints"]
    name = cut(str(levels["metrics"].get("name") or "a metric without a name"))
    attributes = ", ".join(
        f"{key}={_value(value)}" for key, value in point.get("attributes", {}).items()
    )
    series = f" {{{cut(attributes)}}}" if attributes else ""
    return f"point of {name}{series}{_time(point.get('timeUnixNano', 0))}"


def _log(levels: Mapping[str, Any]) -> str:
    record = levels["logRecords"]
    severity = cut(str(record.get("severityText") or ""))
    time = record.get("timeUnixNano") or record.get("observedTimeUnixNano", 0)
    body = cut(_value(record["body"])) if "body" in record else "without a body"
    return " ".join(filter(None, ("log", severity, body))) + _time(time)


_RECORDS: Final[Mapping[Signal, tuple[str, Callable[[Mapping[str, Any]], str]]]] = {
    "traces": ("spans", _span),
    "metrics": ("dataPoints", _point),
    "logs": ("logRecords", _log),
}


def _time(unix_nano: int) -> str:
    """Write a time to the nanosecond; nothing where it is unset."""
    if not unix_nano:
        return ""
    return f" at {moment(unix_nano):%Y-%m-%dT%H:%M:%S}.{unix_nano % 1_000_000_000:09d}Z"


def _value(value: Any) -> str:
    """Write an AnyValue, without the name of its kind."""
    plain = value
    if isinstance(value, Mapping):
        kinds = cast("Mapping[str, Any]", value)
        plain = next(iter(kinds.values())) if len(kinds) == 1 else kinds
    return json.dumps(plain, ensure_ascii=False)


def cut(text: str, start: int = 0) -> str:
    """Return at most 200 characters of *text* from *start*, and dots for what is left out.

    >>> len(cut("x" * 1000))
    201
    """
    shown = text[start : start + _MAX_CHARACTERS]
    before, behind = "…" if start else "", "…" if start + len(shown) < len(text) else ""
    return f"{before}{shown}{behind}"


def shown_apart(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two different values as they are, or, where they are long, what sets them apart.

    >>> shown_apart(1, "1")
    (1, '1')
    >>> one, other = shown_apart("x" * 500 + "a", "x" * 500 + "b")
    >>> one == "…" + "x" * 40 + "a", other == "…" + "x" * 40 + "b"
    (True, True)
    """
    text_a, text_b = _text(a), _text(b)
    if max(len(text_a), len(text_b)) <= _MAX_CHARACTERS:
        return a, b
    pairs = enumerate(zip(text_a, text_b, strict=False))
    shorter = min(len(text_a), len(text_b))
    first = next((at for at, (one, other) in pairs if one != other), shorter)
    start = max(0, first - _BEFORE_THE_DIFFERENCE)
    return (
        None if a is None else cut(text_a, start),
        None if b is None else cut(text_b, start),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

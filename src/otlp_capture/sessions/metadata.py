"""The document that describes a session, `metadata.json`. Source: docs/storage-format.md."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal, NoReturn, TypeAlias, cast, get_args

import attrs

from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success

SessionStatus: TypeAlias = Literal["active", "completed", "failed"]
EndReason: TypeAlias = Literal["stopped", "maxSize", "maxDuration"]
SCHEMA_VERSION: Final = 1


@attrs.frozen
class MetadataCorrupted:
    """A session's metadata is no such document."""

    key: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and where."""
        return (
            f"{self.key} is not the metadata of a session: {self.reason}. "
            f"Correct it by hand; what the session recorded lies beside it, unharmed."
        )


def _copied(labels: Mapping[str, str]) -> dict[str, str]:
    return dict(labels)


@attrs.frozen
class RecordCounts:
    """How many records of each kind a session holds."""

    spans: int = 0
    data_points: int = 0
    log_records: int = 0


@attrs.frozen
class CaptureSwitches:
    """What a session records, and when it ends by itself.

    Attributes:
        traces: whether it records traces.
        metrics: whether it records metrics.
        logs: whether it records logs.
        compression_enabled: whether frames are compressed.
        max_size_mb: the stored size that ends it, in 10^6 bytes; None: no limit.
        max_duration_minutes: the age that ends it; None: no limit.
    """

    traces: bool = True
    metrics: bool = True
    logs: bool = True
    compression_enabled: bool = True
    max_size_mb: float | None = None
    max_duration_minutes: float | None = None

    def records(self, signal: Signal) -> bool:
        """Whether requests of *signal* are to be kept."""
        switches = {"traces": self.traces, "metrics": self.metrics, "logs": self.logs}
        return switches.get(signal, False)


@attrs.frozen
class Hold:
    """What keeps a session from being deleted or archived.

    Attributes:
        reason: a sentence for people.
        since: when it was put.
        unknown: fields of other writers, kept as they are.
    """

    reason: str | None = None
    since: datetime | None = None
    unknown: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen(kw_only=True)
class CaptureSessionMetadata:
    """What is known of a session as a whole.

    Attributes:
        session_id: its name.
        diagnostic_session_id: the diagnosis that it belongs to.
        start_time: when it began.
        end_time: when it ended; None while it is active.
        status: `active`, `completed` or `failed`.
        enabled_flags: the feature flags that were on.
        captured_traces: requests with traces.
        captured_metrics: requests with metrics.
        captured_logs: requests with logs.
        total_size_bytes: stored bytes.
        s3_prefix: where it lies, without the store's own prefix.
        created_by: who or what made it.
        description: a sentence for people.
        schema_version: of this document.
        record_counts: the records inside the requests.
        total_raw_bytes: bytes of the requests, decompressed.
        last_checkpoint_time: when this document was last written by the one who records.
        labels: for selection.
        capture: what it records, and when it ends by itself.
        end_reason: why it ended; None while it is active, or where another writer did not say.
        recorder_id: who records it, as the spool of that process says, too; None: nobody, or one
            without a spool.
        hold: what keeps it from being deleted or archived; None: nothing does.
        deleting_since: when its deletion was begun, which may have been interrupted.
        unknown: fields of other writers, kept as they are, also those inside ours.
    """

    session_id: str
    start_time: datetime
    status: SessionStatus
    s3_prefix: str
    created_by: str
    diagnostic_session_id: str | None = None
    end_time: datetime | None = None
    enabled_flags: tuple[str, ...] = ()
    captured_traces: int = 0
    captured_metrics: int = 0
    captured_logs: int = 0
    total_size_bytes: int = 0
    description: str | None = None
    schema_version: int = SCHEMA_VERSION
    record_counts: RecordCounts = RecordCounts()
    total_raw_bytes: int = 0
    last_checkpoint_time: datetime | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_copied)
    capture: CaptureSwitches = CaptureSwitches()
    end_reason: EndReason | None = None
    recorder_id: str | None = None
    hold: Hold | None = None
    deleting_since: datetime | None = None
    unknown: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def captured_requests(self) -> int:
        """Requests of all signals."""
        return self.captured_traces + self.captured_metrics + self.captured_logs


def metadata_document(metadata: CaptureSessionMetadata) -> dict[str, Any]:
    """Return the document as JSON values, in the documented camelCase."""
    fields = attrs.asdict(metadata, recurse=True, value_serializer=_to_json)
    unknown = cast("dict[str, Any]", fields.pop("unknown"))
    hold = cast("dict[str, Any]", fields.pop("hold") or {})
    known = _camel_keys(fields)
    if metadata.hold is not None:
        known["hold"] = {**hold.pop("unknown"), **_camel_keys(hold)}
    parts = {name: {**unknown.get(name, {}), **known[name]} for name in map(_camel, _PARTS)}
    return {**unknown, **known, **parts}


def encode_metadata(metadata: CaptureSessionMetadata) -> bytes:
    """Write the document: indented JSON, UTF-8, for people too."""
    text = json.dumps(metadata_document(metadata), indent=2, ensure_ascii=False)
    # UTF-8 has no lone surrogates; their escape is the same in Python and in JSON.
    return text.encode(errors="backslashreplace") + b"\n"


def decode_metadata(
    key: str, document: bytes
) -> Outcome[CaptureSessionMetadata, MetadataCorrupted]:
    """Read the document; what this version does not know survives in `unknown`.

    Args:
        key: where it was read, for the message of an error.
        document: its bytes.

    Fails with:
        MetadataCorrupted: it is not JSON, or a field is missing or of the wrong type.
    """
    try:
        values = json.loads(document, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return Failure(MetadataCorrupted(key, f"it is not JSON ({error})"))
    try:
        known, unknown = _read_fields("the document", values, _FIELDS)
        for name, (kind, readers) in _PARTS.items():
            camel = _camel(name)
            part, rest = _read_fields(camel, unknown.pop(camel, None) or {}, readers)
            known[name] = kind(**part)
            unknown |= {camel: rest} if rest else {}
        held = unknown.pop("hold", None)
        if held is not None:
            fields, rest = _read_fields("hold", held, _HOLD)
            known["hold"] = Hold(**fields, unknown=rest)
        lacking = [_camel(name) for name in _REQUIRED if name not in known]
        if lacking:
            return Failure(MetadataCorrupted(key, f"it lacks {', '.join(lacking)}"))
        return Success(CaptureSessionMetadata(**known, unknown=unknown))
    except _WrongValueError as error:
        return Failure(MetadataCorrupted(key, str(error)))


class _WrongValueError(Exception):
    """A field holds what it cannot hold; the text says which and what."""


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number there")


def _to_json(_owner: object, _field: object, value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case tuple():
            return list(cast("tuple[Any, ...]", value))
        case _:
            return value


_INITIALISMS: Final = {"maxSizeMb": "maxSizeMB"}
_FREE_FORM: Final = frozenset({"labels"})


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    camel = head + "".join(word.capitalize() for word in rest)
    return _INITIALISMS.get(camel, camel)


def _camel_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys, and leave out what is not set: the documented fields are optional."""
    return {
        _camel(name): _camel_keys(cast("dict[str, Any]", value))
        if isinstance(value, dict) and name not in _FREE_FORM
        else value
        for name, value in values.items()
        if value is not None
    }


_Reader: TypeAlias = Callable[[Any], Any]


def _read_fields(
    what: str, values: Any, readers: Mapping[str, _Reader]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the fields that *readers* know, under their names here, from the others; null is unset.

    Raises:
        _WrongValueError: *what* is no object, or a field of it holds what it cannot hold.
    """
    if not isinstance(values, dict):
        raise _WrongValueError(f"{what} is {values!r:.80}, not an object")
    unknown = dict(cast("dict[str, Any]", values))
    known: dict[str, Any] = {}
    for name, read in readers.items():
        value = unknown.pop(_camel(name), None)
        if value is None:
            continue
        try:
            known[name] = read(value)
        except _WrongValueError as error:
            raise _WrongValueError(f"{_camel(name)} is {value!r:.80}, not {error}") from error
    return known, unknown


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongValueError("a text")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _WrongValueError("a count")
    return value


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and value > 0):
        raise _WrongValueError("a positive number")
    return float(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _WrongValueError("true or false")
    return value


def _time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(_text(value))
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError, _WrongValueError) as error:
        raise _WrongValueError("an ISO-8601 time") from error


def _one_of(allowed: tuple[str, ...]) -> _Reader:
    def read(value: Any) -> str:
        if value not in allowed:
            raise _WrongValueError(f"one of {', '.join(allowed)}")
        return _text(value)

    return read


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _WrongValueError("a list of texts")
    return tuple(_text(item) for item in cast("list[Any]", value))


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _WrongValueError("an object of texts")
    return {name: _text(item) for name, item in cast("dict[str, Any]", value).items()}


_FIELDS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(("session_id", "s3_prefix", "created_by"), _text),
    **dict.fromkeys(("diagnostic_session_id", "description", "recorder_id"), _text),
    **dict.fromkeys(("start_time", "end_time", "last_checkpoint_time", "deleting_since"), _time),
    **dict.fromkeys(("captured_traces", "captured_metrics", "captured_logs"), _count),
    **dict.fromkeys(("total_size_bytes", "total_raw_bytes", "schema_version"), _count),
    "status": _one_of(get_args(SessionStatus)),
    "end_reason": _one_of(get_args(EndReason)),
    "enabled_flags": _texts,
    "labels": _labels,
}
_COUNTS: Final[Mapping[str, _Reader]] = dict.fromkeys(
    ("spans", "data_points", "log_records"), _count
)
_SWITCHES: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(("traces", "metrics", "logs", "compression_enabled"), _switch),
    **dict.fromkeys(("max_size_mb", "max_duration_minutes"), _number),
}
_HOLD: Final[Mapping[str, _Reader]] = {"reason": _text, "since": _time}
_PARTS: Final[Mapping[str, tuple[Callable[..., Any], Mapping[str, _Reader]]]] = {
    "record_counts": (RecordCounts, _COUNTS),
    "capture": (CaptureSwitches, _SWITCHES),
}
_REQUIRED: Final = tuple(
    field.name for field in attrs.fields(CaptureSessionMetadata) if field.default is attrs.NOTHING
)

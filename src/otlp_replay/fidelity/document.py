"""The certificate as a document: `sessions/{id}/replays/{replay id}.json`."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar, cast

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.fidelity.certificate import SCHEMA_VERSION, FidelityCertificate
from otlp_replay.fidelity.histogram import Distribution, bucket_of
from otlp_replay.fidelity.rows import DeliveryRow, Timing
from otlp_replay.fidelity.series import Stretch

T = TypeVar("T")


@attrs.frozen
class CertificateCorrupted:
    """What is stored as a certificate is none."""

    key: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is wrong, and where."""
        return (
            f"{self.key} is not the fidelity certificate of a replay: {self.reason}. "
            f"The session beside it is unharmed; delete the file, or replay again."
        )


def encode_certificate(certificate: FidelityCertificate) -> bytes:
    """Write a certificate: JSON, UTF-8, one field a line."""
    fields = (
        f"  {json.dumps(name)}: {json.dumps(value, allow_nan=False)}"
        for name, value in certificate.to_json().items()
    )
    return ("{\n" + ",\n".join(fields) + "\n}\n").encode()


def decode_certificate(
    key: str, document: bytes
) -> Outcome[FidelityCertificate, CertificateCorrupted]:
    """Read a certificate.

    Args:
        key: where it was read, for the message of an error.
        document: its bytes.

    Fails with:
        CertificateCorrupted: it is none, or one of a later version.
    """
    try:
        values = json.loads(document)
    except (ValueError, RecursionError) as error:
        return Failure(CertificateCorrupted(key, f"it is not JSON ({error})"))
    try:
        return Success(_certificate(_Fields("the document", values)))
    except _Unreadable as error:
        return Failure(CertificateCorrupted(key, str(error)))


class _Unreadable(Exception):  # noqa: N818 - it is caught a few lines above, and never leaves
    """Says which field is not what it is to be."""


class _Fields:
    """The fields of a JSON object, each asked for by its type."""

    def __init__(self, name: str, values: object) -> None:
        if not isinstance(values, dict):
            message = f"{name} is no object"
            raise _Unreadable(message)
        self._values = cast("dict[str, Any]", values)

    def one(self, name: str, kind: type[T]) -> T:
        value = self._values.get(name)
        if type(value) is not kind:
            told = "missing" if name not in self._values else repr(value)[:80]
            message = f"{name} is {told}; it is to be a {kind.__name__}"
            raise _Unreadable(message)
        return value

    def count(self, name: str) -> int:
        value = self.one(name, int)
        if value < 0:
            message = f"{name} is {value}; it is 0 or more"
            raise _Unreadable(message)
        return value

    def text(self, name: str) -> str:
        return self.one(name, str) if name in self._values else ""

    def moment(self, name: str) -> datetime | None:
        if name not in self._values:
            return None
        text = self.one(name, str)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            message = f"{name} is {text[:80]!r}; it is a time such as 2026-11-24T18:00:00.000000Z"
            raise _Unreadable(message)
        return found

    def part(self, name: str) -> "_Fields":
        return _Fields(name, cast("dict[str, Any]", self.one(name, dict)))

    def each(self, name: str, read: "Callable[[_Fields], T]") -> tuple[T, ...]:
        held = cast("list[Any]", self.one(name, list))
        return tuple(read(_Fields(f"an item of {name}", value)) for value in held)

    def texts(self, name: str) -> tuple[str, ...]:
        held = cast("list[Any]", self.one(name, list))
        if not held or not all(isinstance(value, str) for value in held):
            message = f"{name} is to be a list of texts, and not empty"
            raise _Unreadable(message)
        return tuple(held)

    def counts(self, name: str) -> Mapping[str, int]:
        held = self.part(name)
        return {each: held.count(each) for each in cast("dict[str, Any]", self.one(name, dict))}

    def buckets(self) -> tuple[tuple[int, int, int], ...]:
        found = dict[int, tuple[int, int]]()
        for item in cast("list[Any]", self.one("buckets", list)):
            match item:
                case [int(count), int(total)] if count > 0:
                    found[bucket_of(total // count)] = count, total
                case _:
                    message = f"a bucket is {item!r:.80}; it is to be a count and a sum"
                    raise _Unreadable(message)
        return tuple((bucket, *found[bucket]) for bucket in sorted(found))


def _certificate(fields: _Fields) -> FidelityCertificate:
    version = fields.one("schemaVersion", int)
    if version != SCHEMA_VERSION:
        message = f"its schemaVersion is {version}, and this version reads {SCHEMA_VERSION}"
        raise _Unreadable(message)
    return FidelityCertificate(
        replay_id=fields.one("replayId", str),
        session_ids=fields.texts("sessionIds"),
        target=fields.one("target", str),
        speed=fields.one("speed", str),
        status=fields.one("status", str),
        error=fields.text("error"),
        started_at=fields.moment("startedAt"),
        completed_at=fields.moment("completedAt"),
        planned_requests=fields.count("plannedRequests"),
        timing=Timing(
            planned_duration_ns=fields.one("plannedDurationNs", int),
            achieved_duration_ns=fields.one("achievedDurationNs", int),
            worst_drift_ns=fields.one("worstDriftNs", int),
        ),
        lateness=_distribution(fields, "lateness"),
        departure=_distribution(fields, "departure"),
        answer=_distribution(fields, "answer"),
        planned_gaps=_distribution(fields, "plannedGaps"),
        achieved_gaps=_distribution(fields, "achievedGaps"),
        gaps_left_out=fields.count("gapsLeftOut"),
        deliveries=fields.each("deliveries", _row),
        not_sent_reasons=fields.counts("notSentReasons"),
        retries=fields.count("retries"),
        series=fields.each("series", _stretch),
        width_ns=fields.count("widthNs"),
    )


def _distribution(fields: _Fields, name: str) -> Distribution:
    part = fields.part(name)
    read = Distribution(
        count=part.count("count"),
        total=part.one("sumNs", int),
        minimum=part.one("minNs", int),
        maximum=part.one("maxNs", int),
        buckets=part.buckets(),
    )
    held = [sum(each) for each in zip(*(bucket[1:] for bucket in read.buckets), strict=True)]
    if (held or [0, 0]) != [read.count, read.total]:
        message = f"the buckets of {name} do not add up to its count and sum"
        raise _Unreadable(message)
    return read


def _row(fields: _Fields) -> DeliveryRow:
    return DeliveryRow(
        signal=fields.one("signal", str),
        outcome=fields.one("outcome", str),
        status=fields.one("status", str),
        requests=fields.count("requests"),
        records=fields.count("records"),
        rejected_records=fields.count("rejectedRecords"),
        size_bytes=fields.count("sizeBytes"),
    )


def _stretch(fields: _Fields) -> Stretch:
    return Stretch(
        start_ns=fields.one("startNs", int),
        planned=fields.count("planned"),
        dispatched=fields.count("dispatched"),
        p50_ns=fields.one("p50Ns", int),
        p99_ns=fields.one("p99Ns", int),
        max_ns=fields.one("maxNs", int),
    )

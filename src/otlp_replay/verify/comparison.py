"""What a comparison of two recordings found. A is the original, B is what arrived."""

import json
from typing import Any, Literal, TypeAlias

import attrs

from otlp_capture.otlp import Signal

ShiftMode: TypeAlias = Literal["auto", "none", "constant", "per-request"]
"""How B's timestamps may differ from A's: not at all, by one constant, or by one a request."""

DifferenceKind: TypeAlias = Literal["missing", "extra", "duplicated", "changed"]


@attrs.frozen
class ShiftFound:
    """How much later B's timestamps are than A's, in nanoseconds.

    Attributes:
        mode: how it was asked for.
        ns: the one shift of everything; None where requests were moved differently.
        min_ns: the smallest shift.
        max_ns: the largest shift.
        by_loop: of a session that was declared to be sent in loops, the shift of each; else empty.
    """

    mode: ShiftMode
    ns: int | None
    min_ns: int
    max_ns: int
    by_loop: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found: dict[str, Any] = {
            "mode": self.mode,
            "ns": self.ns,
            "minNs": self.min_ns,
            "maxNs": self.max_ns,
        }
        return {**found, "byLoop": list(self.by_loop)} if self.by_loop else found


@attrs.frozen(kw_only=True)
class ServiceCounts:
    """What was compared and found of one signal of one service.

    Attributes:
        signal: which signal.
        service: the `service.name`; `""` where a resource has none.
        records_a: records in A.
        records_b: records in B.
        missing: see `Comparison`, like the rest.
        extra: likewise.
        duplicated: likewise.
        changed: likewise; a record that changed its service counts for the one it has in A.
    """

    signal: Signal
    service: str
    records_a: int = 0
    records_b: int = 0
    missing: int = 0
    extra: int = 0
    duplicated: int = 0
    changed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "signal": self.signal,
            "service": self.service,
            "recordsA": self.records_a,
            "recordsB": self.records_b,
            "missing": self.missing,
            "extra": self.extra,
            "duplicated": self.duplicated,
            "changed": self.changed,
        }


@attrs.frozen
class Place:
    """Where a record lies.

    Attributes:
        key: the segment.
        offset: where its frame begins in the segment, in bytes.
        received_unix_nano: when its request arrived.
        path: where it stands in its request, such as
            `resourceLogs[0].scopeLogs[0].logRecords[2]`.
    """

    key: str
    offset: int
    received_unix_nano: int
    path: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "key": self.key,
            "offset": self.offset,
            "receivedUnixNano": self.received_unix_nano,
            "path": self.path,
        }


@attrs.frozen
class FieldDifference:
    """The first field in which a record differs.

    Attributes:
        path: the field, from the resource down, such as `spans.attributes.http.route.stringValue`.
        a: what A has there as JSON values, None for nothing; cut where it is long.
        b: what B has there, as it stands there: the shift is not taken off.
    """

    path: str
    a: Any
    b: Any

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.path} is {_written(self.a)} in A and {_written(self.b)} in B"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"path": self.path, "a": self.a, "b": self.b}


def _written(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


@attrs.frozen(kw_only=True)
class FieldCounts:
    """How many changed records of one signal of one service differ first in one field.

    Attributes:
        signal: which signal.
        service: the `service.name`.
        field: the field, as in `FieldDifference.path`; `""` where only the encoding differs; None
            for those beyond the first ten thousand, whose fields were not looked up.
        changed: how many records.
    """

    signal: Signal
    service: str
    field: str | None
    changed: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "signal": self.signal,
            "service": self.service,
            "field": self.field,
            "changed": self.changed,
        }


@attrs.frozen(kw_only=True)
class Difference:
    """One record that differs, as an example.

    Attributes:
        kind: how it differs.
        signal: which signal it is of.
        service: its `service.name`.
        record: what it is, for people: a span's name and ids, a metric's name, a log's body.
        place_a: where it lies in A; None where it is extra or duplicated.
        place_b: where it lies in B; None where it is missing.
        field: of a changed record the first field that differs. None where no field does: the two
            differ only in how they are encoded.
    """

    kind: DifferenceKind
    signal: Signal
    service: str
    record: str
    place_a: Place | None = None
    place_b: Place | None = None
    field: FieldDifference | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        service = f" of service {self.service}" if self.service else ""
        line = f"{self.kind}: {self.record}{service}"
        if self.kind != "changed":
            return line
        return f"{line}; {self.field or 'only how it is encoded differs'}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kind": self.kind,
            "signal": self.signal,
            "service": self.service,
            "record": self.record,
            "a": self.place_a.to_json() if self.place_a else None,
            "b": self.place_b.to_json() if self.place_b else None,
            "field": self.field.to_json() if self.field else None,
        }


@attrs.frozen(kw_only=True)
class Comparison:
    """How two recordings compare, a declared shift undone.

    Of a record that A holds n times and B m times, n - m are missing or m - n duplicated. A missing
    and an extra record that are the same by name (a span by its ids, a point by its series, a log
    by its ids, severity and body) are one changed record. A resource, scope or metric without
    records that holds unknown fields is compared too, and is no record in `records_a` and
    `records_b`.

    Attributes:
        missing: records that A has and B has not, or has too seldom.
        extra: records that B has and A has not.
        duplicated: further copies in B of records that A has.
        changed: records that are in both, and differ.
        records_a: records in A.
        records_b: records in B.
        requests_a: requests in A.
        requests_b: requests in B. How records are batched does not matter.
        shift: how much later B is.
        by_service: the counts by signal and service, also of services without a difference.
        differences: the first examples of each kind, in the order of arrival.
        by_field: the changed records by the field that differs, the most frequent first.
        active: the sessions that were still recorded: they were compared as they stood.
    """

    missing: int
    extra: int
    duplicated: int
    changed: int
    records_a: int
    records_b: int
    requests_a: int
    requests_b: int
    shift: ShiftFound
    by_service: tuple[ServiceCounts, ...]
    differences: tuple[Difference, ...]
    by_field: tuple[FieldCounts, ...] = ()
    active: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the recordings are equal."""
        return not (self.missing or self.extra or self.duplicated or self.changed)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, in camelCase."""
        return {
            "equal": self.equal,
            "missing": self.missing,
            "extra": self.extra,
            "duplicated": self.duplicated,
            "changed": self.changed,
            "shift": self.shift.to_json(),
            "recordsA": self.records_a,
            "recordsB": self.records_b,
            "requestsA": self.requests_a,
            "requestsB": self.requests_b,
            "byService": [row.to_json() for row in self.by_service],
            "byField": [row.to_json() for row in self.by_field],
            "active": list(self.active),
            "differences": [difference.to_json() for difference in self.differences],
        }

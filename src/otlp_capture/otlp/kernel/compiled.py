"""The compiled walk in the words of the wire: signals in, outcomes out."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from otlp_capture.otlp.errors import InvalidRequest, RequestTooLarge
from otlp_capture.otlp.facts import Container, RequestFacts
from otlp_capture.otlp.faults import FaultFound, as_error, invalid
from otlp_capture.otlp.json_scalars import READINGS, Rejected
from otlp_capture.otlp.json_text import JsonFault, explain_fault, json_of
from otlp_capture.otlp.kernel import json_read, json_write, redact, walk
from otlp_capture.otlp.kernel.asking import NUMBERS, Asking, Lookup, MalformedValue
from otlp_capture.otlp.kernel.json_layout import JsonLayout
from otlp_capture.otlp.kernel.layout import Layout
from otlp_capture.otlp.limits import Limits
from otlp_capture.otlp.measures import MOST_ADDED, Policy, Redacted
from otlp_capture.otlp.messages import request_table
from otlp_capture.otlp.nesting import nested_too_deep
from otlp_capture.otlp.places import place_of
from otlp_capture.otlp.signals import SIGNALS, Dialect, Signal
from otlp_capture.otlp.structure import (
    DATA_POINTS,
    FALLBACK_TIME_FIELDS,
    ITEMS,
    RECORD_TIME_FIELDS,
    RESOURCES,
    SCOPES,
)
from otlp_capture.otlp.tables import Field, MessageTable, reachable_from
from otlp_capture.otlp.trace_choice import TRACE_KEY, ChosenRecords, TraceChoice
from otlp_capture.result import Failure, Outcome, Success

_UNLIMITED: Final = 2**31 - 1
"""What protobuf itself allows, in bytes."""

Traits: TypeAlias = Mapping[tuple[str, str], frozenset[str]]
"""What a walk has to know of fields beyond their types, by message and name."""


class CompiledWalk:
    """What requests are asked and how they are changed, by one walk over their bytes.

    Each method returns None where the walk hands over to messages: a singular field or a oneof
    repeats, of which a parser keeps the last, or the answer needs more than the bytes.
    """

    def __init__(self) -> None:
        requests = [request_table(signal) for signal in SIGNALS]
        tables = {table.full_name: table for root in requests for table in reachable_from(root)}
        self._layout: Final = Layout(list(tables.values()), _traits(), _places(tables.values()))
        self._lookups: Final = WeakKeyDictionary[Policy, Lookup]()
        self._place_of: Final[Mapping[Signal, int]] = {
            signal: list(tables).index(request_table(signal).full_name) for signal in SIGNALS
        }

    def scan(
        self, request: bytes, signal: Signal, limits: Limits
    ) -> Outcome[RequestFacts, InvalidRequest | RequestTooLarge] | None:
        """Do what `otlp.scan` does, but for the size in bytes."""
        max_elements = min(limits.max_elements, _UNLIMITED)
        max_values = min(limits.max_any_value_depth, _UNLIMITED)
        place = self._place_of[signal]
        try:
            found = walk.scan(self._layout, place, request, max_elements, max_values)
        except FaultFound as fault:
            return Failure(as_error(fault, limits))
        if found is None:
            return None
        too_deep, records, earliest, latest, services = found
        if too_deep is not None:
            return Failure(nested_too_deep(request, signal, too_deep, max_values))
        names = sorted(service.decode() for service in services)
        return Success(RequestFacts(records, earliest, latest, tuple(names)))

    def counts(self, request: bytes, signal: Signal, limits: Limits) -> bool:
        """Say whether all elements of a request were counted, and are no more than may be."""
        max_elements = min(limits.max_elements, _UNLIMITED)
        return walk.counts(self._layout, self._place_of[signal], request, max_elements)

    def shift(
        self, request: bytes, signal: Signal, delta_ns: int
    ) -> Outcome[bytes, InvalidRequest] | None:
        """Do what `otlp.shift_timestamps` does; None also where a time would leave its range."""
        distance_ns = abs(delta_ns)
        if distance_ns >= 1 << 64:
            return None
        place = self._place_of[signal]
        try:
            moved = walk.shift(self._layout, place, request, distance_ns, delta_ns < 0)
        except FaultFound as fault:
            return Failure(invalid(fault))
        return None if moved is None else Success(moved)

    def remap(
        self, request: bytes, signal: Signal, key: bytes
    ) -> Outcome[bytes, InvalidRequest] | None:
        """Do what `otlp.remap_ids` does; None also where an id is longer than a hash."""
        try:
            renamed = walk.remap(self._layout, self._place_of[signal], request, key)
        except FaultFound as fault:
            return Failure(invalid(fault))
        return None if renamed is None else Success(renamed)

    def redact(
        self, request: bytes, signal: Signal, policy: Policy
    ) -> Outcome[Redacted, InvalidRequest | RequestTooLarge] | None:
        """Do what `otlp.redact` does; None also where the bytes are malformed."""
        lookup = self._lookups.get(policy)
        if lookup is None:
            lookup = self._lookups[policy] = Lookup(policy)
        asking, place = Asking(policy, lookup), self._place_of[signal]
        try:
            done = redact.redact(self._layout, place, request, lookup.verdicts, asking)
        except (MalformedValue, UnicodeDecodeError):
            return None
        if asking.editing.is_overgrown:
            return Failure(RequestTooLarge("bytes", len(request) + MOST_ADDED))
        if done is None:
            return None
        redacted, dropped, unknown = done
        return Success(Redacted(redacted, lookup.tally(dropped, unknown, asking.editing.counts)))

    def select_traces(
        self, request: bytes, signal: Signal, choice: TraceChoice
    ) -> Outcome[ChosenRecords, InvalidRequest] | None:
        """Do what `otlp.select_traces` does; None also where an id is longer than a block."""
        place = self._place_of[signal]
        bounds = (choice.low, choice.high - 1) if choice.low < choice.high else (1, 0)
        try:
            found = walk.select_traces(
                self._layout, place, request, TRACE_KEY, *bounds, choice.keeps_untraced
            )
        except FaultFound as fault:
            return Failure(invalid(fault))
        return None if found is None else Success(ChosenRecords(*found))

    def span_links(self, request: bytes) -> Outcome[bytes, InvalidRequest] | None:
        """Return what `otlp.span_links` returns, as the bytes of its numbers."""
        place = self._place_of["traces"]
        try:
            found = walk.span_links(self._layout, place, request, TRACE_KEY)
        except FaultFound as fault:
            return Failure(invalid(fault))
        return None if found is None else Success(found)

    def containers(
        self, request: bytes, signal: Signal
    ) -> Outcome[list[Container], InvalidRequest] | None:
        """Return where the containers of a request stand, and of which service each is.

        Fails with:
            InvalidRequest: the bytes are malformed.
        """
        try:
            found = walk.containers(self._layout, self._place_of[signal], request)
        except FaultFound as fault:
            return Failure(invalid(fault))
        return None if found is None else Success([Container(*each) for each in found])

    @cached_property
    def _json_layout(self) -> JsonLayout:
        requests = list(self._place_of.values())
        return JsonLayout(self._layout.tables, requests)

    @cached_property
    def _signal_of(self) -> Mapping[Field, Signal]:
        return {
            field: signal
            for signal in SIGNALS
            for field in request_table(signal).by_number.values()
        }

    def decode_json(
        self, body: bytes, signal: Signal, dialect: Dialect, limits: Limits
    ) -> Outcome[bytes, InvalidRequest | RequestTooLarge] | None:
        """Do what `otlp.decode` does with OTLP/JSON, but for the size of the text."""
        readers, place = READINGS[dialect].read, self._place_of[signal]
        layout, is_import = self._json_layout, dialect == "import"
        found = json_read.read(layout, place, body, is_import, readers, limits)
        if isinstance(found, bytes):
            return Success(found)
        return _refusal(found, json_of(body, dialect), limits)

    def decode_line(
        self, line: bytes, limits: Limits
    ) -> Outcome[tuple[tuple[Signal, bytes], ...], InvalidRequest | RequestTooLarge] | None:
        """Do what `otlp.decode_export_line` does; None also where no key holds a request."""
        readers = READINGS["import"].read
        found = json_read.read_line(self._json_layout, line, readers, limits)
        if not isinstance(found, list):
            return _refusal(found, json_of(line, "import"), limits)
        requests: list[tuple[Signal, bytes]] = []
        for field, each in found:
            if not isinstance(each, bytes):
                return _refusal(each, line, limits)
            requests.append((self._signal_of[field], each))
        return Success(tuple(requests)) if requests else None

    def encode_json(self, request: bytes, signal: Signal, max_values: int) -> bytes | None:
        """Write what `otlp.encode` writes as OTLP/JSON; None also for what it refuses."""
        return json_write.write(self._json_layout, self._place_of[signal], request, max_values)


def _refusal(
    found: "json_read.Refusal | JsonFault | None", text: bytes, limits: Limits
) -> Failure[InvalidRequest | RequestTooLarge] | None:
    match found:
        case "bytes":
            return Failure(RequestTooLarge("bytes", limits.max_bytes))
        case "elements":
            return Failure(RequestTooLarge("elements", limits.max_elements))
        case Rejected():
            return Failure(InvalidRequest(found.path, found.found, found.allowed))
        case JsonFault():
            fault = explain_fault(text, found, limits)
            return None if fault is None else Failure(fault)
        case None:
            return None


def _traits() -> Traits:
    traits: dict[tuple[str, str], frozenset[str]] = {}
    for signal in SIGNALS:
        request = request_table(signal)
        containers = request.by_any_name[RESOURCES[signal]]
        traits[request.full_name, containers.name] = frozenset({"container"})
        traits[containers.message.full_name, "resource"] = frozenset({"resource"})
        traits[containers.message.full_name, SCOPES[signal]] = frozenset({"scopes"})
        for table, records in _record_lists(containers.message, signal):
            traits[table.full_name, records.name] = frozenset({"record"})
            for name in records.message.ids:
                traits[records.message.full_name, name] = frozenset({name})
            for name in RECORD_TIME_FIELDS[signal]:
                traits[records.message.full_name, name] = frozenset({"record_time"})
            for name in FALLBACK_TIME_FIELDS[signal]:
                traits[records.message.full_name, name] = frozenset({"fallback_time"})
    return traits


def _places(tables: Iterable[MessageTable]) -> Mapping[tuple[str, str], int]:
    return {
        (table.full_name, field.name): NUMBERS[place]
        for table in tables
        for field in table.by_number.values()
        if (place := place_of(table, field)) is not None
    }


def _record_lists(container: MessageTable, signal: Signal) -> Iterator[tuple[MessageTable, Field]]:
    """Yield each field that holds a list of records, with the message that it belongs to."""
    scopes = container.by_any_name[SCOPES[signal]].message
    items = scopes.by_any_name[ITEMS[signal]]
    if signal != "metrics":
        yield scopes, items
        return
    for data in items.message.by_number.values():
        if data.kind == "message" and DATA_POINTS in data.message.by_any_name:
            yield data.message, data.message.by_any_name[DATA_POINTS]

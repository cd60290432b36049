"""Measures applied to messages: attributes, bodies and texts, at any depth."""

from collections import Counter
from typing import Any, Final

from google.protobuf.unknown_fields import (  # type: ignore[import-untyped]  # it ships no types
    UnknownFieldSet,
)

from otlp_capture.otlp.measures import (
    MOST_ADDED,
    TOO_LONG,
    UNKNOWN_FIELDS,
    Measure,
    Policy,
    joined,
)
from otlp_capture.otlp.messages import Message, children_of, to_bytes
from otlp_capture.otlp.nesting import HOLDS_VALUES
from otlp_capture.otlp.places import Place, places_in
from otlp_capture.otlp.tables import MessageTable

_MOST_BYTES_A_LETTER: Final = 4
_TEXTS: Final = frozenset({"string_value", "bytes_value"})


class Editing:
    """The redaction of one request, or of a part of it.

    Attributes:
        counts: what was done so far.
        changes: how much of it.
        is_overgrown: what was put in is more than may be; the request must not be kept.
    """

    def __init__(self, policy: Policy) -> None:
        self.counts = Counter[tuple[str, str]]()
        self.changes = 0
        self.is_overgrown = False
        self._policy, self._room = policy, MOST_ADDED

    def count(self, what: tuple[str, str], times: int = 1) -> None:
        """Note that something was done."""
        self.counts[what] += times
        self.changes += times

    def edit_message(self, message: Message, table: MessageTable) -> None:
        """Redact a message that is no attribute and no value, in place."""
        places = places_in(table)
        for listed, place in places.attributes:
            self._edit_attributes(getattr(message, listed.name), listed.message, place)
        for held in places.bodies:
            for body in children_of(message, held):
                if not self.edit_body(body, held.message):
                    message.ClearField(held.name)
        for name, text_place in places.texts:
            old = getattr(message, name)
            new = self.edit_text(old, text_place) if old else old
            if new is not old:
                setattr(message, name, new)
        for field in places.inner:
            for child in children_of(message, field):
                self.edit_message(child, field.message)
        if self._policy.drops_unknown_fields:
            self._leave_out_unknown_of(message)

    def edit_attribute(self, attribute: Message, table: MessageTable, place: Place) -> bool:
        """Redact an attribute in place; False where it is to be left out."""
        measures = self._policy.at(place, attribute.key)
        if self._is_dropped_outright(measures):
            return False
        self._leave_out_unknown(attribute, table)
        if not measures and not self._policy.concerns(place):
            return True
        return self._edit_value(attribute.value, place, attribute.key, measures)

    def edit_body(self, body: Message, table: MessageTable) -> bool:
        """Redact a body in place; False where it is to be left out."""
        measures = self._policy.at("body", "")
        if self._is_dropped_outright(measures):
            return False
        self._leave_out_unknown(body, table)
        return self._edit_value(body, "body", "", measures)

    def edit_text(self, text: str, place: Place) -> str:
        """Return a text redacted; the same object where nothing is to be changed."""
        new = self.edit_leaf(text, self._policy.at(place, ""))
        return "" if new is None else str(new)

    def edit_leaf(self, old: str | bytes, measures: tuple[Measure, ...]) -> str | bytes | None:
        """Return a text or bytes redacted: the same object where it stays, None where it goes."""
        text = old if isinstance(old, str) else old.decode("utf-8", "surrogateescape")
        for measure in measures:
            if measure.reads_text and self._is_too_long(old):
                self.count((measure.name, TOO_LONG))
                return None
            if measure.is_met is not None and not measure.is_met(text):
                continue
            new = None if self.is_overgrown else self._changed(measure, old, text)
            if new is not old:
                self.count((measure.name, measure.action))
            return new
        return old

    def _changed(self, measure: Measure, old: str | bytes, text: str) -> str | bytes | None:
        """Return what a measure makes of a value, and *text* is its text; None where it goes."""
        if measure.action == "drop":
            return None
        if measure.digest is not None and isinstance(old, bytes):
            return measure.digest(old, "bytes")
        if measure.digest is not None:
            return measure.digest(text.encode(), "string")
        new = text if measure.mask is None else measure.mask(text, len(text) + self._room)
        if new is None:
            self.is_overgrown = True
            return None
        if new == text:
            return old
        self._room -= max(0, len(new) - len(text))
        return new if isinstance(old, str) else new.encode("utf-8", "surrogateescape")

    def _edit_attributes(self, attributes: Any, table: MessageTable, place: Place) -> None:
        kept = [each for each in attributes if self.edit_attribute(each, table, place)]
        _keep_only(attributes, kept)

    def _is_dropped_outright(self, measures: tuple[Measure, ...]) -> bool:
        """Count, and say, that a value is left out whatever it is."""
        if not measures or measures[0].is_met is not None or measures[0].action != "drop":
            return False
        self.count((measures[0].name, "drop"))
        return True

    def _edit_value(
        self, value: Message, place: Place, path: str, measures: tuple[Measure, ...]
    ) -> bool:
        kind = value.WhichOneof("value")
        if kind in _TEXTS:
            return self._edit_leaf_of(value, kind, measures)
        last = measures[-1] if measures and measures[-1].is_met is None else None
        if last is not None and last.action == "drop":
            self.count((last.name, "drop"))
            return False
        if last is not None and last.digest is not None and kind is not None:
            value.string_value = last.digest(_canonical_bytes(value), "value")
            self.count((last.name, "hash"))
        elif kind in HOLDS_VALUES:
            self._edit_inside(getattr(value, kind).values, kind, place, path, measures)
        return True

    def _edit_inside(
        self, values: Any, kind: str, place: Place, path: str, measures: tuple[Measure, ...]
    ) -> None:
        if kind == "array_value":
            kept = [each for each in values if self._edit_value(each, place, path, measures)]
        else:
            kept = [each for each in values if self._edit_entry(each, place, path, measures)]
        _keep_only(values, kept)

    def _edit_entry(
        self, entry: Message, place: Place, path: str, around: tuple[Measure, ...]
    ) -> bool:
        inside = f"{path}.{entry.key}" if path else entry.key
        measures = joined(around, self._policy.inside(place, inside))
        if self._is_dropped_outright(measures):
            return False
        return self._edit_value(entry.value, place, inside, measures)

    def _edit_leaf_of(self, value: Message, kind: str, measures: tuple[Measure, ...]) -> bool:
        old = getattr(value, kind)
        new = self.edit_leaf(old, measures)
        if new is not None and new is not old:
            setattr(value, "string_value" if isinstance(new, str) else "bytes_value", new)
        return new is not None

    def _is_too_long(self, text: str | bytes) -> bool:
        limit = self._policy.max_value_bytes
        if len(text) * _MOST_BYTES_A_LETTER <= limit:
            return False
        return len(text if isinstance(text, bytes) else text.encode()) > limit

    def _leave_out_unknown(self, message: Message, table: MessageTable) -> None:
        """Discard what is unknown in a message and in all that are inside, the innermost first."""
        if not self._policy.drops_unknown_fields:
            return
        for field in places_in(table).inner:
            for child in children_of(message, field):
                self._leave_out_unknown(child, field.message)
        self._leave_out_unknown_of(message)

    def _leave_out_unknown_of(self, message: Message) -> None:
        found = len(UnknownFieldSet(message))
        if found:
            self.count(UNKNOWN_FIELDS, found)
            message.DiscardUnknownFields()


def _keep_only(items: Any, kept: list[Message]) -> None:
    """Leave out of a repeated field what is not among *kept*, in time linear in its length."""
    if len(kept) < len(items):
        del items[:]
        items.extend(kept)


def _canonical_bytes(value: Message) -> bytes:
    """Write a value as deterministic protobuf, whatever the order of its keys."""
    copy = type(value)()
    copy.CopyFrom(value)
    _sort_keys(copy)
    return to_bytes(copy)


def _sort_keys(value: Message) -> None:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        for each in value.array_value.values:
            _sort_keys(each)
    elif kind == "kvlist_value":
        value.kvlist_value.values.sort(key=_key_of)
        for entry in value.kvlist_value.values:
            _sort_keys(entry.value)


def _key_of(entry: Message) -> str:
    return str(entry.key)

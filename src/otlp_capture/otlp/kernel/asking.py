"""What the compiled redaction asks of Python: which key is what, and what becomes of a value."""

from threading import Lock
from typing import Final
from weakref import ref

from otlp_capture.otlp.errors import InvalidRequest
from otlp_capture.otlp.kernel.redact import (
    ASK_FOR_TEXT,
    ASK_FOR_VALUE,
    KEEP_VALUE,
    Verdicts,
)
from otlp_capture.otlp.measures import UNKNOWN_FIELDS, Measure, Policy, Tally
from otlp_capture.otlp.messages import (
    Message,
    new_attribute,
    new_value,
    parse_into,
    table_of_message,
    to_bytes,
)
from otlp_capture.otlp.places import PLACES, TEXT_PLACES, Place
from otlp_capture.otlp.redact_values import Editing
from otlp_capture.result import Failure

NUMBERS: Final = {place: number for number, place in enumerate(PLACES, start=1)}
"""The number of each place in the tables of the walk."""


class MalformedValue(Exception):  # noqa: N818 - it says what was met
    """A value that the walk has handed over is no message: no scan has passed the request."""

    def __init__(self, error: InvalidRequest) -> None:
        super().__init__(error.message)


class Lookup:
    """What a policy says of keys, for as long as the policy lives; threads may share it.

    Args:
        policy: which measures are taken where; it must not change.

    Attributes:
        verdicts: the same, as the walk knows it.
        measures: what may be done with values that it asks about, by number.
    """

    def __init__(self, policy: Policy) -> None:
        # Whoever keeps lookups by policy must not keep the policy by its lookup.
        self._policy: Final = ref(policy)
        self._lock: Final = Lock()
        self._names: Final[list[str]] = []
        self.measures: Final[list[tuple[Measure, ...]]] = [()]
        self._numbers: Final[dict[tuple[Measure, ...], int]] = {}
        unkeyed: tuple[Place, ...] = (*TEXT_PLACES, "body")
        self.verdicts: Final = Verdicts(
            self._decide,
            {NUMBERS[place]: self._verdict(policy.at(place, "")) for place in unkeyed},
            {NUMBERS[place] for place in PLACES if policy.concerns(place)},
            policy.drops_unknown_fields,
        )

    def tally(self, dropped: list[int], unknown: int, counts: Tally) -> dict[tuple[str, str], int]:
        """Return what was done: by the walk, and by those that it has asked."""
        whole = dict(counts)
        for name, count in zip(self._names, dropped, strict=False):
            if count:
                whole[name, "drop"] = whole.get((name, "drop"), 0) + count
        if unknown:
            whole[UNKNOWN_FIELDS] = whole.get(UNKNOWN_FIELDS, 0) + unknown
        return whole

    def _decide(self, place: int, key: str) -> int:
        policy = self._policy()
        assert policy is not None, "whoever redacts by it holds it"
        return self._verdict(policy.at(PLACES[place - 1], key))

    def _verdict(self, measures: tuple[Measure, ...]) -> int:
        """Return whether values stay, are to be looked at, or under which number they go."""
        if not measures:
            return KEEP_VALUE
        first = measures[0]
        if first.is_met is not None or first.action not in ("allow", "drop"):
            return self._asking(measures)
        if first.action == "allow":
            return KEEP_VALUE
        with self._lock:
            if first.name not in self._names:
                self._names.append(first.name)
            return self._names.index(first.name)

    def _asking(self, measures: tuple[Measure, ...]) -> int:
        with self._lock:
            number = self._numbers.setdefault(measures, len(self.measures))
            if number == len(self.measures):
                self.measures.append(measures)
        takes_all = measures[-1].is_met is None and measures[-1].action in ("drop", "hash")
        return number + (ASK_FOR_VALUE if takes_all else ASK_FOR_TEXT)


class Asking:
    """Answers what the walk asks about the values of one request.

    Args:
        policy: which measures are taken where.
        lookup: the same, by number.

    Attributes:
        editing: what was done to them.
    """

    def __init__(self, policy: Policy, lookup: Lookup) -> None:
        self.editing: Final = Editing(policy)
        self._measures: Final = lookup.measures

    def attribute(self, place: int, content: bytes) -> bytes | bool | None:
        """Return an attribute redacted; None where it stays, False where it goes."""
        attribute = _parsed(new_attribute(), content)
        before = self.editing.changes
        table = table_of_message(attribute)
        if not self.editing.edit_attribute(attribute, table, PLACES[place - 1]):
            return False
        return None if self.editing.changes == before else to_bytes(attribute)

    def body(self, place: int, content: bytes) -> bytes | bool | None:
        """Return a body redacted; None where it stays, False where it goes."""
        del place
        body = _parsed(new_value(), content)
        before = self.editing.changes
        if not self.editing.edit_body(body, table_of_message(body)):
            return False
        return None if self.editing.changes == before else to_bytes(body)

    def text(self, number: int, text: str) -> str | bool | None:
        """Return a text redacted; None where it stays, False where it goes."""
        new = self.editing.edit_leaf(text, self._measures[number])
        if new is None:
            return False
        return None if new is text else str(new)


def _parsed(message: Message, content: bytes) -> Message:
    parsed = parse_into(message, content)
    if isinstance(parsed, Failure):
        raise MalformedValue(parsed.failure())
    return parsed.unwrap()

"""What redaction does with a value, in the words of the wire."""

from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol, TypeAlias

import attrs

from otlp_capture.otlp.places import Place

Action: TypeAlias = Literal["allow", "drop", "hash", "mask"]
ValueKind: TypeAlias = Literal["string", "bytes", "value"]
"""Which canonical form is hashed: a text's UTF-8, bytes as they are, or deterministic protobuf."""

Tally: TypeAlias = Mapping[tuple[str, str], int]
"""How often what was done, by the name of the rule and what it did."""

UNKNOWN_FIELDS: Final = ("unknown_fields", "drop")
"""Under which unknown fields that were left out are counted."""
REPEATED_FIELDS: Final = ("repeated_fields", "drop")
"""Under which a request is counted that held values hidden by a later one of the same field."""
TOO_LONG: Final = "too_long"
"""What is counted where a value was left out because it is too long to be searched."""

MOST_ADDED: Final = 32 << 20
"""How many letters what is put in may add to a request, in all: the rest is not built."""


@attrs.frozen(eq=False)
class Measure:
    """What one rule does with a value whose place and key it has matched.

    Attributes:
        rank: its place in the order of rules; the first that applies decides.
        name: what it is counted under.
        action: what becomes of the value.
        is_met: whether it applies to a text; None: to every value.
        mask: of a `mask`: returns the text without what must not be seen, or None where that
            has more letters than are allowed, which it does not build.
        digest: of a `hash`: returns what stands for a value's canonical form.
    """

    rank: int
    name: str
    action: Action
    is_met: Callable[[str], bool] | None = None
    mask: Callable[[str, int], str | None] | None = None
    digest: Callable[[bytes, ValueKind], str] | None = None

    @property
    def reads_text(self) -> bool:
        """Whether a pattern is run over the value."""
        return self.is_met is not None or self.mask is not None


class Policy(Protocol):
    """Which measures are taken where."""

    @property
    def drops_unknown_fields(self) -> bool:
        """Whether fields that no message knows are left out."""
        ...

    @property
    def max_value_bytes(self) -> int:
        """The longest text that a pattern is run over; a longer one is left out."""
        ...

    def concerns(self, place: Place) -> bool:
        """Whether anything there can meet a measure."""
        ...

    def at(self, place: Place, key: str) -> tuple[Measure, ...]:
        """Return what may be done with an attribute, a body or a text, in order.

        Args:
            place: where it stands.
            key: of an attribute; `""` for a body and a text.

        Returns:
            Measures by rank. Only the last may apply to every value.
        """
        ...

    def inside(self, place: Place, path: str) -> tuple[Measure, ...]:
        """Return what may be done with the value under a key inside an attribute or a body.

        Args:
            place: where the attribute stands.
            path: the key and those around it, joined by dots.

        Returns:
            Measures by rank, without those of the keys around. Only the last may apply to every
            value.
        """
        ...


@attrs.frozen
class Redacted:
    """A request after redaction.

    Attributes:
        request: protobuf bytes; the same object where nothing was to be changed.
        counts: what was done.
    """

    request: bytes
    counts: Tally


def joined(around: tuple[Measure, ...], own: tuple[Measure, ...]) -> tuple[Measure, ...]:
    """Return the measures of a key inside another: its own, and those of the key around it."""
    if not own or not around:
        return own or around
    found: list[Measure] = []
    for each in sorted({*around, *own}, key=lambda measure: measure.rank):
        found.append(each)
        if each.is_met is None:
            break
    return tuple(found)

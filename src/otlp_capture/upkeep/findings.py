"""What a look at a session finds: a value each, told apart as damage and as notes."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import attrs

Damage: TypeAlias = Literal[
    "tornTail",
    "damagedFrame",
    "unreadableRequest",
    "wrongFacts",
    "repeatedSequence",
    "missingSegment",
    "damagedManifest",
    "manifestDisagrees",
    "countsDisagree",
    "damagedMetadata",
    "missingMetadata",
]
"""What is wrong with a session."""

Note: TypeAlias = Literal[
    "countsLag",
    "missingSequence",
    "arrivalDisorder",
    "unknownObject",
    "notInManifest",
    "deletionBegun",
]
"""What is worth knowing, and no damage."""

FindingKind: TypeAlias = Damage | Note

_DAMAGES: Final = frozenset(get_args(Damage))
_LISTED: Final = 1_000


@attrs.frozen
class Finding:
    """One thing that was found.

    Attributes:
        kind: what it is.
        key: the object that it is about.
        offset: where in the object, in bytes; None: it is about the whole.
        detail: a sentence with the figures.
    """

    kind: FindingKind
    key: str
    offset: int | None
    detail: str

    @property
    def is_damage(self) -> bool:
        """Whether something is wrong; a note is none."""
        return self.kind in _DAMAGES


@attrs.frozen
class Findings:
    """All that was found.

    Attributes:
        listed: the first 1,000 damages and the first 1,000 notes, as they were found.
        counts: how many there are of each kind, listed or not.
    """

    listed: tuple[Finding, ...]
    counts: Mapping[FindingKind, int]

    @property
    def damages(self) -> int:
        """How many damages there are."""
        return sum(count for kind, count in self.counts.items() if kind in _DAMAGES)

    @property
    def unlisted(self) -> int:
        """How many findings were too many to list."""
        return sum(self.counts.values()) - len(self.listed)


class FindingsLog:
    """Collects findings in bounded memory."""

    def __init__(self) -> None:
        self._listed: list[Finding] = []
        self._counts: Counter[FindingKind] = Counter()
        self._left = {True: _LISTED, False: _LISTED}

    def add(self, kind: FindingKind, key: str, offset: int | None, detail: str) -> None:
        """Note one finding."""
        finding = Finding(kind, key, offset, detail)
        self._counts[kind] += 1
        if self._left[finding.is_damage]:
            self._left[finding.is_damage] -= 1
            self._listed.append(finding)

    @property
    def findings(self) -> Findings:
        """All that was found until now."""
        return Findings(tuple(self._listed), MappingProxyType(dict(self._counts)))

"""Rules made ready for the wire: which measures meet a key, found once a key."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import partial
from hashlib import blake2b
from typing import Final, get_args

import attrs

from otlp_capture.otlp import Measure, Place, ValueKind, joined_measures
from otlp_capture.redaction.rules import Rule, RuleSet

_HASH_BYTES: Final = 16
_MOST_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 256
_GLOB: Final = frozenset("*?[")


@attrs.frozen(eq=False)
class _Ready:
    """A rule that is ready: what it does, and which keys it matches."""

    measure: Measure
    is_keyless: bool
    matches: Callable[[str], bool]


class RulePolicy:
    """The policy of a set of rules that was checked.

    Threads may share it: what it finds out about a key is the same whoever asks.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.drops_unknown_fields: Final = rules.unknown_fields == "drop"
        self.max_value_bytes: Final = rules.max_value_bytes
        self._ready: Final[dict[Place, list[_Ready]]] = {}
        for rank, rule in enumerate(rules.rules):
            ready = _ready(rank, rule, rules.hash_key)
            for place in dict.fromkeys(rule.on):
                self._ready.setdefault(place, []).append(ready)
        self._rest: Final = (Measure(len(rules.rules), "default", "drop"),)
        self._drops: Final = rules.default_drops
        self._known_at: Final[dict[tuple[Place, str], tuple[Measure, ...]]] = {}
        self._known_inside: Final[dict[tuple[Place, str], tuple[Measure, ...]]] = {}

    def concerns(self, place: Place) -> bool:
        """Whether anything there can meet a measure."""
        return place in self._ready or place in self._drops

    def at(self, place: Place, key: str) -> tuple[Measure, ...]:
        """Return what may be done with an attribute, a body or a text, in order."""
        known = self._known_at.get((place, key))
        if known is None:
            own = _first_to_decide(self._meeting(place, key))
            rest = self._rest if place in self._drops else ()
            known = joined_measures(rest, own)
            _remember(self._known_at, place, key, known)
        return known

    def inside(self, place: Place, path: str) -> tuple[Measure, ...]:
        """Return what may be done with the value under a key inside another, in order."""
        known = self._known_inside.get((place, path))
        if known is None:
            known = _first_to_decide(self._meeting(place, path))
            _remember(self._known_inside, place, path, known)
        return known

    def _meeting(self, place: Place, path: str) -> Iterable[Measure]:
        return (
            each.measure
            for each in self._ready.get(place, ())
            if each.is_keyless or each.matches(path)
        )


def _remember(
    known: dict[tuple[Place, str], tuple[Measure, ...]],
    place: Place,
    path: str,
    measures: tuple[Measure, ...],
) -> None:
    """Keep what was found, within bounds: keys come from anyone."""
    if len(path) > _LONGEST_KNOWN:
        return
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[place, path] = measures


def _first_to_decide(measures: Iterable[Measure]) -> tuple[Measure, ...]:
    found: list[Measure] = []
    for each in measures:
        found.append(each)
        if each.is_met is None:
            break
    return tuple(found)


def _ready(rank: int, rule: Rule, hash_key: bytes | None) -> _Ready:
    measure = Measure(
        rank,
        rule.name,
        rule.action,
        is_met=None if rule.value is None else partial(_is_found, rule.value),
        mask=partial(_mask, rule.patterns, rule.replacement) if rule.action == "mask" else None,
        digest=_keyed_digest(hash_key or b"") if rule.action == "hash" else None,
    )
    exact = frozenset(key for key in rule.keys if not _GLOB & set(key))
    globs = [re.compile(translate(key)) for key in rule.keys if _GLOB & set(key)]

    def matches(path: str) -> bool:
        return path in exact or any(glob.match(path) for glob in globs)

    return _Ready(measure, not rule.keys, matches)


def _is_found(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.search(text) is not None


def _mask(
    patterns: tuple[re.Pattern[str], ...], replacement: str, text: str, most_letters: int
) -> str | None:
    """Replace what the patterns find; None where that makes more letters than are allowed."""
    for pattern in patterns:
        if (len(text) + 1) * (len(replacement) + 1) <= most_letters:
            text = pattern.sub(lambda _: replacement, text)
            continue
        replaced = _replaced(pattern, replacement, text, most_letters)
        if replaced is None:
            return None
        text = replaced
    return text


def _replaced(
    pattern: re.Pattern[str], replacement: str, text: str, most_letters: int
) -> str | None:
    """Do what `re.sub` does, and stop where it grows too long."""
    pieces: list[str] = []
    size, at = 0, 0
    for match in pattern.finditer(text):
        pieces += (text[at : match.start()], replacement)
        size += match.start() - at + len(replacement)
        at = match.end()
        if size > most_letters:
            return None
    pieces.append(text[at:])
    return "".join(pieces) if size + len(text) - at <= most_letters else None


def _keyed_digest(key: bytes) -> Callable[[bytes, ValueKind], str]:
    """Return a hash of canonical forms; a text and bytes that are alike have different hashes."""
    keyed = {
        kind: blake2b(digest_size=_HASH_BYTES, key=key, person=kind.encode())
        for kind in get_args(ValueKind)
    }

    def digest(content: bytes, kind: ValueKind) -> str:
        # A copy has taken in the key already.
        hashing = keyed[kind].copy()
        hashing.update(content)
        return hashing.hexdigest()

    return digest

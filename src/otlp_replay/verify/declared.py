"""What is declared of the way from A to B: what was chosen, changed, sent again and renamed.

A declaration is carried out on A: what then has to arrive is compared with B. So nothing that was
not declared is left out of the comparison.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import attrs

from otlp_capture import otlp
from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import IdMapping, InvalidRequest, Signal
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import FrameRef, SessionIndex
from otlp_replay.verify.mutations import Mutation, mutate, wrong_mutation


class Narrowed(Protocol):
    """What a selection keeps of a request."""

    @property
    def request(self) -> bytes:
        """What is left of it."""
        ...

    @property
    def is_filtered_out(self) -> bool:
        """Whether nothing is left that could be sent."""
        ...


class Selects(Protocol):
    """What is replayed of a session; a `Selection` is one."""

    def resolved(self, *indexes: SessionIndex) -> "Selects":
        """Return the same choice with its window where the clock of these sessions has it."""
        ...

    def segments(self, index: SessionIndex, /) -> SessionIndex:
        """Return the segments that may hold what is chosen, and their damages."""
        ...

    def frames(self, index: SessionIndex, /) -> Iterator[FrameRef]:
        """Yield the chosen requests, by (arrival, sequence, key, offset)."""
        ...

    def narrow(
        self, request: bytes, signal: Signal, sequence: int, /
    ) -> "Outcome[Narrowed, InvalidRequest]":
        """Return what is chosen of a request."""
        ...


@attrs.frozen
class Repeated:
    """B holds A *loops* times *copies* times, its ids as they were.

    Attributes:
        loops: how often A was sent, one after the other; each loop has a constant shift of its own.
        copies: how often it was sent at once.
    """

    loops: int = 1
    copies: int = 1


@attrs.frozen
class RemappedIds:
    """B holds A *loops* times *copies* times, with other trace and span ids in each.

    Attributes:
        seed: of the replay; see `IdMapping`.
        loops: how often A was sent, one after the other; each loop has a constant shift of its own.
        copies: how often it was sent at once.
    """

    seed: int
    loops: int = 1
    copies: int = 1


Resent: TypeAlias = Repeated | RemappedIds
"""How often A was sent, and whether its ids were kept."""


@attrs.frozen
class Variant:
    """A request of A as it has to arrive.

    Attributes:
        loop: with which pass over A.
        request: the bytes.
    """

    loop: int
    request: bytes


@attrs.frozen(kw_only=True)
class Declarations:
    """All that was declared.

    Attributes:
        selected: what was chosen of A; None: all.
        limit: how many of these requests were sent at the most; None: all.
        mutations: what was changed, in this order.
        resent: how often it was sent, and with which ids.
    """

    selected: Selects | None = None
    limit: int | None = None
    mutations: Sequence[Mutation] = ()
    resent: Resent = Repeated()

    @property
    def variant_count(self) -> int:
        """How often each request has to arrive."""
        return self.resent.loops * self.resent.copies

    def variants(
        self, request: bytes, signal: Signal, sequence: int
    ) -> Outcome[list[Variant], InvalidRequest]:
        """Return what has to arrive of a request: nothing, where nothing of it was chosen.

        Args:
            request: what A holds.
            signal: what it carries.
            sequence: its place in its session.

        Fails with:
            InvalidRequest: the bytes are malformed.
        """
        if self.selected is not None:
            narrowed = self.selected.narrow(request, signal, sequence)
            if isinstance(narrowed, Failure):
                return narrowed
            if narrowed.unwrap().is_filtered_out:
                return Success([])
            request = narrowed.unwrap().request
        if self.mutations:
            mutated = mutate(request, signal, self.mutations)
            if isinstance(mutated, Failure):
                return mutated
            request = mutated.unwrap()
        return _resent(request, signal, self.resent)


def _resent(
    request: bytes, signal: Signal, resent: Resent
) -> Outcome[list[Variant], InvalidRequest]:
    variants: list[Variant] = []
    for loop in range(resent.loops):
        for copy in range(resent.copies):
            if isinstance(resent, Repeated):
                variants.append(Variant(loop, request))
                continue
            renamed = otlp.remap_ids(request, signal, IdMapping(resent.seed, loop, copy))
            if isinstance(renamed, Failure):
                return renamed
            variants.append(Variant(loop, renamed.unwrap()))
    return Success(variants)


def wrong_declaration(declared: Declarations) -> InvalidConfig | None:
    """Return what cannot be of a declaration, None where it can."""
    limit = declared.limit
    if limit is not None and (type(limit) is not int or limit < 0):
        return InvalidConfig("limit", limit, "it is a whole number, 0 or more")
    for name in ("loops", "copies"):
        value = getattr(declared.resent, name)
        if type(value) is not int or value < 1:
            return InvalidConfig(f"remapped.{name}", value, "it is a whole number, 1 or more")
    return next(filter(None, map(wrong_mutation, declared.mutations)), None)

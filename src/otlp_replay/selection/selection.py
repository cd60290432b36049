"""Which frames of a session are replayed, and which records of each request."""

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import attrs

from otlp_capture import otlp
from otlp_capture.otlp import SIGNALS, TRACE_PLACES, InvalidRequest, Signal, TraceChoice
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import SegmentIndex, SessionIndex
from otlp_replay.selection.merging import MergedFrames
from otlp_replay.selection.services import is_meant
from otlp_replay.selection.shard import Shard
from otlp_replay.selection.window import At, Moment, Stretch, Window


@attrs.frozen
class Narrowed:
    """What is left of a request.

    Attributes:
        request: its bytes.
        record_count: how many spans, data points or log records it holds.
        is_filtered_out: whether nothing is left that could be sent: `FilteredOut`.
    """

    request: bytes
    record_count: int
    is_filtered_out: bool = False


@attrs.frozen(kw_only=True)
class Selection:
    """What of a session is replayed.

    A share and a shard keep or drop whole traces: each span and log record goes with its trace,
    in whatever request it came. A window, a choice of services and a choice of signals cut through
    traces: spans may stay whose parents do not, and `OrphanCounter` tells how many.

    Attributes:
        signals: of which signals.
        services: of which services, as patterns; none: of all.
        window: which arrivals.
        trace_share: how large a part of the traces, more than 0 and at most 1. Records without a
            trace, data points among them, are all kept.
        shard: which part of the traces that the share leaves. The records of a request that have
            no trace are kept by one part, which the request's number chooses.
    """

    signals: tuple[Signal, ...] = SIGNALS
    services: tuple[str, ...] = ()
    window: Window = Window()  # noqa: RUF009 - it is frozen
    trace_share: float = 1.0
    shard: Shard = Shard()  # noqa: RUF009 - it is frozen

    @property
    def cuts_traces(self) -> bool:
        """Whether spans may stay whose parents do not."""
        return bool(self.services) or not self.window.is_everything

    @property
    def narrows(self) -> bool:
        """Whether `narrow` may change a request at all."""
        return bool(self.services) or self.trace_share < 1 or not self.shard.is_whole

    def resolved(self, *indexes: SessionIndex) -> "Selection":
        """Return the same selection with its window on the wall clock.

        Several sessions that are merged have one clock: its first arrival is that of all of them.
        Nothing changes where they hold no frame.
        """
        if self.window.is_everything or (bounds := arrivals_of(*indexes)) is None:
            return self
        stretch = self.window.over(*bounds)
        return attrs.evolve(self, window=Window(_at(stretch.start), _at(stretch.end)))

    def segments(self, index: SessionIndex) -> SessionIndex:
        """Return the segments that may hold what is selected, by what the manifest says of them.

        A damaged segment may hold, behind the damage, what is not known of it: it stays, with its
        damage, unless its signal is not selected or it begins when the window has ended.

        Args:
            index: of a whole session: its first and last arrival place the window.
        """
        stretch = self._stretch(index)
        damaged = {damage.key for damage in index.damages}
        kept = tuple(
            segment
            for segment in index.segments
            if segment.signal in self.signals
            and self._may_hold(segment, stretch, is_damaged=segment.key in damaged)
        )
        keys = {segment.key for segment in kept}
        return SessionIndex(kept, tuple(each for each in index.damages if each.key in keys))

    def frames(self, index: SessionIndex) -> MergedFrames:
        """Return the frames of those segments that arrived in the window, in their order.

        Args:
            index: of a whole session; or of the segments that are left, if the window is on the
                wall clock (`resolved`) or everything.
        """
        return MergedFrames(self.segments(index).segments, self._stretch(index))

    def narrow(
        self, request: bytes, signal: Signal, sequence: int
    ) -> Outcome[Narrowed, InvalidRequest]:
        """Leave out of a request what is not selected. What is kept stays as it is.

        Twice is the same as once.

        Args:
            request: as it was recorded.
            signal: what it carries.
            sequence: its place in the order of arrival.

        Fails with:
            InvalidRequest: the bytes are malformed.
        """
        of_services = self._narrow_to_services(request, signal)
        if isinstance(of_services, Failure):
            return of_services
        left, choice = of_services.unwrap(), self._choice(sequence)
        chosen = otlp.select_traces(left, signal, choice)
        if isinstance(chosen, Failure):
            return chosen
        found = chosen.unwrap()
        has_lost = len(found.request) < len(request) or not choice.keeps_untraced
        return Success(Narrowed(found.request, found.kept, found.kept == 0 and has_lost))

    def _narrow_to_services(self, request: bytes, signal: Signal) -> Outcome[bytes, InvalidRequest]:
        if not self.services:
            return Success(request)
        return otlp.select_services(request, signal, lambda name: is_meant(name, self.services))

    def _choice(self, sequence: int) -> TraceChoice:
        return self._owner if self._owns(sequence) else self._other

    def _owns(self, sequence: int) -> bool:
        """Whether this part keeps what has no trace in the request of that number."""
        if self.shard.is_whole:
            return True
        low, high = self.shard.part_of(TRACE_PLACES)
        return low <= otlp.trace_place(sequence.to_bytes(8, "big")) < high

    @cached_property
    def _owner(self) -> TraceChoice:
        # Shards share out what the share leaves, so they are alike whatever the share is.
        return TraceChoice(*self.shard.part_of(int(self.trace_share * TRACE_PLACES)))

    @cached_property
    def _other(self) -> TraceChoice:
        return attrs.evolve(self._owner, keeps_untraced=False)

    def _stretch(self, index: SessionIndex) -> Stretch:
        if self.window.is_everything or (bounds := arrivals_of(index)) is None:
            return Stretch()
        return self.window.over(*bounds)

    def _may_hold(self, segment: SegmentIndex, stretch: Stretch, *, is_damaged: bool) -> bool:
        arrivals = segment.frames.column("received_unix_nano")
        if is_damaged:
            return stretch.end is None or not arrivals or min(arrivals) < stretch.end
        if not self._may_hold_services(segment):
            return False
        if stretch == Stretch():
            return True
        return _may_overlap(arrivals, stretch) and any(map(stretch.holds, arrivals))

    def _may_hold_services(self, segment: SegmentIndex) -> bool:
        # Resources without a name are not among the services that a manifest lists.
        names = ("", *segment.services)
        return any(is_meant(name, self.services) for name in names)


class SelectionSettings(Protocol):
    """The settings of a replay that a selection is made of; a `ReplayConfig` has them."""

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Of which signals."""
        ...

    @property
    def filter_services(self) -> tuple[str, ...]:
        """Of which services."""
        ...

    @property
    def replay_from(self) -> Moment | None:
        """From which arrival on."""
        ...

    @property
    def replay_until(self) -> Moment | None:
        """Until which."""
        ...

    @property
    def trace_share(self) -> float:
        """Which part of the traces."""
        ...

    @property
    def shard(self) -> Shard:
        """Which part of these."""
        ...


def selection_of(config: SelectionSettings) -> Selection:
    """Return what a replay selects, by settings that `check_config` has passed."""
    return Selection(
        signals=config.signals,
        services=config.filter_services,
        window=Window(config.replay_from, config.replay_until),
        trace_share=config.trace_share,
        shard=config.shard,
    )


def arrivals_of(*indexes: SessionIndex) -> tuple[int, int] | None:
    """Return the first and the last arrival in sessions; None where nothing arrived."""
    columns = [
        arrivals
        for index in indexes
        for segment in index.segments
        if len(arrivals := segment.frames.column("received_unix_nano"))
    ]
    return (min(map(min, columns)), max(map(max, columns))) if columns else None


def _may_overlap(arrivals: Sequence[int], stretch: Stretch) -> bool:
    """Whether some arrivals may be in a stretch, without looking at each of them in Python."""
    if not arrivals or (stretch.start is not None and max(arrivals) < stretch.start):
        return False
    return stretch.end is None or min(arrivals) < stretch.end


def _at(unix_nano: int | None) -> Moment | None:
    return None if unix_nano is None else At(unix_nano)

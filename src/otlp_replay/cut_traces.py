"""How many spans of a replay go without their parents, counted while its requests are read."""

from otlp_replay.events import Event
from otlp_replay.selection import OrphanCounter, OrphanCounts, OrphansUncounted, Selection


class CutTraces:
    """Counts the orphans of one loop, without copies; they are alike in all of them.

    A request that is read again, because the replay was moved back, is counted once.

    Args:
        selection: what is sent; where it cuts no trace, nothing is counted.
    """

    def __init__(self, selection: Selection) -> None:
        is_cut = selection.cuts_traces and "traces" in selection.signals
        self._counter = OrphanCounter() if is_cut else None
        self._seen = bytearray()

    @property
    def counts(self) -> OrphanCounts | OrphansUncounted | None:
        """How many there are among the requests so far; None: nothing is cut."""
        return None if self._counter is None else self._counter.counts

    def is_counting(self, event: Event) -> bool:
        """Whether a request counts."""
        return self._counter is not None and event.loop == 0 and event.signal == "traces"

    def note(self, event: Event, request: bytes, kept: bytes) -> None:
        """Look at what is kept of a request; what cannot be read has no spans."""
        if self._counter is None or not self.is_counting(event):
            return
        missing = event.number + 1 - len(self._seen)
        self._seen.extend(bytes(max(missing, 0)))
        if not self._seen[event.number]:
            self._seen[event.number] = 1
            self._counter.note(request, kept)

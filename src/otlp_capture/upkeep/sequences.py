"""The order of arrival over a whole session: each number once, and time going on."""

from bisect import bisect_right
from itertools import pairwise

from otlp_capture.sessions import raw_prefix
from otlp_capture.upkeep.findings import FindingsLog
from otlp_capture.upkeep.segments import Places


class SequenceCheck:
    """Takes the places of all frames, and tells what is wrong with their order."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._ends: list[int] = []
        self._all = Places()

    def add(self, key: str, places: Places) -> None:
        """Take the frames of one segment."""
        self._all.sequences.extend(places.sequences)
        self._all.arrivals.extend(places.arrivals)
        self._all.offsets.extend(places.offsets)
        self._keys.append(key)
        self._ends.append(len(self._all.sequences))

    def tell(self, log: FindingsLog, session_id: str) -> None:
        """Add to *log* what is wrong.

        A number that stands twice is damage: a frame was stored again. A number that is missing
        is not, since a request that is refused has had one.
        """
        sequences, arrivals = self._all.sequences, self._all.arrivals
        order = sorted(range(len(sequences)), key=sequences.__getitem__)
        missing = gaps = steps_back = 0
        longest_ns = 0
        if order:
            missing = sequences[order[0]]
            gaps = int(missing > 0)
        for before, after in pairwise(order):
            step = sequences[after] - sequences[before]
            if not step:
                key, offset = self._place(after)
                first_key, first_offset = self._place(before)
                where = f"byte {first_offset} of {first_key}"
                detail = f"sequence {sequences[after]} stands at {where}, too"
                log.add("repeatedSequence", key, offset, detail)
                continue
            missing += step - 1
            gaps += step > 1
            if arrivals[after] < arrivals[before]:
                steps_back += 1
                longest_ns = max(longest_ns, arrivals[before] - arrivals[after])
        where = raw_prefix(session_id)
        if missing:
            detail = f"{missing:,} sequence numbers are missing, in {gaps:,} places"
            log.add(
                "missingSequence", where, None, f"{detail}: requests that were refused have one"
            )
        if steps_back:
            detail = f"{steps_back:,} frames came before the one with the number before theirs"
            seconds = f"by {longest_ns / 1e9:.3f} s at most"
            log.add("arrivalDisorder", where, None, f"{detail}, {seconds}: the clock was set back")

    def _place(self, row: int) -> tuple[str, int]:
        return self._keys[bisect_right(self._ends, row)], self._all.offsets[row]

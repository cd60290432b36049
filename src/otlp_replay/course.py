"""All that a replay sends: a sequence of requests, in loops, and each of them in copies."""

from collections.abc import Iterator

import attrs

from otlp_replay.events import Event
from otlp_replay.selection import Moment
from otlp_replay.sequence import Sequence


@attrs.frozen
class Course:
    """The order of a replay's requests. Copies of a request have one place in it.

    Attributes:
        sequence: what a loop sends.
        loops: how often.
        copies: how often each request, at once.
    """

    sequence: Sequence
    loops: int = 1
    copies: int = 1

    @property
    def places(self) -> int:
        """How many places there are, over all loops."""
        return len(self.sequence) * self.loops

    @property
    def request_count(self) -> int:
        """How many requests are sent in all."""
        return self.places * self.copies

    @property
    def record_count(self) -> int:
        """How many spans, data points and log records they hold."""
        return self.sequence.record_count * self.loops * self.copies

    def events(self, place: int) -> Iterator[Event]:
        """Yield the first copy of each request, from *place* on."""
        sequence, period_ns = self.sequence, self.sequence.period_ns
        for number in range(place, self.places):
            loop, row = divmod(number, len(sequence))
            yield Event(
                number * self.copies,
                sequence.session_id(row),
                sequence.ref(row),
                loop * period_ns + sequence.line_ns(row),
                loop,
            )

    def between(self, place: int, copies_done: int, target: int) -> tuple[int, int]:
        """Return how many requests and records lie before *target*; negative: behind it.

        Args:
            place: where they are counted from.
            copies_done: how many copies of the request there lie behind.
            target: where they are counted to.
        """
        requests = (target - place) * self.copies - copies_done
        records = (self._records_before(target) - self._records_before(place)) * self.copies
        if copies_done:
            row = place % len(self.sequence)
            records -= self.sequence.records(row, row + 1) * copies_done
        return requests, records

    def find(self, moment: Moment, near: int) -> tuple[int, int]:
        """Return the place and the line of *moment*, for a replay that is at the place *near*.

        It stays in its loop; what lies behind the loop's last request is the next loop.
        """
        loop = min(near, self.places - 1) // len(self.sequence)
        row, line_ns = self.sequence.find(moment)
        return loop * len(self.sequence) + row, loop * self.sequence.period_ns + line_ns

    def _records_before(self, place: int) -> int:
        loops, row = divmod(place, len(self.sequence))
        return loops * self.sequence.record_count + self.sequence.records(0, row)

"""Requests on their way to frames: numbered as they come, large ones worked on in threads."""

from functools import partial
from typing import Final

import anyio
import anyio.to_thread

from otlp_capture.capture.errors import RequestRefused
from otlp_capture.capture.intake import ClientRequest, prepare
from otlp_capture.capture.model import CapturedDataReference, CaptureSettings, Durability
from otlp_capture.clock import Clock, moment
from otlp_capture.result import Outcome
from otlp_capture.sessions import Arrival, KeptFrame, NewFrame

_INLINE_BYTES: Final = 32_768


class Framer:
    """Makes frames of the requests of one recording.

    Args:
        clock: what dates them.
        workers: bounds how many large requests are worked on at once.
        settings: what a request may cost.
        first_sequence: the number of the next one.
        is_compressed: whether frames are compressed.
    """

    def __init__(
        self,
        clock: Clock,
        workers: anyio.Semaphore,
        settings: CaptureSettings,
        first_sequence: int,
        *,
        is_compressed: bool,
    ) -> None:
        self._clock, self._workers, self._settings = clock, workers, settings
        self._sequence, self._is_compressed = first_sequence, is_compressed

    async def frame(self, came: ClientRequest) -> Outcome[NewFrame, RequestRefused]:
        """Make a frame of a request that comes now.

        Fails with:
            RequestRefused: it cannot be kept.
        """
        arrival = Arrival(
            self._clock.time_ns(),
            self._sequence,
            came_as_json=came.encoding == "json",
            headers=came.headers,
        )
        self._sequence += 1
        work = partial(
            prepare,
            came,
            arrival,
            self._settings.limits,
            self._settings.redaction,
            is_compressed=self._is_compressed,
        )
        if len(came.body) <= _INLINE_BYTES and came.content_encoding == "identity":
            return work()
        async with self._workers:
            return await anyio.to_thread.run_sync(work)

    def reference(
        self, new: NewFrame, kept: KeptFrame, durability: Durability
    ) -> CapturedDataReference:
        """Say where a request is kept."""
        return CapturedDataReference(
            key=kept.key,
            offset=kept.frame.offset,
            signal_type=new.signal,
            timestamp=moment(new.arrival.received_unix_nano),
            size_bytes=kept.frame.size_bytes,
            record_count=kept.frame.record_count,
            compressed=self._is_compressed,
            durability=durability,
        )

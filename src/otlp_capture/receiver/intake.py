"""What all transports of a receiver share: the session, the budget, and what is counted.

A transport reads a request, and gives it to `Intake.keep`. It counts what became of each request
once: `accept`, `refuse` or `lose`.
"""

from collections import Counter

import attrs

from otlp_capture.capture import CapturedDataReference, CaptureError, OtlpCaptureService
from otlp_capture.otlp import Encoding, Signal
from otlp_capture.receiver.answers import Refusal
from otlp_capture.receiver.budget import Budget
from otlp_capture.result import Outcome
from otlp_capture.sessions import Headers


def _none() -> Counter[str]:
    return Counter()


@attrs.frozen
class Tally:
    """What became of the requests that came: each is in `accepted` or in `refused`, once.

    Attributes:
        accepted: requests that were kept, by signal.
        accepted_bytes: the bytes of their bodies on the wire, by signal.
        accepted_records: their spans, data points and log records, by signal.
        refused: requests that were not accepted, by the name of the error; "Unanswered" where the
            client or the receiver went away before the answer (such a request may be kept all the
            same), "Unread" where a gRPC message did not come whole, or gRPC itself refused it.
    """

    accepted: Counter[str] = attrs.field(factory=_none)
    accepted_bytes: Counter[str] = attrs.field(factory=_none)
    accepted_records: Counter[str] = attrs.field(factory=_none)
    refused: Counter[str] = attrs.field(factory=_none)


@attrs.frozen
class ReadRequest:
    """A request that has come whole.

    Attributes:
        body: the bytes on the wire.
        signal: what they are: the transport knows it by the path or the method.
        encoding: how the request is written.
        content_encoding: how the body is compressed.
        headers: what is to be kept of its headers.
    """

    body: bytes
    signal: Signal
    encoding: Encoding
    content_encoding: str
    headers: Headers = ()


class Intake:
    """Keeps requests, and counts them.

    Args:
        capture: what keeps them.
        session_id: where a request goes that nothing else is said of.
        max_in_flight_bytes: how many bytes of bodies may be in memory at once.

    Attributes:
        session_id: the same.
        budget: the bytes that may still come.
        tally: what became of the requests so far.
    """

    def __init__(
        self, capture: OtlpCaptureService, session_id: str, max_in_flight_bytes: int
    ) -> None:
        self.session_id, self.budget, self.tally = session_id, Budget(max_in_flight_bytes), Tally()
        self._capture = capture

    async def keep(
        self, request: ReadRequest, session_id: str
    ) -> Outcome[CapturedDataReference, CaptureError]:
        """Keep a request in the session that the server or the sender's credential chose.

        Fails with:
            CaptureError: as `OtlpCaptureService.capture_otlp_data` does.
        """
        return await self._capture.capture_otlp_data(
            session_id,
            request.body,
            request.signal,
            encoding=request.encoding,
            content_encoding=request.content_encoding,
            headers=request.headers,
        )

    def accept(self, reference: CapturedDataReference, size_bytes: int) -> None:
        """Count a request that was kept, and how large it was on the wire."""
        signal = reference.signal_type
        self.tally.accepted[signal] += 1
        self.tally.accepted_bytes[signal] += size_bytes
        self.tally.accepted_records[signal] += reference.record_count

    def refuse(self, refusal: Refusal) -> None:
        """Count a request that was refused."""
        self.lose(type(refusal).__name__)

    def lose(self, reason: str) -> None:
        """Count a request that came to nothing, for a reason that is no refusal of ours."""
        self.tally.refused[reason] += 1

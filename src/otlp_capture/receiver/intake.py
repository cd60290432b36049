"""What all transports of a receiver share: the session, the budget, and what is counted.

A transport reads a request, and gives it to `Intake.keep`. It counts what became of each request
once: `accept`, `refuse` or `lose`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

import attrs

from otlp_capture.capture import (
    CapturedDataReference,
    CaptureError,
    OtlpCaptureService,
    Witness,
)
from otlp_capture.forward import Forwarding, ForwardRefusal, KeptRequest
from otlp_capture.otlp import Encoding, PartialSuccess, Signal
from otlp_capture.receiver.access import Access, Unauthenticated
from otlp_capture.receiver.answers import Refusal
from otlp_capture.receiver.budget import Budget
from otlp_capture.receiver.refusals import EarlyRefusals
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import Headers
from otlp_capture.telemetry import SILENT, Telemetry

Transport: TypeAlias = Literal["http", "grpc"]
"""What brought a request."""


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
        hops: the receivers that have forwarded it.
    """

    body: bytes
    signal: Signal
    encoding: Encoding
    content_encoding: str
    headers: Headers = ()
    hops: tuple[str, ...] = ()


@attrs.frozen
class Kept:
    """A request that is kept.

    Attributes:
        reference: where.
        partial_success: what else its client is told; None: nothing.
    """

    reference: CapturedDataReference
    partial_success: PartialSuccess | None = None


class Intake:
    """Keeps requests, passes them on, and counts them.

    Args:
        capture: what keeps them.
        session_id: where a request goes that nothing else is said of.
        max_in_flight_bytes: how many bytes of bodies may be in memory at once.
        access: who may send.
        forwarding: where the requests go besides.
        telemetry: what is told of each request.

    Attributes:
        session_id: the same.
        access: likewise.
        early: tells the log who is turned away.
        budget: the bytes that may still come.
        tally: what became of the requests so far.
        telemetry: what is told of each.
    """

    def __init__(
        self,
        capture: OtlpCaptureService,
        session_id: str,
        max_in_flight_bytes: int,
        access: Access,
        forwarding: Forwarding | None = None,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self.session_id, self.budget, self.tally = session_id, Budget(max_in_flight_bytes), Tally()
        self.access, self.early = access, EarlyRefusals()
        self._capture, self._forwarding, self.telemetry = capture, forwarding, telemetry

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Where requests may go: the server's session, then those of credentials, each once."""
        return tuple(dict.fromkeys((self.session_id, *self.access.credentials.session_ids)))

    def admit(
        self, authorizations: Sequence[str], names: frozenset[str], address: str
    ) -> Outcome[str, Unauthenticated]:
        """Tell which session a sender's requests go to, before any of their bytes are read.

        Args:
            authorizations: what its request has as Authorization.
            names: the names in its certificate.
            address: where it is, for the log.

        Fails with:
            Unauthenticated: as `Access.authenticate` does.
        """
        principal = self.access.authenticate(authorizations, names)
        if isinstance(principal, Failure):
            self.early.tell(type(principal.failure()).__name__, address)
            return principal
        return Success(principal.unwrap().session_id or self.session_id)

    async def keep(
        self, request: ReadRequest, session_id: str
    ) -> Outcome[Kept, CaptureError | ForwardRefusal]:
        """Keep a request in the session that the server or the sender's credential chose.

        Fails with:
            CaptureError: as `OtlpCaptureService.capture_otlp_data` does.
            ForwardingLoop, ForwardQueueFull: it was not kept.
            TargetRefused, TargetBusy, TargetDown: it was kept, and then refused by a destination
                whose answer is the client's.
        """
        if self._forwarding is not None:
            return await self._store_and_forward(request, session_id, self._forwarding)
        kept = await self._store(request, session_id)
        return kept if isinstance(kept, Failure) else Success(Kept(kept.unwrap()))

    async def _store_and_forward(
        self, request: ReadRequest, session_id: str, forwarding: Forwarding
    ) -> Outcome[Kept, CaptureError | ForwardRefusal]:
        refusal = forwarding.refuses(request.hops, len(request.body))
        if refusal is not None:
            return Failure(refusal)
        seen = list[tuple[bytes, bytes]]()

        def witness(stored: bytes, came: bytes) -> None:
            seen.append((stored, came))

        kept = await self._store(request, session_id, witness)
        if isinstance(kept, Failure):
            return kept
        reference = kept.unwrap()
        stored, came = seen[-1]
        told = await forwarding.pass_on(
            KeptRequest(
                signal=request.signal,
                record_count=reference.record_count,
                stored=stored,
                came=came,
                encoding=request.encoding,
                kept_headers=request.headers,
                hops=request.hops,
            )
        )
        return told if isinstance(told, Failure) else Success(Kept(reference, told.unwrap()))

    async def _store(
        self, request: ReadRequest, session_id: str, witness: Witness | None = None
    ) -> Outcome[CapturedDataReference, CaptureError]:
        return await self._capture.capture_otlp_data(
            session_id,
            request.body,
            request.signal,
            encoding=request.encoding,
            content_encoding=request.content_encoding,
            headers=request.headers,
            witness=witness,
        )

    def accept(
        self, reference: CapturedDataReference, size_bytes: int, transport: Transport
    ) -> None:
        """Count a request that was kept, and how large it was on the wire."""
        signal = reference.signal_type
        self.tally.accepted[signal] += 1
        self.tally.accepted_bytes[signal] += size_bytes
        self.tally.accepted_records[signal] += reference.record_count
        self.telemetry.received(signal, transport, size_bytes, reference.record_count)

    def refuse(self, refusal: Refusal, transport: Transport) -> None:
        """Count a request that was refused."""
        self.lose(type(refusal).__name__, transport)

    def lose(self, reason: str, transport: Transport) -> None:
        """Count a request that came to nothing, for a reason that is no refusal of ours."""
        self.tally.refused[reason] += 1
        self.telemetry.refused(transport, reason)

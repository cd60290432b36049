"""The documented service: sessions are started, fed, watched and stopped."""

from typing import Final, Protocol, runtime_checkable

from otlp_capture.capture.errors import CaptureError
from otlp_capture.capture.intake import Witness
from otlp_capture.capture.model import CaptureConfig, CapturedDataReference, SpoolStatus
from otlp_capture.capture.ring import RingConfig, RingStatus
from otlp_capture.layer import Tag
from otlp_capture.otlp import Encoding, Signal
from otlp_capture.result import Outcome
from otlp_capture.sessions import CaptureSessionMetadata, Headers, SessionNotFound
from otlp_capture.spool import Recovered


@runtime_checkable
class OtlpCaptureService(Protocol):
    """Records OTLP requests into sessions."""

    async def start_capture(
        self, config: CaptureConfig
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        """Begin a session.

        Fails with:
            InvalidSessionId, InvalidConfig: the configuration cannot be.
            SessionAlreadyExists: the id is taken.
            StorageFailure: the store did not answer well.
        """
        ...

    async def resume_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        """Take up an active session that nobody records any more.

        Its counters are counted anew from what it holds.

        Fails with:
            InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
            SessionEnded: it is not active.
            SessionBeingDeleted: its deletion was begun.
            SessionAlreadyActive: it had a checkpoint in the last 60 s, or is recorded here.
            SessionTakenOver: another process was faster.
            StorageFailure: the store did not answer well.
        """
        ...

    async def stop_capture(self, session_id: str) -> Outcome[CaptureSessionMetadata, CaptureError]:
        """End a session: what came is settled, manifest and metadata are written.

        A session that nobody records any more is counted anew and closed; one that has ended is
        answered as it is.

        Fails with:
            InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
            SessionAlreadyActive: another process records it.
            SessionTakenOver: another process has taken it over.
            StorageFailure: the store did not answer well; call again.
        """
        ...

    async def recover_capture(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        """Bring a session that nobody records to its end, whatever state it is in.

        What its recorder left in the spool of this machine is published; an active session is
        counted anew and closed, as `stop_capture` does it; one that has ended is indexed and
        counted anew where something was published.

        Fails with:
            InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session. What
                the spool had of it is kept aside, and the log says where.
            SessionAlreadyActive: somebody records it.
            SessionTakenOver: another process was faster.
            StorageFailure: the store or the spool did not answer well; call again.
        """
        ...

    async def recover_leftovers(self) -> tuple[Outcome[Recovered, CaptureError], ...]:
        """See to all that processes of this machine left in the spool when they died.

        Of an active session it is published, and the session waits to be taken up or recovered; of
        one that has ended it is published, and the session is counted anew; of one that is gone
        it is kept aside.

        Returns:
            What came of each session, or why it did not.
        """
        ...

    async def capture_otlp_data(
        self,
        session_id: str,
        data: bytes,
        signal_type: Signal,
        *,
        encoding: Encoding = "protobuf",
        content_encoding: str = "identity",
        headers: Headers = (),
        witness: Witness | None = None,
    ) -> Outcome[CapturedDataReference, CaptureError]:
        """Keep one export request; when this returns a `Success`, it is in the store.

        Args:
            session_id: a session that this service has started or resumed.
            data: the body as the client sent it.
            signal_type: what it is; this cannot be told from the bytes.
            encoding: `protobuf` or `json`.
            content_encoding: `identity` or `gzip`.
            headers: what the frame is to keep of the request's headers: never credentials.
            witness: is shown the request as it is about to be stored. It counts only when this
                returns a `Success`.

        Fails with:
            InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
            SessionAlreadyActive: there is, but this service does not record it.
            SessionEnded, SessionTakenOver: it takes no more.
            SignalNotEnabled: the session does not record this signal.
            InvalidRequest, RequestTooLarge, CompressionFailure, UnsupportedContentEncoding: the
                request cannot be kept.
            StorageFailure: the store did not take it. It may hold it all the same, and then the
                session has it once more when it is sent again.
        """
        ...

    async def start_ring(self, config: RingConfig) -> Outcome[RingStatus, CaptureError]:
        """Begin a ring: it takes requests under its name, as a session does, and keeps the last.

        What a process that died left of a ring of this name is kept on.

        Fails with:
            InvalidSessionId, InvalidConfig: there can be no such ring; one in memory cannot.
            SessionAlreadyActive: somebody has a ring or a session of this name.
            StorageFailure: the spool did not answer well.
        """
        ...

    async def publish_ring(
        self, name: str, session_id: str | None = None
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        """Make a session of all that a ring holds, which is empty after that, and goes on.

        Args:
            name: the ring.
            session_id: the session; without it, the ring's name and the time.

        Fails with:
            SessionNotFound: there is no such ring.
            SessionAlreadyExists: the id is taken; the ring keeps what it has.
            StorageFailure: the store or the spool did not answer well. Where the session has
                begun, it ends by itself once the store answers; else the ring keeps what it has.
        """
        ...

    def get_ring_status(self, name: str) -> Outcome[RingStatus, SessionNotFound]:
        """Return how a ring stands.

        Fails with:
            SessionNotFound: there is no such ring.
        """
        ...

    def get_live_sessions(self) -> tuple[CaptureSessionMetadata, ...]:
        """Return the sessions that this service records, each to its last request."""
        ...

    def get_spool_status(self) -> SpoolStatus:
        """Return how full the spool is, and whether what is in it gets into the store."""
        ...

    async def get_capture_status(
        self, session_id: str
    ) -> Outcome[CaptureSessionMetadata, CaptureError]:
        """Return a session as it stands.

        That is to the last request where this service records it, else to its last checkpoint.

        Fails with:
            InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session.
            StorageFailure: the store did not answer well.
        """
        ...

    async def list_capture_sessions(
        self,
    ) -> Outcome[tuple[CaptureSessionMetadata, ...], CaptureError]:
        """Return all sessions of the store, in the order of their start.

        Fails with:
            StorageFailure: the store did not answer well.
        """
        ...


OtlpCaptureServiceTag: Final = Tag[OtlpCaptureService]("otlp_capture.OtlpCaptureService")

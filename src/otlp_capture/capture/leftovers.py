"""What processes that died left in the spool, seen to by a service that runs."""

import logging
from collections.abc import Callable

import anyio
import anyio.to_thread

from otlp_capture.capture.errors import CaptureError, StorageFailure, capture_error
from otlp_capture.capture.spooling import HeldElsewhere, Spooling, SpoolPlace, given_up
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import LoadError, SessionTakenOver
from otlp_capture.spool import Recovered
from otlp_capture.telemetry import Telemetry

_log = logging.getLogger(__name__)


class Leftovers:
    """The leftovers of all sessions of a spool.

    Args:
        spooling: the spool.
        opening: returns what keeps two openings of one session apart.
        is_recorded: tells whether this process records a session.
        telemetry: told of each session whose leftovers are seen to.
    """

    def __init__(
        self,
        spooling: Spooling,
        opening: Callable[[str], anyio.Lock],
        is_recorded: Callable[[str], bool],
        telemetry: Telemetry,
    ) -> None:
        self._spooling, self._opening, self._is_recorded = spooling, opening, is_recorded
        self._telemetry, self._is_done = telemetry, False

    async def recover_once(self) -> None:
        """See to all of them, once in the life of a service; the log says what stays."""
        if self._is_done:
            return
        for outcome in await self.recover_each():
            if isinstance(outcome, Failure):
                _log.warning("Something stays in the spool: %s", outcome.failure().message)

    async def recover_each(self) -> list[Outcome[Recovered, CaptureError]]:
        """See to all of them, and say what came of each session."""
        self._is_done = True
        opened = await self._spooling.folder()
        if isinstance(opened, Failure):
            return [Failure(StorageFailure(None, opened.failure()))]
        spool = opened.unwrap()
        if spool is None:
            return []
        outcomes: list[Outcome[Recovered, CaptureError]] = []
        for session_id in await anyio.to_thread.run_sync(spool.session_ids):
            outcome = await self.recover(session_id)
            if outcome is not None:
                outcomes.append(outcome)
        return outcomes

    async def recover(self, session_id: str) -> Outcome[Recovered, CaptureError] | None:
        """See to what is left of one session; None where somebody has it, or nothing can be."""
        async with self._opening(session_id):
            if self._is_recorded(session_id):
                return None
            placed = await self._spooling.place(session_id)
            if isinstance(placed, Failure):
                error = placed.failure()
                if isinstance(error, HeldElsewhere):
                    return None
                return Failure(StorageFailure(session_id, error))
            place = placed.unwrap()
            if place is None:
                return None
            async with given_up(place) as ending:
                recovered = await self._recover(place)
                if isinstance(recovered, Success) and recovered.unwrap().is_over:
                    ending.removes = True
        if isinstance(recovered, Failure):
            return Failure(capture_error(session_id, recovered.failure()))
        return recovered

    async def _recover(self, place: SpoolPlace) -> Outcome[Recovered, LoadError | SessionTakenOver]:
        about = {"session.id": place.claim.session_id}
        with self._telemetry.operation("recover_leftovers", about) as concluded:
            return concluded(await self._spooling.recover(place))

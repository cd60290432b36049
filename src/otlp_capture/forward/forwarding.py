"""All destinations together: what a receiver asks before it stores a request, and after."""

import secrets
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import TypeAlias

import anyio

from otlp_capture.capture import InvalidConfig
from otlp_capture.clock import SYSTEM_CLOCK, Clock
from otlp_capture.forward.destination import Destination
from otlp_capture.forward.errors import (
    ForwardingLoop,
    ForwardQueueFull,
    TargetBusy,
    TargetDown,
    TargetRefused,
)
from otlp_capture.forward.forwarder import Forwarder
from otlp_capture.forward.headers import MOST_HOPS, passed_on
from otlp_capture.forward.model import (
    DEFAULT_FORWARD_SETTINGS,
    ForwardSettings,
    ForwardStatus,
    KeptRequest,
    check_forward_settings,
)
from otlp_capture.forward.resends import Resends, digest
from otlp_capture.otlp import PartialSuccess
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sending import (
    Accepted,
    Answer,
    NoAnswer,
    Parcel,
    Refused,
    Unreadable,
    open_transport,
)

Verdict: TypeAlias = Outcome[PartialSuccess | None, TargetRefused | TargetBusy | TargetDown]
"""What a client is told of a request that is stored."""


class Forwarding:
    """Passes stored requests on to destinations.

    Args:
        forwarders: one a destination; where the target answers, the first one does.
        settings: how.

    Attributes:
        name: what marks the requests that went through here.
        resent: how many of the stored requests clients sent again, because a destination had
            refused them.
    """

    def __init__(self, forwarders: Sequence[Forwarder], settings: ForwardSettings) -> None:
        self.name = secrets.token_hex(8)
        self.resent = 0
        self._forwarders, self._settings = tuple(forwarders), settings
        self._resends = Resends(settings.remembered)

    @property
    def statuses(self) -> tuple[ForwardStatus, ...]:
        """How it stands with each destination."""
        return tuple(forwarder.status for forwarder in self._forwarders)

    def refuses(
        self, hops: Collection[str], size_bytes: int
    ) -> ForwardingLoop | ForwardQueueFull | None:
        """Return why a request is not to be stored; None: nothing stands in the way.

        Args:
            hops: the receivers that have forwarded it; see `forwarded_by`.
            size_bytes: how large it is.
        """
        if self.name in hops or len(hops) >= MOST_HOPS:
            return ForwardingLoop(len(hops))
        if self._settings.is_required:
            queues = self._forwarders[1 if self._settings.answer == "target" else 0 :]
            if not all(forwarder.has_room(size_bytes) for forwarder in queues):
                return ForwardQueueFull()
        return None

    async def pass_on(self, request: KeptRequest) -> Verdict:
        """Pass a request on that is stored, and return what its client is told.

        Fails with:
            TargetRefused, TargetBusy: the destination's answer is the client's, and it is a no.
            TargetDown: the destination is required, and does not answer.
        """
        parcel = self._parcel(request)
        if self._settings.answer == "capture":
            for forwarder in self._forwarders:
                forwarder.offer(parcel)
            return Success(None)
        name = await digest(request.signal, request.came)
        is_resent = self._resends.recognise(name)
        self.resent += is_resent
        if not is_resent:
            for forwarder in self._forwarders[1:]:
                forwarder.offer(parcel)
        verdict = self._verdict(await self._forwarders[0].ask(parcel))
        if isinstance(verdict, Failure) and verdict.failure().retryable:
            self._resends.expect(name)
        return verdict

    def _parcel(self, request: KeptRequest) -> Parcel:
        headers = passed_on(request.kept_headers, (*request.hops, self.name))
        if self._settings.is_raw:
            return Parcel(
                request.signal, request.came, request.record_count, request.encoding, headers
            )
        return Parcel(request.signal, request.stored, request.record_count, headers=headers)

    def _verdict(self, answer: Answer) -> Verdict:
        match answer:
            case Accepted(partial_success):
                return Success(partial_success)
            case Unreadable():
                # It was taken; a client that came again would bring it twice.
                return Success(None)
            case Refused(status, reason, is_retryable=True, retry_after_s=wait_s):
                return Failure(TargetBusy(status, reason, wait_s))
            case Refused(status, reason):
                return Failure(TargetRefused(status, reason))
            case NoAnswer() if self._settings.is_required:
                return Failure(TargetDown())
            case NoAnswer():
                return Success(None)


@asynccontextmanager
async def open_forwarding(
    destinations: Sequence[Destination],
    settings: ForwardSettings = DEFAULT_FORWARD_SETTINGS,
    clock: Clock = SYSTEM_CLOCK,
) -> AsyncGenerator[Outcome[Forwarding, InvalidConfig]]:
    """Forward until the block ends; then what waits has its time, and connections are closed.

    Args:
        destinations: where to; one at least.
        settings: how.
        clock: what measures waits.

    Fails with:
        InvalidConfig: there is no destination, or a setting is not in its range.
    """
    checked = check_forward_settings(settings)
    if isinstance(checked, Failure):
        yield checked
        return
    if not destinations:
        yield Failure(InvalidConfig("destinations", (), "there is one at least"))
        return
    async with AsyncExitStack() as opened:
        transports = [
            await opened.enter_async_context(
                open_transport(destination.endpoint, clock, destination.protocol)
            )
            for destination in destinations
        ]
        async with anyio.create_task_group() as tasks:
            forwarders = [
                opened.enter_context(
                    closing(Forwarder(destination, transport, settings, clock, tasks))
                )
                for destination, transport in zip(destinations, transports, strict=True)
            ]
            try:
                yield Success(Forwarding(forwarders, settings))
                await _drain(forwarders, settings.shutdown_timeout_s)
            finally:
                tasks.cancel_scope.cancel()


async def _drain(forwarders: Sequence[Forwarder], within_s: float) -> None:
    with anyio.move_on_after(within_s):
        async with anyio.create_task_group() as drains:
            for forwarder in forwarders:
                drains.start_soon(forwarder.drain)

"""A replay that a command asked for: carried out, certified, judged."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.commands.desk import Desk
from otlp_replay.config import ReplayConfig
from otlp_replay.events import Observer
from otlp_replay.fidelity import (
    FidelityCertificate,
    Gate,
    GateMiss,
    keep_certificate,
    misses,
    write_report,
)
from otlp_replay.observed import ObservedReplays
from otlp_replay.round_trip import replay_and_verify
from otlp_replay.status import ReplayStatus
from otlp_replay.verify import Comparison


@attrs.frozen(kw_only=True)
class Asked:
    """What a command asks for.

    Attributes:
        config: the replay; it has an id.
        gate: what it must keep within.
        report: where a page about it goes; None: there is none.
        verify_into: the session that it is recorded into and compared with; None: it is sent to
            its target.
    """

    config: ReplayConfig
    gate: Gate
    report: Path | None = None
    verify_into: str | None = None


@attrs.frozen(kw_only=True)
class Carried:
    """What a replay came to.

    Attributes:
        status: how it ended.
        certificate: how close it came to its plan.
        misses: what of it missed the gate.
        comparison: how what arrived differs from what was to be replayed; None: not asked for.
        problems: what of the certificate and the page could not be kept.
    """

    status: ReplayStatus
    certificate: FidelityCertificate
    misses: tuple[GateMiss, ...] = ()
    comparison: Comparison | None = None
    problems: tuple[Any, ...] = ()

    @property
    def delivered_before(self) -> int:
        """How many requests earlier runs of the same replay had delivered."""
        return self.status.not_sent_reasons.get("DeliveredBefore", 0)

    @property
    def is_delivered(self) -> bool:
        """Whether all that was to be sent was taken; what a filter left out was not to be."""
        left_out = self.status.not_sent_reasons.get("FilteredOut", 0)
        taken = self.status.delivery.delivered + self.delivered_before
        return taken + left_out == self.status.total_records

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        document: dict[str, Any] = {
            "status": self.status.to_json(),
            "certificate": self.certificate.to_json(),
            "gateMisses": [_told(miss) for miss in self.misses],
        }
        if self.delivered_before:
            document["deliveredBefore"] = self.delivered_before
        if self.problems:
            document["notKept"] = [_told(problem) for problem in self.problems]
        if self.comparison is not None:
            document["comparison"] = self.comparison.to_json()
        return document


async def carry_out(
    desk: Desk,
    asked: Asked,
    show: Callable[[ReplayStatus], None],
    observers: Sequence[Observer],
) -> Outcome[Carried, Any]:
    """Replay to the end, and judge how it went; *show* is told how it stands meanwhile."""
    replays = ObservedReplays(desk.replays, observers)
    comparison: Comparison | None = None
    if asked.verify_into is None:
        sent = await _sent(replays, asked.config, show)
        if isinstance(sent, Failure):
            return sent
        status = sent.unwrap()
    else:
        verified = await replay_and_verify(
            desk.storage,
            desk.capture,
            replays,
            attrs.evolve(asked.config, store_certificate=False),
            asked.verify_into,
            watch=show,
        )
        if isinstance(verified, Failure):
            return verified
        status, comparison = verified.unwrap().status, verified.unwrap().comparison
    certificate = await replays.get_certificate(status.replay_id)
    if isinstance(certificate, Failure):
        return certificate
    certified = _named(certificate.unwrap(), asked.verify_into)
    missed = misses(asked.gate, certified)
    problems = await _keep(desk, asked, status, certified, missed)
    return Success(
        Carried(
            status=status,
            certificate=certified,
            misses=missed,
            comparison=comparison,
            problems=problems,
        )
    )


async def _sent(
    replays: ObservedReplays, config: ReplayConfig, show: Callable[[ReplayStatus], None]
) -> Outcome[ReplayStatus, Any]:
    started = await replays.start_replay(config)
    if isinstance(started, Failure):
        return started
    status = started.unwrap()
    async for seen in replays.watch(status.replay_id):
        status = seen
        show(status)
    return Success(status)


def _named(certified: FidelityCertificate, into: str | None) -> FidelityCertificate:
    """Name the session that was recorded into for the server that stood before it."""
    return certified if into is None else attrs.evolve(certified, target=f"session {into}")


async def _keep(
    desk: Desk,
    asked: Asked,
    status: ReplayStatus,
    certified: FidelityCertificate,
    missed: tuple[GateMiss, ...],
) -> tuple[Any, ...]:
    problem: Any = status.certificate_error
    if asked.verify_into is not None and asked.config.store_certificate:
        problem = await keep_certificate(desk.storage, certified)
    problems = [] if problem is None else [problem]
    if asked.report is not None:
        written = await anyio.to_thread.run_sync(write_report, asked.report, certified, missed)
        if isinstance(written, Failure):
            problems.append(written.failure())
    return tuple(problems)


def _told(error: Any) -> dict[str, str]:
    return {"error": type(error).__name__, "message": error.message}

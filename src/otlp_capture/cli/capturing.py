"""What `record` and `serve` share: the options of what is recorded, and its report."""

import os
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import typer

from otlp_capture.capture import CaptureConfig, CaptureSettings, InvalidConfig, RingStatus
from otlp_capture.cli.forwarding import forwarded_document, tell_forwarded
from otlp_capture.cli.keeping import KeepingOptions, keeping_settings
from otlp_capture.cli.options import SignalName, chosen_signals
from otlp_capture.cli.redaction import redaction_lines
from otlp_capture.cli.ringing import ring_lines
from otlp_capture.cli.terminal import counted_text, print_json, summary, tell
from otlp_capture.forward import Forwarding
from otlp_capture.otlp import Limits
from otlp_capture.receiver import Tally, ring_document
from otlp_capture.redaction import Redactor, redaction_report
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, metadata_document
from otlp_capture.telemetry import Telemetry

LabelsOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Kept with the session.")
]
DescriptionOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TEXT", help="A sentence for people.")
]
MaxSizeOption: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="MB", help="End the session at this stored size, in 10^6 bytes."),
]
MaxDurationOption: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="MINUTES", help="End the session at this age."),
]
MaxRequestOption: TypeAlias = Annotated[
    int,
    typer.Option(metavar="MIB", min=1, max=128, help="Refuse larger requests, decompressed."),
]
KeepHeadersOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-header", metavar="NAME", help="Keep this header of each request; no credentials."
    ),
]


def capture_config(
    session: str,
    description: str | None,
    label: list[str] | None,
    signal: list[SignalName] | None,
    max_size_mb: float | None,
    max_duration_minutes: float | None,
) -> Outcome[CaptureConfig, InvalidConfig]:
    """Return what options say of a session.

    Fails with:
        InvalidConfig: a label is none.
    """
    labels: dict[str, str] = {}
    for text in label or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            return Failure(InvalidConfig("--label", text, "it is NAME=VALUE"))
        labels[name] = value
    signals = chosen_signals(signal)
    return Success(
        CaptureConfig(
            session_id=session,
            description=description,
            labels=labels,
            capture_traces="traces" in signals,
            capture_metrics="metrics" in signals,
            capture_logs="logs" in signals,
            max_size_mb=max_size_mb,
            max_duration_minutes=max_duration_minutes,
        )
    )


def capture_settings(
    keeping: KeepingOptions, max_request_mib: int, redactor: Redactor | None, told: Telemetry
) -> Outcome[CaptureSettings, InvalidConfig]:
    """Return how requests are kept, and who is told.

    Fails with:
        InvalidConfig: an option does not go with another.
    """
    kept = keeping_settings(keeping)
    if isinstance(kept, Failure):
        return kept
    limits = Limits(max_bytes=max_request_mib << 20)
    return Success(
        CaptureSettings(limits=limits, redaction=redactor, telemetry=told, **kept.unwrap())
    )


def quieten_grpc() -> None:
    """Keep gRPC from writing a line on standard error for each request that it refuses itself."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def report(
    sessions: Sequence[CaptureSessionMetadata | RingStatus],
    tally: Tally,
    redactor: Redactor | None,
    forwarding: Forwarding | None,
    *,
    as_json: bool,
) -> None:
    """Tell what is in the sessions that have ended, the server's own first, and what is not."""
    own, *others = sessions
    if as_json:
        document: dict[str, Any] = {**_document(own), "refused": dict(tally.refused)}
        if others:
            document["otherSessions"] = [_document(each) for each in others]
        if redactor is not None:
            document["redacted"] = redaction_report(redactor)
        document |= forwarded_document(forwarding)
        print_json(document)
        return
    for each in sessions:
        for line in _lines(each):
            tell(line)
    for reason, count in sorted(tally.refused.items()):
        tell(f"{counted_text(count, 'request')} refused: {reason}")
    for line in () if redactor is None else redaction_lines(redactor):
        tell(line)
    tell_forwarded(forwarding)
    if not any(map(_kept_requests, sessions)):
        tell("Nothing was kept. Does it export OTLP as it is told to, and flush at its end?")


def _document(ended: CaptureSessionMetadata | RingStatus) -> dict[str, Any]:
    if isinstance(ended, RingStatus):
        return {"ring": ring_document(ended)}
    return metadata_document(ended)


def _lines(ended: CaptureSessionMetadata | RingStatus) -> list[str]:
    if isinstance(ended, RingStatus):
        return ring_lines(ended)
    if ended.end_reason in {None, "stopped"}:
        return [summary(ended)]
    return [
        summary(ended),
        f"The session reached its limit ({ended.end_reason}) and took no more.",
    ]


def _kept_requests(ended: CaptureSessionMetadata | RingStatus) -> int:
    return ended.kept_requests if isinstance(ended, RingStatus) else ended.captured_requests

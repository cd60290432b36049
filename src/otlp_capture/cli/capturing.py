"""What `record` and `serve` share: the options of what is recorded, and its report."""

import math
import os
from typing import Annotated, Any, Final, TypeAlias

import typer

from otlp_capture.capture import CaptureConfig, CaptureSettings, InvalidConfig
from otlp_capture.cli.forwarding import forwarded_document, tell_forwarded
from otlp_capture.cli.options import SignalName, chosen_signals
from otlp_capture.cli.redaction import redaction_lines
from otlp_capture.cli.terminal import counted_text, print_json, summary, tell
from otlp_capture.forward import Forwarding
from otlp_capture.otlp import Limits
from otlp_capture.receiver import Tally
from otlp_capture.redaction import Redactor, redaction_report
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, metadata_document

_MAX_LINGER_MS: Final = 60_000.0

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
LingerOption: TypeAlias = Annotated[
    float,
    typer.Option(metavar="MS", help="How long requests wait to share an object."),
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
    linger_ms: float, max_request_mib: int, redactor: Redactor | None
) -> CaptureSettings:
    """Return how requests are kept; a linger out of its range is a wrong argument."""
    if not (math.isfinite(linger_ms) and 0 <= linger_ms <= _MAX_LINGER_MS):
        raise typer.BadParameter(
            f"{linger_ms} is not in the range 0<=x<={_MAX_LINGER_MS:g}", param_hint="--linger-ms"
        )
    limits = Limits(max_bytes=max_request_mib << 20)
    return CaptureSettings(linger_s=linger_ms / 1000, limits=limits, redaction=redactor)


def quieten_grpc() -> None:
    """Keep gRPC from writing a line on standard error for each request that it refuses itself."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def report(
    sessions: tuple[CaptureSessionMetadata, ...],
    tally: Tally,
    redactor: Redactor | None,
    forwarding: Forwarding | None,
    *,
    as_json: bool,
) -> None:
    """Tell what is in the sessions that have ended, the server's own first, and what is not."""
    own, *others = sessions
    if as_json:
        document: dict[str, Any] = {**metadata_document(own), "refused": dict(tally.refused)}
        if others:
            document["otherSessions"] = [metadata_document(each) for each in others]
        if redactor is not None:
            document["redacted"] = redaction_report(redactor)
        document |= forwarded_document(forwarding)
        print_json(document)
        return
    for metadata in sessions:
        tell(summary(metadata))
        if metadata.end_reason not in {None, "stopped"}:
            tell(f"The session reached its limit ({metadata.end_reason}) and took no more.")
    for reason, count in sorted(tally.refused.items()):
        tell(f"{counted_text(count, 'request')} refused: {reason}")
    for line in () if redactor is None else redaction_lines(redactor):
        tell(line)
    tell_forwarded(forwarding)
    if not any(metadata.captured_requests for metadata in sessions):
        tell("Nothing was kept. Does it export OTLP as it is told to, and flush at its end?")

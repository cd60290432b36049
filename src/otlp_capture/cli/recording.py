"""`otlp-capture record` and `serve`: what clients export becomes a session."""

import math
import os
import sys
from signal import SIGINT, SIGTERM
from typing import Annotated, Any, Final, TypeAlias

import anyio
import typer

from otlp_capture.capture import (
    CaptureConfig,
    CaptureError,
    CaptureSettings,
    InvalidConfig,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    capture_service,
)
from otlp_capture.cli.forwarding import (
    AnswerName,
    ForwardAnswerOption,
    ForwardCaOption,
    ForwardGzipOption,
    ForwardHeaderOption,
    ForwardOption,
    ForwardOptions,
    ForwardQueueOption,
    ForwardRawOption,
    ForwardRequiredOption,
    ForwardRetryOption,
    ForwardTimeoutOption,
    forwarded_document,
    is_owed,
    opened_forwarding,
    plan_forwarding,
    tell_forwarded,
)
from otlp_capture.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    SessionOption,
    SignalName,
    SignalsOption,
    StoreOption,
    chosen_signals,
)
from otlp_capture.cli.process import (
    CommandNotExecutable,
    CommandNotFound,
    find_program,
    run_to_end,
)
from otlp_capture.cli.redaction import RedactOption, chosen_redactor, redaction_lines
from otlp_capture.cli.terminal import (
    DONE,
    FINDING,
    counted_text,
    print_json,
    run_with,
    summary,
    tell,
    tell_json,
)
from otlp_capture.forward import Forwarding
from otlp_capture.otlp import Limits
from otlp_capture.receiver import (
    DEFAULT_GRPC_PORT,
    DEFAULT_HTTP_PORT,
    GrpcReceiverSettings,
    HttpReceiverSettings,
    Receiver,
    exporter_environment,
    open_receiver,
)
from otlp_capture.redaction import Redactor, redaction_report
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    CaptureSessionMetadata,
    SessionAlreadyExists,
    metadata_document,
)

_FAILED_ITSELF: Final = 125
_EXIT_CODES: Final[dict[type, int]] = {CommandNotExecutable: 126, CommandNotFound: 127}
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


def record(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="What to run, and its arguments.")
    ],
    *,
    session: SessionOption,
    description: DescriptionOption = None,
    label: LabelsOption = None,
    signal: SignalsOption = None,
    max_size_mb: MaxSizeOption = None,
    max_duration_minutes: MaxDurationOption = None,
    max_request_mib: MaxRequestOption = 20,
    keep_header: KeepHeadersOption = None,
    linger_ms: LingerOption = 20.0,
    redact: RedactOption = None,
    forward: ForwardOption = None,
    forward_answer: ForwardAnswerOption = AnswerName.CAPTURE,
    forward_required: ForwardRequiredOption = False,
    forward_raw: ForwardRawOption = False,
    forward_gzip: ForwardGzipOption = False,
    forward_header: ForwardHeaderOption = None,
    forward_ca: ForwardCaOption = None,
    forward_queue_mb: ForwardQueueOption = 64,
    forward_timeout: ForwardTimeoutOption = 10.0,
    forward_retry: ForwardRetryOption = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Run a command, and record all that its OpenTelemetry SDK exports.

    A receiver listens on free loopback ports, and OTEL_EXPORTER_OTLP_ENDPOINT tells the command
    which. OTEL_EXPORTER_OTLP_PROTOCOL stays as it is, grpc, http/protobuf or http/json, also for
    single signals; without it http/protobuf is set. The session ends with the command, and the exit
    code is the command's: 128 + n after signal n, 125 when the recording itself fails. With --json
    the command's standard output goes to standard error.

    Example: [bold]otlp-capture record --session checkout -- python app.py[/]
    """
    config = _config(session, description, label, signal, max_size_mb, max_duration_minutes)
    redactor = chosen_redactor(redact, as_json=as_json, failed=_FAILED_ITSELF)
    shared: dict[str, Any] = {
        "max_body_bytes": max_request_mib << 20,
        "keep_headers": keep_header or (),
    }
    http = HttpReceiverSettings(port=0, **shared)
    grpc = GrpcReceiverSettings(port=0, **shared)

    options = ForwardOptions(
        urls=forward or (),
        answer=forward_answer.value,
        is_required=forward_required,
        is_raw=forward_raw,
        is_gzip=forward_gzip,
        headers=forward_header or (),
        ca_file=forward_ca,
        queue_mb=forward_queue_mb,
        timeout_s=forward_timeout,
        retry_s=forward_retry,
    )

    async def work(capture: OtlpCaptureService) -> Outcome[int, Any]:
        if isinstance(config, Failure):
            return config
        inherited = dict(os.environ)
        _quieten_grpc()
        found = find_program(command[0])
        if isinstance(found, Failure):
            return found
        plan = plan_forwarding(options)
        if isinstance(plan, Failure):
            return plan
        with anyio.open_signal_receiver(SIGINT, SIGTERM) as interrupts:
            async with (
                opened_forwarding(plan.unwrap(), as_json=as_json) as forwarding,
                open_receiver(
                    capture, session, http=http, grpc=grpc, forwarding=forwarding
                ) as opened,
            ):
                if isinstance(opened, Failure):
                    return opened
                started = await capture.start_capture(config.unwrap())
                if isinstance(started, Failure):
                    return started
                receiver = opened.unwrap()
                ended = await run_to_end(
                    command,
                    exporter_environment(inherited, *_urls(receiver)),
                    interrupts,
                    stdout=sys.stderr.fileno() if as_json else None,
                )
            stopped = await capture.stop_capture(session)
        if isinstance(stopped, Failure):
            return stopped
        if isinstance(ended, Success):
            _report(stopped.unwrap(), receiver, redactor, forwarding, as_json=as_json)
        return ended

    run_with(
        store,
        capture_service(_capture_settings(linger_ms, max_request_mib, redactor)),
        OtlpCaptureServiceTag,
        work,
        as_json=as_json,
        codes=_EXIT_CODES,
        failed=_FAILED_ITSELF,
    )


def serve(
    *,
    session: SessionOption,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    http_port: Annotated[
        int, typer.Option(metavar="PORT", help="OTLP/HTTP; 0: any free one.")
    ] = DEFAULT_HTTP_PORT,
    grpc_port: Annotated[
        int, typer.Option(metavar="PORT", help="OTLP/gRPC; 0: any free one.")
    ] = DEFAULT_GRPC_PORT,
    no_http: Annotated[bool, typer.Option("--no-http", help="Take no OTLP/HTTP.")] = False,
    no_grpc: Annotated[bool, typer.Option("--no-grpc", help="Take no OTLP/gRPC.")] = False,
    description: DescriptionOption = None,
    label: LabelsOption = None,
    signal: SignalsOption = None,
    max_size_mb: MaxSizeOption = None,
    max_duration_minutes: MaxDurationOption = None,
    max_request_mib: MaxRequestOption = 20,
    keep_header: KeepHeadersOption = None,
    linger_ms: LingerOption = 20.0,
    redact: RedactOption = None,
    forward: ForwardOption = None,
    forward_answer: ForwardAnswerOption = AnswerName.CAPTURE,
    forward_required: ForwardRequiredOption = False,
    forward_raw: ForwardRawOption = False,
    forward_gzip: ForwardGzipOption = False,
    forward_header: ForwardHeaderOption = None,
    forward_ca: ForwardCaOption = None,
    forward_queue_mb: ForwardQueueOption = 64,
    forward_timeout: ForwardTimeoutOption = 10.0,
    forward_retry: ForwardRetryOption = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Record what OpenTelemetry clients export over OTLP/HTTP and OTLP/gRPC, until interrupted.

    SIGINT and SIGTERM end the session cleanly. A session that was never stopped and that nobody
    records any more is taken up again, with the settings it was started with. With --forward, what
    is stored goes on to collectors. With --json, the addresses that are listened on are an object
    on standard error.

    Example: [bold]otlp-capture serve --session checkout --http-port 4318 --grpc-port 4317[/]
    """
    config = _config(session, description, label, signal, max_size_mb, max_duration_minutes)
    redactor = chosen_redactor(redact, as_json=as_json)
    shared: dict[str, Any] = {
        "host": host,
        "max_body_bytes": max_request_mib << 20,
        "keep_headers": keep_header or (),
    }
    http = None if no_http else HttpReceiverSettings(port=http_port, **shared)
    grpc = None if no_grpc else GrpcReceiverSettings(port=grpc_port, **shared)

    options = ForwardOptions(
        urls=forward or (),
        answer=forward_answer.value,
        is_required=forward_required,
        is_raw=forward_raw,
        is_gzip=forward_gzip,
        headers=forward_header or (),
        ca_file=forward_ca,
        queue_mb=forward_queue_mb,
        timeout_s=forward_timeout,
        retry_s=forward_retry,
    )

    async def work(capture: OtlpCaptureService) -> Outcome[int, Any]:
        if isinstance(config, Failure):
            return config
        _quieten_grpc()
        listening = [(host, each.port) for each in (http, grpc) if each is not None]
        plan = plan_forwarding(options, listening)
        if isinstance(plan, Failure):
            return plan
        with anyio.open_signal_receiver(SIGINT, SIGTERM) as interrupts:
            async with (
                opened_forwarding(plan.unwrap(), as_json=as_json) as forwarding,
                open_receiver(
                    capture, session, http=http, grpc=grpc, forwarding=forwarding
                ) as opened,
            ):
                if isinstance(opened, Failure):
                    return opened
                started = await _start_or_take_up(capture, config.unwrap())
                if isinstance(started, Failure):
                    return started
                receiver = opened.unwrap()
                _announce(started.unwrap(), receiver, as_json=as_json)
                await anext(interrupts)
            stopped = await capture.stop_capture(session)
        if isinstance(stopped, Failure):
            return stopped
        _report(stopped.unwrap(), receiver, redactor, forwarding, as_json=as_json)
        return Success(FINDING if is_owed(forwarding, plan.unwrap()) else DONE)

    run_with(
        store,
        capture_service(_capture_settings(linger_ms, max_request_mib, redactor)),
        OtlpCaptureServiceTag,
        work,
        as_json=as_json,
    )


def _config(
    session: str,
    description: str | None,
    label: list[str] | None,
    signal: list[SignalName] | None,
    max_size_mb: float | None,
    max_duration_minutes: float | None,
) -> Outcome[CaptureConfig, InvalidConfig]:
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


def _capture_settings(
    linger_ms: float, max_request_mib: int, redactor: Redactor | None
) -> CaptureSettings:
    if not (math.isfinite(linger_ms) and 0 <= linger_ms <= _MAX_LINGER_MS):
        raise typer.BadParameter(
            f"{linger_ms} is not in the range 0<=x<={_MAX_LINGER_MS:g}", param_hint="--linger-ms"
        )
    limits = Limits(max_bytes=max_request_mib << 20)
    return CaptureSettings(linger_s=linger_ms / 1000, limits=limits, redaction=redactor)


async def _start_or_take_up(
    capture: OtlpCaptureService, config: CaptureConfig
) -> Outcome[CaptureSessionMetadata, CaptureError]:
    started = await capture.start_capture(config)
    if isinstance(started, Failure):
        error = started.failure()
        if isinstance(error, SessionAlreadyExists) and error.status == "active":
            return await capture.resume_capture(config.session_id)
    return started


def _quieten_grpc() -> None:
    """Keep gRPC from writing a line on standard error for each request that it refuses itself."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def _urls(receiver: Receiver) -> tuple[str, str | None]:
    """Return where OTLP/HTTP is taken, which here is always on, and where OTLP/gRPC is."""
    assert receiver.http is not None
    return receiver.http.url, None if receiver.grpc is None else receiver.grpc.url


def _announce(metadata: CaptureSessionMetadata, receiver: Receiver, *, as_json: bool) -> None:
    http, grpc = receiver.http, receiver.grpc
    if as_json:
        listening = {"listening": http.url} if http else {}
        listening_grpc = {"listeningGrpc": grpc.url} if grpc else {}
        tell_json({"sessionId": metadata.session_id, **listening, **listening_grpc})
        return
    if metadata.captured_requests:
        tell(f"Taking up {summary(metadata)}.")
    addresses = [
        f"{name} on {server.url}"
        for name, server in (("OTLP/HTTP", http), ("OTLP/gRPC", grpc))
        if server is not None
    ]
    tell(f"Recording into session {metadata.session_id}: {', '.join(addresses)}. Ctrl-C ends it.")


def _report(
    metadata: CaptureSessionMetadata,
    receiver: Receiver,
    redactor: Redactor | None,
    forwarding: Forwarding | None,
    *,
    as_json: bool,
) -> None:
    refused = receiver.tally.refused
    if as_json:
        redacted = {} if redactor is None else {"redacted": redaction_report(redactor)}
        more = {**redacted, **forwarded_document(forwarding)}
        print_json({**metadata_document(metadata), "refused": dict(refused), **more})
        return
    tell(summary(metadata))
    if metadata.end_reason not in {None, "stopped"}:
        tell(f"The session reached its limit ({metadata.end_reason}) and took no more.")
    for reason, count in sorted(refused.items()):
        tell(f"{counted_text(count, 'request')} refused: {reason}")
    for line in () if redactor is None else redaction_lines(redactor):
        tell(line)
    tell_forwarded(forwarding)
    if not metadata.captured_requests:
        tell("Nothing was kept. Does it export OTLP as it is told to, and flush at its end?")

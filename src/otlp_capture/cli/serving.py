"""`otlp-capture serve`: what clients export becomes sessions, until it is interrupted."""

from signal import SIGINT, SIGTERM
from typing import Annotated, Any

import anyio
import attrs
import typer

from otlp_capture.capture import (
    CaptureConfig,
    CaptureError,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    capture_service,
)
from otlp_capture.cli.access import (
    BodyTimeoutOption,
    ClientCaOption,
    HeaderTimeoutOption,
    IdleTimeoutOption,
    InsecureOption,
    MaxConnectionsOption,
    MaxHeaderBytesOption,
    MaxInFlightOption,
    MinBodyRateOption,
    TlsCertOption,
    TlsKeyOption,
    TokensOption,
    access_settings,
)
from otlp_capture.cli.capturing import (
    DescriptionOption,
    KeepHeadersOption,
    LabelsOption,
    LingerOption,
    MaxDurationOption,
    MaxRequestOption,
    MaxSizeOption,
    capture_config,
    capture_settings,
    quieten_grpc,
    report,
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
    is_owed,
    opened_forwarding,
    plan_forwarding,
)
from otlp_capture.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    SessionOption,
    SignalsOption,
    StoreOption,
)
from otlp_capture.cli.redaction import RedactOption, chosen_redactor
from otlp_capture.cli.terminal import DONE, FINDING, run_with, summary, tell, tell_json
from otlp_capture.receiver import (
    DEFAULT_GRPC_PORT,
    DEFAULT_HTTP_PORT,
    GrpcReceiverSettings,
    HttpReceiverSettings,
    Receiver,
    open_receiver,
)
from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import CaptureSessionMetadata, SessionAlreadyExists


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
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    client_ca: ClientCaOption = None,
    tokens: TokensOption = None,
    insecure: InsecureOption = False,
    max_connections: MaxConnectionsOption = 400,
    max_in_flight_mib: MaxInFlightOption = 256,
    header_timeout: HeaderTimeoutOption = 10.0,
    body_timeout: BodyTimeoutOption = 60.0,
    min_body_rate: MinBodyRateOption = 500,
    idle_timeout: IdleTimeoutOption = 120.0,
    max_header_bytes: MaxHeaderBytesOption = 8190,
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

    Only this machine may send. Beyond it, as with --host 0.0.0.0, TLS and authentication are
    needed: --tls-cert and --tls-key, and --tokens, one token in OTLP_CAPTURE_TOKEN, or --client-ca.
    Sessions that the file of --tokens names are recorded beside that of --session.

    Example: [bold]otlp-capture serve --session checkout --http-port 4318 --grpc-port 4317[/]

    Example: [bold]otlp-capture serve --session shop --host 0.0.0.0 --tls-cert a.pem --tls-key a.key
    --tokens tokens.toml[/]
    """
    config = capture_config(session, description, label, signal, max_size_mb, max_duration_minutes)
    redactor = chosen_redactor(redact, as_json=as_json)
    shared: dict[str, Any] = {
        "host": host,
        "max_body_bytes": max_request_mib << 20,
        "max_in_flight_bytes": max_in_flight_mib << 20,
        "keep_headers": keep_header or (),
        "max_connections": max_connections,
        "header_timeout_s": header_timeout,
        "body_timeout_s": body_timeout,
    }
    only_http: dict[str, Any] = {
        "min_body_rate_bytes_per_s": min_body_rate,
        "idle_timeout_s": idle_timeout,
        "max_header_bytes": max_header_bytes,
    }
    access = access_settings(tls_cert, tls_key, client_ca, tokens, is_insecure=insecure)
    http = None if no_http else HttpReceiverSettings(port=http_port, **shared, **only_http)
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
        if isinstance(access, Failure):
            return access
        quieten_grpc()
        listening = [(host, each.port) for each in (http, grpc) if each is not None]
        plan = plan_forwarding(options, listening)
        if isinstance(plan, Failure):
            return plan
        with anyio.open_signal_receiver(SIGINT, SIGTERM) as interrupts:
            async with (
                opened_forwarding(plan.unwrap(), as_json=as_json) as forwarding,
                open_receiver(
                    capture,
                    session,
                    http=http,
                    grpc=grpc,
                    access=access.unwrap(),
                    forwarding=forwarding,
                ) as opened,
            ):
                if isinstance(opened, Failure):
                    return opened
                receiver = opened.unwrap()
                started = await _start_all(capture, config.unwrap(), receiver.session_ids)
                if isinstance(started, Failure):
                    return started
                _announce(started.unwrap(), receiver, as_json=as_json)
                await anext(interrupts)
            stopped = await _stop_all(capture, receiver.session_ids)
        if isinstance(stopped, Failure):
            return stopped
        report(stopped.unwrap(), receiver.tally, redactor, forwarding, as_json=as_json)
        return Success(FINDING if is_owed(forwarding, plan.unwrap()) else DONE)

    run_with(
        store,
        capture_service(capture_settings(linger_ms, max_request_mib, redactor)),
        OtlpCaptureServiceTag,
        work,
        as_json=as_json,
    )


async def _start_or_take_up(
    capture: OtlpCaptureService, config: CaptureConfig
) -> Outcome[CaptureSessionMetadata, CaptureError]:
    started = await capture.start_capture(config)
    if isinstance(started, Failure):
        error = started.failure()
        if isinstance(error, SessionAlreadyExists) and error.status == "active":
            return await capture.resume_capture(config.session_id)
    return started


async def _start_all(
    capture: OtlpCaptureService, config: CaptureConfig, session_ids: tuple[str, ...]
) -> Outcome[tuple[CaptureSessionMetadata, ...], CaptureError]:
    """Start or take up sessions, one after the other; what began before a failure goes on."""
    begun: list[CaptureSessionMetadata] = []
    for session_id in session_ids:
        started = await _start_or_take_up(capture, attrs.evolve(config, session_id=session_id))
        if isinstance(started, Failure):
            return started
        begun.append(started.unwrap())
    return Success(tuple(begun))


async def _stop_all(
    capture: OtlpCaptureService, session_ids: tuple[str, ...]
) -> Outcome[tuple[CaptureSessionMetadata, ...], CaptureError]:
    """Stop sessions, each whatever became of the others; the first failure is told."""
    stopped = [await capture.stop_capture(session_id) for session_id in session_ids]
    failed = next((each for each in stopped if isinstance(each, Failure)), None)
    return failed or Success(tuple(each.unwrap() for each in stopped))


def _announce(
    sessions: tuple[CaptureSessionMetadata, ...], receiver: Receiver, *, as_json: bool
) -> None:
    http, grpc = receiver.http, receiver.grpc
    if as_json:
        listening = {"listening": http.url} if http else {}
        listening_grpc = {"listeningGrpc": grpc.url} if grpc else {}
        others = [metadata.session_id for metadata in sessions[1:]]
        named = {"otherSessionIds": others} if others else {}
        tell_json({"sessionId": sessions[0].session_id, **named, **listening, **listening_grpc})
        return
    for metadata in sessions:
        if metadata.captured_requests:
            tell(f"Taking up {summary(metadata)}.")
    addresses = [
        f"{name} on {server.url}"
        for name, server in (("OTLP/HTTP", http), ("OTLP/gRPC", grpc))
        if server is not None
    ]
    own, *others = [metadata.session_id for metadata in sessions]
    by_credential = f" (by credential also {', '.join(others)})" if others else ""
    tell(f"Recording into session {own}{by_credential}: {', '.join(addresses)}. Ctrl-C ends it.")

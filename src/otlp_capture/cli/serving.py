"""`otlp-capture serve`: what clients export becomes sessions, until it is interrupted."""

from signal import SIGINT, SIGTERM, SIGUSR1
from typing import Annotated, Any

import anyio
import attrs
import typer

from otlp_capture.capture import (
    CaptureConfig,
    CaptureError,
    CaptureSettings,
    InvalidConfig,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    RingConfig,
    RingStatus,
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
from otlp_capture.cli.administering import AdminPortOption, UnreadyAfterOption, opened_admin
from otlp_capture.cli.capturing import (
    DescriptionOption,
    KeepHeadersOption,
    LabelsOption,
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
from otlp_capture.cli.keeping import (
    DEFAULT_BUDGET_MB,
    DurabilityOption,
    KeepingOptions,
    LingerOption,
    PublishAfterOption,
    PublishMbOption,
    SpoolBudgetOption,
)
from otlp_capture.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    SessionOption,
    SignalsOption,
    SpoolOption,
    StoreOption,
)
from otlp_capture.cli.own_telemetry import (
    NO_TELEMETRY,
    TelemetryOption,
    sent_after,
    telemetry_for,
)
from otlp_capture.cli.redaction import RedactOption, chosen_redactor
from otlp_capture.cli.ringing import RingOption, publish_on_signal, ring_config
from otlp_capture.cli.terminal import DONE, FINDING, run_with, summary, tell, tell_json
from otlp_capture.receiver import (
    DEFAULT_GRPC_PORT,
    DEFAULT_HTTP_PORT,
    Admin,
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
    ring: RingOption = None,
    admin_port: AdminPortOption = None,
    unready_after: UnreadyAfterOption = None,
    description: DescriptionOption = None,
    label: LabelsOption = None,
    signal: SignalsOption = None,
    max_size_mb: MaxSizeOption = None,
    max_duration_minutes: MaxDurationOption = None,
    max_request_mib: MaxRequestOption = 20,
    keep_header: KeepHeadersOption = None,
    durability: DurabilityOption = None,
    spool: SpoolOption = None,
    spool_budget: SpoolBudgetOption = DEFAULT_BUDGET_MB,
    publish_after: PublishAfterOption = None,
    publish_mb: PublishMbOption = None,
    linger_ms: LingerOption = None,
    telemetry: TelemetryOption = False,
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
    is stored goes on to collectors. With --ring, only the last minutes are kept, until somebody
    wants a session of them. With --json, the addresses that are listened on are an object on
    standard error.

    Only this machine may send. Beyond it, as with --host 0.0.0.0, TLS and authentication are
    needed: --tls-cert and --tls-key, and --tokens, one token in OTLP_CAPTURE_TOKEN, or --client-ca.
    Sessions that the file of --tokens names are recorded beside that of --session.

    Example: [bold]otlp-capture serve --session checkout --http-port 4318 --grpc-port 4317[/]

    Example: [bold]otlp-capture serve --session shop --host 0.0.0.0 --tls-cert a.pem --tls-key a.key
    --tokens tokens.toml[/]
    """
    config = capture_config(session, description, label, signal, max_size_mb, max_duration_minutes)
    keeping = KeepingOptions(
        durability=durability,
        spool=spool,
        spool_budget_mb=spool_budget,
        publish_after_s=publish_after,
        publish_mb=publish_mb,
        linger_ms=linger_ms,
    )
    redactor = chosen_redactor(redact, as_json=as_json)
    own = telemetry_for(wanted=telemetry)
    told = own.value_or(NO_TELEMETRY).telemetry
    settings = capture_settings(keeping, max_request_mib, redactor, told)
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

    ringed = _ring(ring, config, keeping)
    signals = (SIGINT, SIGTERM) if ring is None else (SIGINT, SIGTERM, SIGUSR1)

    async def work(capture: OtlpCaptureService) -> Outcome[int, Any]:
        for chosen in (config, settings, ringed):
            if isinstance(chosen, Failure):
                return chosen
        if isinstance(access, Failure):
            return access
        quieten_grpc()
        listening = [(host, each.port) for each in (http, grpc) if each is not None]
        plan = plan_forwarding(options, listening)
        if isinstance(plan, Failure):
            return plan
        with anyio.open_signal_receiver(*signals) as interrupts:
            async with (
                opened_forwarding(plan.unwrap(), as_json=as_json) as forwarding,
                open_receiver(
                    capture,
                    session,
                    http=http,
                    grpc=grpc,
                    access=access.unwrap(),
                    forwarding=forwarding,
                    telemetry=told,
                ) as opened,
            ):
                if isinstance(opened, Failure):
                    return opened
                receiver = opened.unwrap()
                apart = own.unwrap().check_receiver(receiver)
                if isinstance(apart, Failure):
                    return apart
                async with opened_admin(
                    capture, session, receiver, admin_port, unready_after
                ) as administered:
                    if isinstance(administered, Failure):
                        return administered
                    begun = await _begin(
                        capture, config.unwrap(), ringed.unwrap(), receiver.session_ids
                    )
                    if isinstance(begun, Failure):
                        return begun
                    _announce(begun.unwrap(), receiver, administered.unwrap(), as_json=as_json)
                    await publish_on_signal(capture, session, interrupts, as_json=as_json)
            ended = await _end(capture, ringed.unwrap(), receiver.session_ids)
        if isinstance(ended, Failure):
            return ended
        report(ended.unwrap(), receiver.tally, redactor, forwarding, as_json=as_json)
        return Success(FINDING if is_owed(forwarding, plan.unwrap()) else DONE)

    run_with(
        store,
        capture_service(settings.value_or(CaptureSettings())),
        OtlpCaptureServiceTag,
        sent_after(own, work),
        as_json=as_json,
    )


def _ring(
    duration: str | None, config: Outcome[CaptureConfig, InvalidConfig], keeping: KeepingOptions
) -> Outcome[RingConfig | None, InvalidConfig]:
    """Return what ring is to be kept; None: a session is recorded."""
    if duration is None or isinstance(config, Failure):
        return Success(None)
    return ring_config(duration, config.unwrap(), keeping)


async def _begin(
    capture: OtlpCaptureService,
    config: CaptureConfig,
    ring: RingConfig | None,
    session_ids: tuple[str, ...],
) -> Outcome[tuple[CaptureSessionMetadata | RingStatus, ...], CaptureError]:
    """Begin the session, or the ring, and then the sessions of credentials."""
    if ring is None:
        return await _start_all(capture, config, session_ids)
    started = await capture.start_ring(ring)
    if isinstance(started, Failure):
        return started
    others = await _start_all(capture, config, session_ids[1:])
    return others if isinstance(others, Failure) else Success((started.unwrap(), *others.unwrap()))


async def _end(
    capture: OtlpCaptureService, ring: RingConfig | None, session_ids: tuple[str, ...]
) -> Outcome[tuple[CaptureSessionMetadata | RingStatus, ...], CaptureError]:
    """End the sessions; a ring stays in the spool, as it stands."""
    if ring is None:
        return await _stop_all(capture, session_ids)
    status = capture.get_ring_status(session_ids[0])
    others = await _stop_all(capture, session_ids[1:])
    if isinstance(status, Failure):
        return status
    return others if isinstance(others, Failure) else Success((status.unwrap(), *others.unwrap()))


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
    begun: tuple[CaptureSessionMetadata | RingStatus, ...],
    receiver: Receiver,
    admin: Admin | None,
    *,
    as_json: bool,
) -> None:
    http, grpc = receiver.http, receiver.grpc
    is_ring = isinstance(begun[0], RingStatus)
    own, *others = receiver.session_ids
    if as_json:
        named = {"otherSessionIds": others} if others else {}
        servers = {"listening": http, "listeningGrpc": grpc, "admin": admin}
        urls = {word: server.url for word, server in servers.items() if server is not None}
        tell_json({"ring" if is_ring else "sessionId": own, **named, **urls})
        return
    for each in begun:
        if isinstance(each, CaptureSessionMetadata) and each.captured_requests:
            tell(f"Taking up {summary(each)}.")
    names = {"OTLP/HTTP": http, "OTLP/gRPC": grpc, "admin port": admin}
    there = [f"{name} on {server.url}" for name, server in names.items() if server is not None]
    what = "Keeping ring" if is_ring else "Recording into session"
    by_credential = f" (by credential also {', '.join(others)})" if others else ""
    tell(f"{what} {own}{by_credential}: {', '.join(there)}. Ctrl-C ends it.")

"""`otlp-capture record`: what a command exports becomes a session."""

import os
import sys
from signal import SIGINT, SIGTERM
from typing import Annotated, Any, Final

import anyio
import typer

from otlp_capture.capture import (
    CaptureSettings,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    capture_service,
)
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
    without_service_name,
)
from otlp_capture.cli.process import (
    CommandNotExecutable,
    CommandNotFound,
    find_program,
    run_to_end,
)
from otlp_capture.cli.redaction import RedactOption, chosen_redactor
from otlp_capture.cli.terminal import run_with
from otlp_capture.receiver import (
    GrpcReceiverSettings,
    HttpReceiverSettings,
    Receiver,
    exporter_environment,
    open_receiver,
)
from otlp_capture.result import Failure, Outcome, Success

_FAILED_ITSELF: Final = 125
_EXIT_CODES: Final[dict[type, int]] = {CommandNotExecutable: 126, CommandNotFound: 127}


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
    durability: DurabilityOption = None,
    spool: SpoolOption = None,
    spool_budget: SpoolBudgetOption = DEFAULT_BUDGET_MB,
    publish_after: PublishAfterOption = None,
    publish_mb: PublishMbOption = None,
    linger_ms: LingerOption = None,
    telemetry: TelemetryOption = False,
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
    config = capture_config(session, description, label, signal, max_size_mb, max_duration_minutes)
    keeping = KeepingOptions(
        durability=durability,
        spool=spool,
        spool_budget_mb=spool_budget,
        publish_after_s=publish_after,
        publish_mb=publish_mb,
        linger_ms=linger_ms,
    )
    redactor = chosen_redactor(redact, as_json=as_json, failed=_FAILED_ITSELF)
    own = telemetry_for(wanted=telemetry, environment=without_service_name(os.environ))
    told = own.value_or(NO_TELEMETRY).telemetry
    settings = capture_settings(keeping, max_request_mib, redactor, told)
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
        for chosen in (config, settings):
            if isinstance(chosen, Failure):
                return chosen
        inherited = dict(os.environ)
        quieten_grpc()
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
                    capture,
                    session,
                    http=http,
                    grpc=grpc,
                    forwarding=forwarding,
                    telemetry=told,
                ) as opened,
            ):
                if isinstance(opened, Failure):
                    return opened
                apart = own.unwrap().check_receiver(opened.unwrap())
                if isinstance(apart, Failure):
                    return apart
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
            report((stopped.unwrap(),), receiver.tally, redactor, forwarding, as_json=as_json)
        return ended

    run_with(
        store,
        capture_service(settings.value_or(CaptureSettings())),
        OtlpCaptureServiceTag,
        sent_after(own, work),
        as_json=as_json,
        codes=_EXIT_CODES,
        failed=_FAILED_ITSELF,
    )


def _urls(receiver: Receiver) -> tuple[str, str | None]:
    """Return where OTLP/HTTP is taken, which here is always on, and where OTLP/gRPC is."""
    assert receiver.http is not None
    return receiver.http.url, None if receiver.grpc is None else receiver.grpc.url

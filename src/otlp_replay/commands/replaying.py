"""The command `otlp-capture replay`."""

import logging
from collections.abc import Sequence
from typing import Any, Final

import attrs
import typer

from otlp_capture.capture import InvalidConfig
from otlp_capture.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    chosen_signals,
)
from otlp_capture.cli.terminal import (
    DONE,
    FINDING,
    exit_code,
    print_json,
    progress,
    run_with,
    tell,
)
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.commands.amounts import (
    date_of,
    moment_of,
    rate_of,
    seconds,
    shard_of,
    share_of,
    size_bytes,
    speed_of,
)
from otlp_replay.commands.asked import (
    Choice,
    checked_config,
    choice_of,
    headers_of,
    named_as_option,
    token_of,
)
from otlp_replay.commands.carrying import Asked, Carried, carry_out
from otlp_replay.commands.desk import Desk, DeskLive, DeskTag
from otlp_replay.commands.exits import EXIT_CODES
from otlp_replay.commands.options import (
    AfterOption,
    AllowTargetOption,
    BearerOption,
    BeforeOption,
    CaOption,
    CertificateOption,
    CompressionOption,
    ConcurrencyOption,
    CopiesOption,
    DryRunOption,
    FromOption,
    HeaderOption,
    IdsArgument,
    KeyOption,
    LatePolicyOption,
    LedgerOption,
    LimitOption,
    LoopOption,
    MaxDriftOption,
    MaxDurationOption,
    MaxGapOption,
    MaxLatenessOption,
    MaxP99Option,
    MaxRateOption,
    MaxSizeOption,
    MinSizeOption,
    PrecisionOption,
    ProtocolOption,
    RemapOption,
    ReportOption,
    ResumeOption,
    ResumeUnknownOption,
    SeedOption,
    ServiceOption,
    ShardOption,
    ShareOption,
    SignalOption,
    SpeedOption,
    StrategyOption,
    TimestampsOption,
    ToOption,
    TypeOption,
    UntilOption,
    VerifyIntoOption,
)
from otlp_replay.commands.showing import print_carried, print_plan
from otlp_replay.commands.watching import Display, Pace, Reasons, Steered, steered_to_its_end
from otlp_replay.config import ReplayConfig
from otlp_replay.fidelity import Gate, check_gate, check_report
from otlp_replay.naming import new_replay_id
from otlp_replay.orchestrator import SessionFilter
from otlp_replay.plan import plan_replay

_DEFAULT_TARGET: Final = "http://127.0.0.1:4318"


def replay(
    ids: IdsArgument,
    *,
    to: ToOption = "",
    protocol: ProtocolOption = "http/protobuf",
    allow_target: AllowTargetOption = None,
    header: HeaderOption = None,
    bearer_token_file: BearerOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    compression: CompressionOption = "identity",
    concurrency: ConcurrencyOption = 64,
    from_: FromOption = None,
    until: UntilOption = None,
    service: ServiceOption = None,
    signal: SignalOption = None,
    share: ShareOption = "1",
    limit: LimitOption = None,
    shard: ShardOption = None,
    timestamps: TimestampsOption = "none",
    speed: SpeedOption = "1",
    max_gap: MaxGapOption = None,
    max_rate: MaxRateOption = None,
    max_duration: MaxDurationOption = None,
    precision: PrecisionOption = "normal",
    late_policy: LatePolicyOption = "catch_up",
    max_lateness: MaxLatenessOption = "1s",
    loop: LoopOption = 1,
    copies: CopiesOption = 1,
    remap_ids: RemapOption = None,
    seed: SeedOption = 0,
    strategy: StrategyOption = None,
    type_: TypeOption = None,
    min_size: MinSizeOption = None,
    max_size: MaxSizeOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    dry_run: DryRunOption = False,
    ledger: LedgerOption = None,
    resume: ResumeOption = False,
    resume_unknown: ResumeUnknownOption = None,
    report: ReportOption = None,
    max_p99_lateness: MaxP99Option = None,
    max_drift: MaxDriftOption = None,
    verify_into: VerifyIntoOption = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Send sessions to an OTLP endpoint, at the pace at which they were recorded.

    It ends with what became of each request, and with a certificate of how close to its plan it
    was sent, which is stored beside the session. At a terminal, keys steer it. Ctrl-C stops it,
    twice at once.

    Exits with 0 when all was delivered, 1 when something was not, differs or missed a limit, 2
    where it cannot be or may not be sent there, 3 when the target is out of reach.

    Example: [bold]otlp-capture replay checkout --to http://127.0.0.1:4318 --speed max[/]

    Example: [bold]otlp-capture replay auto --strategy largest --dry-run[/]
    """
    if not (to or verify_into or dry_run):
        message = "Missing option '--to': where to send; or give --verify-into, or --dry-run"
        raise typer.BadParameter(message)
    chosen = chosen_signals(signal)
    where = SessionFilter(
        session_type=type_,
        min_size_bytes=size_bytes(min_size, "--min-size"),
        max_size_bytes=size_bytes(max_size, "--max-size"),
        after_date=date_of(after, "--after"),
        before_date=date_of(before, "--before"),
    )
    config = ReplayConfig(
        session_id=ids[0],
        merged_session_ids=tuple(ids[1:]),
        target_endpoint=to or _DEFAULT_TARGET,
        allowed_targets=tuple(allow_target or ()),
        protocol=protocol,
        compression=compression,
        tls_ca=ca,
        tls_certificate=certificate,
        tls_key=key,
        timestamp_adjustment=timestamps,
        replay_traces="traces" in chosen,
        replay_metrics="metrics" in chosen,
        replay_logs="logs" in chosen,
        filter_services=tuple(service or ()),
        replay_from=moment_of(from_, "--from"),
        replay_until=moment_of(until, "--until"),
        trace_share=share_of(share, "--share"),
        limit=limit,
        shard=shard_of(shard, "--shard"),
        loops=loop,
        copies=copies,
        remap_ids=remap_ids,
        seed=seed,
        speed_multiplier=speed_of(speed, "--speed"),
        late_policy=late_policy,
        max_lateness_s=seconds(max_lateness, "--max-lateness") or 0.0,
        max_gap_s=seconds(max_gap, "--max-gap"),
        max_rate=rate_of(max_rate, "--max-rate"),
        precision=precision,
        max_duration_s=seconds(max_duration, "--max-duration"),
        max_in_flight=concurrency,
        ledger=ledger,
        resume=resume,
        resume_unknown=resume_unknown or "leave",
        replay_id=new_replay_id(SYSTEM_CLOCK.time_ns()),
    )
    gate = Gate(
        max_p99_lateness_s=seconds(max_p99_lateness, "--max-p99-lateness"),
        max_drift_s=seconds(max_drift, "--max-drift"),
    )

    async def work(desk: Desk) -> Outcome[int, Any]:
        checked = _checked(
            Asked(config=config, gate=gate, report=report, verify_into=verify_into),
            to=to,
            header=header or (),
            token_file=bearer_token_file,
            is_unknown_said=resume_unknown is not None,
        )
        if isinstance(checked, Failure):
            return checked
        choice = choice_of(ids, strategy, where)
        if isinstance(choice, Failure):
            return choice
        asked = await _with_session(desk, checked.unwrap(), choice.unwrap(), as_json=as_json)
        if isinstance(asked, Failure):
            return Failure(named_as_option(asked.failure()))
        if dry_run:
            return await _plan(desk, asked.unwrap().config, as_json=as_json)
        return await _carry_out(desk, asked.unwrap(), as_json=as_json)

    run_with(store, DeskLive, DeskTag, work, as_json=as_json, codes=EXIT_CODES)


def _checked(
    asked: Asked,
    *,
    to: str,
    header: Sequence[str],
    token_file: Any,
    is_unknown_said: bool,
) -> Outcome[Asked, Any]:
    """Read what stands in files and in the environment, and see that all goes together."""
    if asked.verify_into is not None and to:
        allowed = "--verify-into records here what is sent, and so goes without --to"
        return Failure(InvalidConfig("--to", to, allowed))
    if is_unknown_said and not asked.config.resume:
        unknown = asked.config.resume_unknown
        return Failure(InvalidConfig("--resume-unknown", unknown, "it goes with --resume"))
    headers = headers_of(header)
    if isinstance(headers, Failure):
        return headers
    token = token_of(token_file)
    if isinstance(token, Failure):
        return token
    config = checked_config(
        attrs.evolve(asked.config, headers=headers.unwrap(), bearer_token=token.unwrap())
    )
    if isinstance(config, Failure):
        return config
    gate = check_gate(asked.gate)
    if isinstance(gate, Failure):
        return Failure(named_as_option(gate.failure()))
    if asked.report is not None:
        possible = check_report(asked.report)
        if isinstance(possible, Failure):
            return possible
    return Success(attrs.evolve(asked, config=config.unwrap()))


async def _with_session(
    desk: Desk, asked: Asked, choice: Choice | None, *, as_json: bool
) -> Outcome[Asked, Any]:
    if choice is None:
        return Success(asked)
    seed = asked.config.seed or None
    selected = await desk.sessions.select(choice.strategy, choice.where, seed=seed)
    if isinstance(selected, Failure):
        return selected
    session_id = selected.unwrap().session_id
    if not as_json:
        tell(f"The session is {session_id}.")
    return Success(attrs.evolve(asked, config=attrs.evolve(asked.config, session_id=session_id)))


async def _plan(desk: Desk, config: ReplayConfig, *, as_json: bool) -> Outcome[int, Any]:
    planned = await plan_replay(desk.storage, desk.clock, config)
    if isinstance(planned, Failure):
        return planned
    if as_json:
        print_json(planned.unwrap().to_json())
    else:
        print_plan(planned.unwrap())
    return Success(DONE)


async def _carry_out(desk: Desk, asked: Asked, *, as_json: bool) -> Outcome[int, Any]:
    config = asked.config
    pace, reasons = Pace(desk.clock), Reasons()
    steered = Steered(config.speed_multiplier)
    # What it would log of single requests is told once, at the end.
    logging.getLogger("otlp_replay").setLevel(logging.ERROR)
    with progress(as_json=as_json) as bar:
        display = Display(bar, ", ".join(config.session_ids), steered, pace)

        async def send() -> Outcome[Carried, Any]:
            return await carry_out(desk, asked, display.show, (pace, reasons))

        carried = await steered_to_its_end(
            desk.replays, config.replay_id or "", steered, send, as_json=as_json
        )
    if carried is None:
        return Success(steered.code or FINDING)
    if isinstance(carried, Failure):
        return carried
    if as_json:
        print_json(carried.unwrap().to_json())
    else:
        print_carried(carried.unwrap(), reasons.first)
    return Success(steered.code or _code(carried.unwrap()))


def _code(carried: Carried) -> int:
    status = carried.status
    if status.error is not None:
        return exit_code(status.error, EXIT_CODES)
    is_different = carried.comparison is not None and not carried.comparison.equal
    is_good = carried.is_delivered and not carried.misses and not is_different
    if not is_good:
        return FINDING
    return exit_code(carried.problems[0], EXIT_CODES) if carried.problems else DONE

"""The options of `replay`, in the panels of its help."""

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from otlp_capture.cli.options import SignalName
from otlp_capture.sending import Compression
from otlp_replay.config import (
    Protocol,
    ResumeUnknown,
    TimestampAdjustment,
)
from otlp_replay.orchestrator import SelectionStrategy, SessionType
from otlp_replay.pacing import LatePolicy, Precision

_AUTO: Final = "Which session, with auto in place of an ID"
_TARGET: Final = "Where to, and how"
_WHAT: Final = "What is sent"
_WHEN: Final = "When it is sent"
_LATE: Final = "What happens where it is late"
_LOAD: Final = "More load than was recorded"
_END: Final = "What is kept, and what is good enough"

IdsArgument: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="The session; several are merged by arrival; auto chooses one.",
        show_default=False,
    ),
]

StrategyOption: TypeAlias = Annotated[
    SelectionStrategy | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_AUTO,
        help="latest to begin, random (alike by the same --seed), largest or smallest in stored "
        "bytes; without it latest.",
    ),
]
TypeOption: TypeAlias = Annotated[
    SessionType | None,
    typer.Option(
        "--type",
        rich_help_panel=_AUTO,
        help="What it is: by its label type, or else by a name that begins with seed- or "
        "training-.",
    ),
]
MinSizeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="SIZE", rich_help_panel=_AUTO, help="It is stored in so much: 10MB."),
]
MaxSizeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="SIZE", rich_help_panel=_AUTO, help="Or in so much at the most."),
]
AfterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TIME", rich_help_panel=_AUTO, help="It began then or later: 2026-01-31."),
]
BeforeOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TIME", rich_help_panel=_AUTO, help="It began earlier.")
]

ToOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        rich_help_panel=_TARGET,
        help="The OTLP endpoint: http://HOST:4318, or http(s)://HOST:4317 with --protocol grpc.",
    ),
]
ProtocolOption: TypeAlias = Annotated[
    Protocol,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_TARGET,
        help="How to send requests: http/protobuf, http/json or grpc.",
    ),
]
AllowTargetOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST",
        rich_help_panel=_TARGET,
        help="Send to it, though it is beyond this machine: HOST, HOST:PORT, or a network such "
        "as 10.0.0.0/8; may be repeated.",
    ),
]
HeaderOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        rich_help_panel=_TARGET,
        help="Say this with every request; %20 is a space; may be repeated. A secret is better "
        "in the variable.",
    ),
]
BearerOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_TARGET,
        dir_okay=False,
        help="Send the token in this file; without it, that of OTLP_CAPTURE_REPLAY_TOKEN.",
    ),
]
CaOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        rich_help_panel=_TARGET,
        help="Trust these certificates, in PEM, and not those of the system.",
    ),
]
CertificateOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", rich_help_panel=_TARGET, help="Show this certificate, in PEM (mTLS)."
    ),
]
KeyOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", rich_help_panel=_TARGET, help="Its private key, in PEM."),
]
CompressionOption: TypeAlias = Annotated[
    Compression, typer.Option(rich_help_panel=_TARGET, help="How to compress requests.")
]
ConcurrencyOption: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="N",
        rich_help_panel=_TARGET,
        help="How many requests may wait for an answer at once.",
    ),
]

FromOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHEN",
        rich_help_panel=_WHAT,
        help="Begin there: at a time (2026-01-31T12:00:00Z), so long after the first arrival "
        "(5m), or before the last (-30s).",
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN", rich_help_panel=_WHAT, help="End there; what arrived then is not sent."
    ),
]
ServiceOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_WHAT,
        help="Only this service; * and ? stand for others; may be repeated.",
    ),
]
SignalOption: TypeAlias = Annotated[
    list[SignalName] | None,
    typer.Option(
        "--signal",
        metavar="SIGNAL",
        rich_help_panel=_WHAT,
        help="Only traces, metrics or logs; may be repeated.",
    ),
]
ShareOption: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="PART",
        rich_help_panel=_WHAT,
        help="Only this part of the traces, each whole: 0.1 or 10%.",
    ),
]
LimitOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N", rich_help_panel=_WHAT, help="So many requests at the most, of each loop."
    ),
]
ShardOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        rich_help_panel=_WHAT,
        help="Only the Ith of N parts of the traces, so that N machines send it together: 1/4.",
    ),
]
TimestampsOption: TypeAlias = Annotated[
    TimestampAdjustment,
    typer.Option(
        rich_help_panel=_WHAT,
        help="none: as they are. relative: all by one constant, to begin now. current: each "
        "request to when it is sent.",
    ),
]

SpeedOption: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="N|max",
        rich_help_panel=_WHEN,
        help="1 keeps the pace, 2 doubles it, 0.5 halves it, max: at once.",
    ),
]
MaxGapOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DURATION", rich_help_panel=_WHEN, help="Cut longer pauses to this: 5s."),
]
MaxRateOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="RATE",
        rich_help_panel=_WHEN,
        help="Send no more than 500/s, '10000 records/s' or 2MB/s.",
    ),
]
MaxDurationOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        rich_help_panel=_WHEN,
        help="End after so long: 10m. What is not sent by then is left out.",
    ),
]
PrecisionOption: TypeAlias = Annotated[
    Precision,
    typer.Option(
        rich_help_panel=_WHEN, help="high spends processor time to be on time to the microsecond."
    ),
]
LatePolicyOption: TypeAlias = Annotated[
    LatePolicy,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_LATE,
        help="catch_up sends at once what is due, stretch moves all that follows, skip leaves "
        "it out, fail ends the replay; the last three beyond --max-lateness.",
    ),
]
MaxLatenessOption: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="DURATION", rich_help_panel=_LATE, help="How late it may be before that acts."
    ),
]

LoopOption: TypeAlias = Annotated[
    int,
    typer.Option(metavar="N", rich_help_panel=_LOAD, help="Send it N times, one after the other."),
]
CopiesOption: TypeAlias = Annotated[
    int, typer.Option(metavar="N", rich_help_panel=_LOAD, help="Send each request N times at once.")
]
RemapOption: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--remap-ids/--no-remap-ids",
        rich_help_panel=_LOAD,
        help="Give traces and spans ids of their own in each loop and copy; without it, where "
        "there is more than one.",
        show_default=False,
    ),
]
SeedOption: TypeAlias = Annotated[
    int,
    typer.Option(metavar="N", rich_help_panel=_LOAD, help="Makes other ids of the same session."),
]

DryRunOption: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", rich_help_panel=_END, help="Print the plan, and send nothing."),
]
LedgerOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_END,
        dir_okay=False,
        help="Keep there what became of each request, for --resume.",
    ),
]
ResumeOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume",
        rich_help_panel=_END,
        help="Go on with the replay of --ledger: send what was not delivered.",
    ),
]
ResumeUnknownOption: TypeAlias = Annotated[
    ResumeUnknown | None,
    typer.Option(
        rich_help_panel=_END,
        help="With --resume: whether what may have arrived is sent again; without it leave.",
    ),
]
ReportOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        rich_help_panel=_END,
        dir_okay=False,
        help="Write a page with a picture of the lateness over time.",
    ),
]
MaxP99Option: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--max-p99-lateness",
        metavar="DURATION",
        rich_help_panel=_END,
        help="Exit with 1 where one request in a hundred was later: 10ms.",
    ),
]
MaxDriftOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        rich_help_panel=_END,
        help="Exit with 1 where it took so much longer, or shorter, than planned: 50ms.",
    ),
]
VerifyIntoOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SESSION",
        rich_help_panel=_END,
        help="Record here what is sent, as a new session, and compare the two; in place of --to.",
    ),
]

"""The options that commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from otlp_capture.otlp import SIGNALS, Signal

DEFAULT_STORE: Final = "file:./otlp-data"
JSON_VARIABLE: Final = "OTLP_CAPTURE_JSON"

StoreOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="OTLP_CAPTURE_STORE",
        metavar="URL",
        help="Where sessions are: file:./dir, s3://bucket/prefix.",
    ),
]
SessionOption: TypeAlias = Annotated[
    str,
    typer.Option("--session", metavar="ID", help="Its name: letters, digits, '.', '_', '-'."),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", envvar=JSON_VARIABLE, help="Print one JSON object for machines.")
]


SpoolOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--spool",
        envvar="OTLP_CAPTURE_SPOOL",
        metavar="DIR",
        file_okay=False,
        help="Where requests wait to be published into a bucket; a directory store has its own.",
    ),
]


class SignalName(StrEnum):
    """The signals, as the choices of an option."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


SignalsOption: TypeAlias = Annotated[
    list[SignalName] | None,
    typer.Option(
        "--signal", metavar="SIGNAL", help="Only traces, metrics or logs; may be repeated."
    ),
]


def chosen_signals(names: list[SignalName] | None) -> tuple[Signal, ...]:
    """Return the signals that an option names; all where it was not given.

    >>> chosen_signals([SignalName.LOGS])
    ('logs',)
    """
    return tuple(signal for signal in SIGNALS if not names or signal in names)

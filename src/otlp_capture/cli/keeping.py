"""The options that say what keeps a request when it is acknowledged, and for how long."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import attrs
import typer

from otlp_capture.capture import InvalidConfig
from otlp_capture.result import Failure, Outcome, Success

DEFAULT_BUDGET_MB: Final = 1_074
"""A gibibyte, about."""

_MEGABYTE: Final = 1_000_000
_MAX_LINGER_MS: Final = 60_000.0
_DEFAULT_LINGER_MS: Final = 20.0


class DurabilityName(StrEnum):
    """What keeps requests, as the choices of an option."""

    SPOOL = "spool"
    OBJECT = "object"
    MEMORY = "memory"


DurabilityOption: TypeAlias = Annotated[
    DurabilityName | None,
    typer.Option(
        "--durability",
        metavar="KIND",
        help="What keeps a request when it is acknowledged: spool, synced to disk; object, in the "
        "store; memory, lost with the process. Without it spool, or object in memory:.",
    ),
]
SpoolBudgetOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--spool-budget",
        metavar="MB",
        min=1,
        help="How much may wait to be published, in 10^6 bytes; beyond it requests are refused.",
    ),
]
PublishAfterOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--publish-after",
        metavar="S",
        min=0.1,
        help="Publish what is in the spool, or in memory, at this age; without it, of 30 s.",
    ),
]
PublishMbOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--publish-mb",
        metavar="MB",
        min=0.001,
        help="Publish it at this size, in 10^6 bytes; without it, of 16 MiB.",
    ),
]
LingerOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--linger-ms",
        metavar="MS",
        help="With --durability object: how long requests wait to share an object; without it 20.",
    ),
]


@attrs.frozen(kw_only=True)
class KeepingOptions:
    """What the command line says of how requests are kept."""

    durability: DurabilityName | None = None
    spool: Path | None = None
    spool_budget_mb: int = DEFAULT_BUDGET_MB
    publish_after_s: float | None = None
    publish_mb: float | None = None
    linger_ms: float | None = None


def keeping_settings(options: KeepingOptions) -> Outcome[dict[str, Any], InvalidConfig]:
    """Return what `CaptureSettings` is to be told.

    Fails with:
        InvalidConfig: an option does not go with another.

    Raises:
        typer.BadParameter: a number is not in its range.
    """
    linger_ms = _DEFAULT_LINGER_MS if options.linger_ms is None else options.linger_ms
    if not (math.isfinite(linger_ms) and 0 <= linger_ms <= _MAX_LINGER_MS):
        allowed = f"{linger_ms} is not in the range 0<=x<={_MAX_LINGER_MS:g}"
        raise typer.BadParameter(allowed, param_hint="--linger-ms")
    is_object = options.durability is DurabilityName.OBJECT
    if options.linger_ms is not None and not is_object:
        allowed = "it is for --durability object; what is in the spool waits for --publish-after"
        return Failure(InvalidConfig("--linger-ms", options.linger_ms, allowed))
    for name, value in (
        ("--publish-after", options.publish_after_s),
        ("--publish-mb", options.publish_mb),
    ):
        if value is not None and is_object:
            allowed = (
                "it is for what is kept in the spool or in memory, not for --durability object"
            )
            return Failure(InvalidConfig(name, value, allowed))
    settings: dict[str, Any] = {
        "linger_s": linger_ms / 1000,
        "durability": None if options.durability is None else options.durability.value,
        "spool_directory": options.spool,
        "spool_budget_bytes": options.spool_budget_mb * _MEGABYTE,
    }
    if options.publish_after_s is not None:
        settings["publish_after_s"] = options.publish_after_s
    if options.publish_mb is not None:
        settings["publish_bytes"] = round(options.publish_mb * _MEGABYTE)
    return Success(settings)

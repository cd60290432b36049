"""The command: `python -m benchmarks`."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final, Protocol

import attrs
import typer
from rich.console import Console

from benchmarks.captures import captured_samples, default_folder
from benchmarks.full_speed import go_at_full_speed
from benchmarks.gzip_members import compressing, inflating
from benchmarks.harness import QUICK, THOROUGH, Case, Effort, Measured, measure
from benchmarks.intake import taking_in
from benchmarks.json_text import decoding, encoding
from benchmarks.pace import keep_pace
from benchmarks.receiving import as_rows, compare, print_compared, print_soaked, soak
from benchmarks.redaction import redacting
from benchmarks.replay_memory import take_memory
from benchmarks.replaying import Shown
from benchmarks.report import as_document, describe_memory, introduce, print_subjects
from benchmarks.requests import Sample, large_samples, small_sample
from benchmarks.sessions import storing
from benchmarks.verifying import verifying
from benchmarks.walks import REMAP, SCAN, SELECT, SELECT_TRACES, SHIFT

_ANY_WIDTH: Final = 10_000

_Cases = Callable[[Sequence[Sample], Path | None], Iterator[Case]]


def _anywhere(cases: Callable[[Sequence[Sample]], Iterator[Case]]) -> _Cases:
    return lambda samples, _: cases(samples)


SUBJECTS: Final[dict[str, _Cases]] = {
    "scan": _anywhere(SCAN.cases),
    "shift": _anywhere(SHIFT.cases),
    "remap": _anywhere(REMAP.cases),
    "select": _anywhere(SELECT.cases),
    "select-traces": _anywhere(SELECT_TRACES.cases),
    "redact": _anywhere(redacting),
    "decode": _anywhere(decoding),
    "encode": _anywhere(encoding),
    "compress": _anywhere(compressing),
    "inflate": _anywhere(inflating),
    "store": storing,
    "intake": _anywhere(taking_in),
    "verify": verifying,
}
"""What can be measured: from samples, and a directory to make stores in, to cases."""


class _Replays(Protocol):
    def __call__(self, directory: Path | None, *, quick: bool) -> Shown: ...


REPLAYS: Final[dict[str, _Replays]] = {
    "pace": keep_pace,
    "max": go_at_full_speed,
    "replay-memory": take_memory,
}
"""What replays are measured for, each in a process of its own."""

RECEIVE, SOAK = "receive", "soak"
NAMES: Final = (*SUBJECTS, RECEIVE, SOAK, *REPLAYS)
"""All subjects: those above, and a receiver in a process of its own, under load."""

_QUICK_GIGABYTES: Final = 0.2


def _known(names: list[str] | None) -> list[str]:
    for name in names or []:
        if name not in NAMES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(NAMES)}")
    return names or []


def benchmark(
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            callback=_known,
            help=f"Measure this subject; may repeat. One of: {', '.join(NAMES)}.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Take a fast look: few rounds, rough numbers.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Exit with 1 where a floor is missed, of a ratio or of a replay."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for machines.")
    ] = False,
    captures: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Also measure the OTLP/JSON files below this folder. Without it: the folder in "
            "OTLP_CAPTURE_SHARED_DATA, or shared/data beside the checkout, if it is there.",
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Where stores are made, and removed. Without it: where temporary files go.",
        ),
    ] = None,
    gigabytes: Annotated[
        float, typer.Option(min=0.01, help="How much passes through a receiver in the soak.")
    ] = 10.0,
) -> None:
    """Measure how fast the library is, beside references that the same run measures."""
    console = Console(highlight=False)
    samples = [*large_samples(), small_sample()]
    if (folder := captures or default_folder()) is not None:
        samples += captured_samples(folder)
    if not as_json:
        console.print(introduce(), soft_wrap=True)
    effort = QUICK if quick else THOROUGH
    every: list[Measured] = []
    for name, cases in SUBJECTS.items():
        if only and name not in only:
            continue
        with nullcontext() if as_json else console.status(f"measuring {name}"):
            measured = _measure(cases(samples, directory), effort)
        every += measured
        if not as_json:
            print_subjects(Console(highlight=False, width=_ANY_WIDTH), measured)
    wide = Console(highlight=False, width=_ANY_WIDTH)
    document = as_document(every)
    if not only or RECEIVE in only:
        compared = compare(directory, quick=quick)
        document["receive"] = as_rows(compared)
        if not as_json:
            print_compared(wide, compared)
    if not only or SOAK in only:
        soaked = soak(directory, _QUICK_GIGABYTES if quick else gigabytes)
        document["soak"] = attrs.asdict(soaked)
        if not as_json:
            print_soaked(wide, soaked)
    replays = _replays(only, directory, wide, quick=quick, is_shown=not as_json)
    document.update((name, shown.rows) for name, shown in replays.items())
    if as_json:
        console.out(json.dumps(document, indent=2))
    else:
        console.print(describe_memory(), soft_wrap=True)
    is_met = all(each.meets_ratio for each in every) and all(
        shown.is_met for shown in replays.values()
    )
    if check and not is_met:
        raise typer.Exit(1)


def _replays(
    only: list[str] | None, directory: Path | None, console: Console, *, quick: bool, is_shown: bool
) -> dict[str, Shown]:
    shown: dict[str, Shown] = {}
    for name, work in REPLAYS.items():
        if only and name not in only:
            continue
        shown[name] = work(directory, quick=quick)
        if is_shown:
            console.print(shown[name].table)
    return shown


def _measure(cases: Iterator[Case], effort: Effort) -> list[Measured]:
    return [measured for case in cases for measured in measure(case, effort)]


if __name__ == "__main__":
    typer.run(benchmark)

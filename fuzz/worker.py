"""The process that fuzzes one target: `python -m fuzz.worker`. Its parent watches it.

With atheris, coverage of the library's Python guides it; the slow roads are twins of the compiled
walk, so it is guided there, too. Without atheris the changes are blind.
"""

import importlib
import sys
import time
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final

import typer

from fuzz.sanitizers import has_atheris, loaded_sanitizers
from fuzz.target import Target

INTRODUCTION: Final = "fuzz: "
EXECUTIONS: Final = "stat::number_of_executed_units:"
RATE: Final = "stat::average_exec_per_sec:"

_GUIDED: Final = ("otlp_capture.otlp", "otlp_capture.deflate", "otlp_capture.sessions")
_MAX_BYTES: Final = 16_384
_MAX_MIB: Final = 4_096
_HANGS_AFTER_S: Final = 120

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def work(
    name: str,
    folder: Path,
    *,
    seconds: Annotated[int, typer.Option()] = 10,
    seed: Annotated[int, typer.Option()] = 1,
    blind: Annotated[bool, typer.Option()] = False,
    rerun: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Fuzz the target *name*, or give it the bytes of one file."""
    is_guided = has_atheris() and not blind and rerun is None
    atheris = importlib.import_module("atheris") if is_guided else None
    guided = atheris.instrument_imports(include=_GUIDED) if atheris else nullcontext()
    with guided:
        target: Target = importlib.import_module(f"fuzz.targets.{name}").TARGET
    under = " and ".join(loaded_sanitizers()) or "no sanitizer"
    _say(f"{INTRODUCTION}{'guided by coverage' if atheris else 'blind'}, under {under}")
    if rerun is not None:
        target.check(rerun.read_bytes())
    elif atheris is not None:
        _fuzz_guided(atheris, name, target, folder, seconds, seed)
    else:
        _fuzz_blindly(name, target, folder, seconds, seed)


def found_file(name: str, folder: Path) -> Path:
    """Return where the blind fuzzer keeps what it is about to try."""
    return folder / "found" / f"{name}-tried"


def _fuzz_guided(
    atheris: Any, name: str, target: Target, folder: Path, seconds: int, seed: int
) -> None:
    seeds = list(target.seeds())
    kept, begun = (folder / each / name for each in ("corpus", "seeds"))
    kept.mkdir(parents=True, exist_ok=True)
    begun.mkdir(parents=True, exist_ok=True)
    for each in seeds:
        (begun / sha256(each).hexdigest()).write_bytes(each)

    def mutate(data: bytes, max_size: int, drawn: int) -> bytes:
        if drawn % 2:
            return bytes(atheris.Mutate(data, max_size))
        return target.mutate(Random(drawn), data, seeds)[:max_size]  # noqa: S311 - no secret

    options = {
        "max_total_time": seconds,
        "seed": seed,
        "max_len": _MAX_BYTES,
        "timeout": _HANGS_AFTER_S,
        "rss_limit_mb": _MAX_MIB,
        "print_final_stats": 1,
        "detect_leaks": 0,
        "len_control": 0,
        "verbosity": 1,
        "artifact_prefix": folder / "found" / f"{name}-",
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(kept), str(begun)], target.check, custom_mutator=mutate)
    atheris.Fuzz()


def _fuzz_blindly(name: str, target: Target, folder: Path, seconds: int, seed: int) -> None:
    rng = Random(seed)  # noqa: S311 - no secret
    seeds, tried = list(target.seeds()), found_file(name, folder)
    executions, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = target.mutate(rng, rng.choice(seeds), seeds)[:_MAX_BYTES]
        tried.write_bytes(data)
        target.check(data)
        executions += 1
    tried.unlink(missing_ok=True)
    _say(f"{EXECUTIONS} {executions}")
    _say(f"{RATE} {executions // seconds}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    app()

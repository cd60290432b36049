"""The command: `python -m fuzz`, as `nox -s fuzz` calls it."""

import os
import re
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, BinaryIO, Final

import attrs
import typer

from fuzz.sanitizers import OPTIONS, runtimes
from fuzz.worker import EXECUTIONS, INTRODUCTION, RATE, found_file


@attrs.frozen
class _Round:
    """One target for a part of the time.

    Attributes:
        name: of the target.
        share: of the time, as a weight.
        is_blind: whether it goes without coverage, at twice the pace.
    """

    name: str
    share: int = 1
    is_blind: bool = False


_ROUNDS: Final = (
    _Round("walk", 3),
    _Round("walk", 3, is_blind=True),
    _Round("inflate"),
    _Round("segments", is_blind=True),
    _Round("json_texts"),
    _Round("files"),
    _Round("imports"),
)
_NAMES: Final = tuple(dict.fromkeys(each.name for each in _ROUNDS))
_START_S: Final = 600
_SHOWN_LINES: Final = 60
_NOISE: Final = re.compile(r"#|INFO|stat::|\s+#\d\d|\s*(?:=>)?0x")
"""Progress, all but the innermost ten frames of a stack, and dumps of memory."""


@attrs.frozen
class _Ran:
    """What became of one target.

    Attributes:
        executions: how many inputs were given to it.
        rate: of them, a second, while they were.
        elapsed_s: how long it took, its start included.
        how: what guided the changes, and under which sanitizers.
        log: all that was said.
        found: files of bytes that it does not stand.
        status: of the process; negative: it was killed.
    """

    executions: int
    rate: int
    elapsed_s: float
    how: str
    log: Path
    found: tuple[Path, ...]
    status: int

    @property
    def is_sound(self) -> bool:
        """Whether it ended by itself, and found nothing."""
        return self.status == 0 and not self.found


def fuzz(
    *,
    seconds: Annotated[int, typer.Option(min=1, help="How long to fuzz in all.")] = 120,
    only: Annotated[list[str] | None, typer.Option(help="A target; may repeat.")] = None,
    seed: Annotated[int | None, typer.Option(min=1, help="Of what is drawn.")] = None,
    folder: Annotated[Path | None, typer.Option(help="For what is kept between runs.")] = None,
    rerun: Annotated[Path | None, typer.Option(help="Give these bytes to the target.")] = None,
) -> None:
    """Give mutated bytes to all that reads bytes from anyone.

    Ends with 1 where a sanitizer reports, something raises, or two roads differ.
    """
    names = _known(only or list(_NAMES))
    kept = (folder or Path(mkdtemp(prefix="fuzz-"))).resolve()
    if rerun is not None:
        again = [_run([name, str(kept), "--rerun", str(rerun)], _START_S) for name in names]
        raise typer.Exit(1 if any(again) else 0)
    drawn = seed or time.time_ns() % 2**31
    rounds = [each for each in _ROUNDS if each.name in names]
    whole = sum(each.share for each in rounds)
    _say(f"seed {drawn}, kept in {kept}")
    is_sound = True
    for place, each in enumerate(rounds):
        ran = _fuzz(each, kept, max(1, seconds * each.share // whole), drawn + place)
        _tell(each.name, ran)
        is_sound = is_sound and ran.is_sound
    raise typer.Exit(0 if is_sound else 1)


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name not in _NAMES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(_NAMES)}")
    return names


def _fuzz(each: _Round, folder: Path, seconds: int, seed: int) -> _Ran:
    name, way = each.name, "blind" if each.is_blind else "guided"
    found, log = folder / "found", folder / f"{name}-{way}.log"
    options = ["--seed", str(seed), *(["--blind"] if each.is_blind else [])]
    found.mkdir(parents=True, exist_ok=True)
    before = _written(found)
    began = time.monotonic()
    with log.open("wb") as out:
        arguments = [name, str(folder), "--seconds", str(seconds), *options]
        status = _run(arguments, seconds + _START_S, out)
    elapsed_s = time.monotonic() - began
    tried = found_file(name, folder)
    if tried.exists():
        tried.rename(found / f"{name}-crash-{sha256(tried.read_bytes()).hexdigest()[:40]}")
    lines = log.read_text(errors="replace").splitlines()
    told = {
        word: line.removeprefix(word).strip()
        for word in (INTRODUCTION, EXECUTIONS, RATE)
        for line in lines
        if line.startswith(word)
    }
    return _Ran(
        executions=int(told.get(EXECUTIONS, "0")),
        rate=int(told.get(RATE, "0")),
        elapsed_s=elapsed_s,
        how=told.get(INTRODUCTION, "not begun"),
        log=log,
        found=tuple(sorted(path for path, _ in _written(found) - before)),
        status=status,
    )


def _written(folder: Path) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_mtime_ns) for path in folder.iterdir()}


def _run(arguments: list[str], timeout_s: int, out: BinaryIO | None = None) -> int:
    """Run a worker under what sanitizers there are; return its status, or that of a kill."""
    preloaded = {"LD_PRELOAD": ":".join(map(str, runtimes()))}
    surroundings = {**os.environ, **OPTIONS, **preloaded, "OTLP_CAPTURE_KERNEL": "compiled"}
    command = [sys.executable, "-m", "fuzz.worker", *arguments]
    try:
        return subprocess.run(  # noqa: S603 - itself
            command, check=False, env=surroundings, stdout=out, stderr=out, timeout=timeout_s
        ).returncode
    except subprocess.TimeoutExpired:
        return -1


def _tell(name: str, ran: _Ran) -> None:
    verdict = "nothing found" if ran.is_sound else f"FAILED, status {ran.status}"
    _say(
        f"{name}: {ran.executions:,} executions in {ran.elapsed_s:.0f} s ({ran.rate:,}/s), "
        f"{ran.how}: {verdict}"
    )
    if ran.is_sound:
        return
    lines = [
        line for line in ran.log.read_text(errors="replace").splitlines() if not _NOISE.match(line)
    ]
    _say("\n".join(lines[-_SHOWN_LINES:]))
    for path in ran.found:
        _say(f"again: nox -s fuzz -- --only {name} --rerun {path}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(fuzz)

"""A command as a child process: run to its end, signals passed on to it."""

import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from signal import SIGINT, Signals
from typing import ClassVar, Final

import anyio
import attrs
from anyio.abc import Process

from otlp_capture.result import Failure, Outcome, Success

_SIGNAL_BASE: Final = 128


@attrs.frozen
class CommandNotFound:
    """There is no such program."""

    command: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was looked for."""
        return f"There is no program {self.command!r}. Nothing was recorded."


@attrs.frozen
class CommandNotExecutable:
    """The program is there, and cannot be run."""

    command: str
    reason: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What it is, and why not."""
        return f"{self.command!r} cannot be run: {self.reason}. Nothing was recorded."


def find_program(command: str) -> Outcome[None, CommandNotFound | CommandNotExecutable]:
    """Look whether a shell would find *command*.

    Fails with:
        CommandNotFound: it would not.
        CommandNotExecutable: it would, and could not run it.
    """
    if shutil.which(command) is not None:
        return Success(None)
    if shutil.which(command, os.F_OK) is None:
        return Failure(CommandNotFound(command))
    return Failure(CommandNotExecutable(command, "it is not executable"))


async def run_to_end(
    command: Sequence[str],
    environment: Mapping[str, str],
    interrupts: AsyncIterator[Signals],
    *,
    stdout: int | None = None,
) -> Outcome[int, CommandNotExecutable]:
    """Run *command* to its end and return its exit code, 128 + n after signal n.

    Args:
        command: the program and its arguments.
        environment: its environment.
        interrupts: signals that are passed on to it.
        stdout: the file descriptor that is its standard output; its parent's where not given.

    Fails with:
        CommandNotExecutable: the system refused to run it.
    """
    try:
        process = await anyio.open_process(
            command, stdin=None, stdout=stdout, stderr=None, env=environment
        )
    except OSError as error:
        return Failure(CommandNotExecutable(command[0], error.strerror or str(error)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_pass_on, interrupts, process)
        await process.wait()
        tasks.cancel_scope.cancel()
    code = process.returncode or 0
    return Success(_SIGNAL_BASE - code if code < 0 else code)


async def _pass_on(interrupts: AsyncIterator[Signals], process: Process) -> None:
    async for number in interrupts:
        if not (number == SIGINT and _is_in_foreground()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)


def _is_in_foreground() -> bool:
    """Tell whether Ctrl-C at the terminal reaches the command without our help."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False

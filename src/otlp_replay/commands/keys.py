"""Keys that are pressed while something runs, one at a time and without Enter."""

import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager

import anyio

from otlp_capture.cli.asking import is_interactive

_AT_ONCE = 64


def has_keys(*, as_json: bool) -> bool:
    """Tell whether somebody at a terminal may press keys."""
    return is_interactive(as_json=as_json) and _is_in_foreground()


@contextmanager
def single_keys(*, wanted: bool) -> Generator[Callable[[], None]]:
    """Let the terminal hand over each key when it is pressed, and be as it was afterwards.

    Ctrl-C stays a signal. Where it is not *wanted*, nothing happens. What the block gets makes
    the terminal as it was before the block ends, for those who leave without ending it.
    """
    if not wanted:
        yield lambda: None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def restore() -> None:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)

    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        yield restore
    finally:
        restore()


async def pressed() -> AsyncIterator[str]:
    """Yield keys as they are pressed, until the terminal is gone."""
    descriptor = sys.stdin.fileno()
    while True:
        await anyio.wait_readable(descriptor)
        try:
            read = os.read(descriptor, _AT_ONCE)
        except OSError:
            return
        if not read:
            return
        for key in read.decode(errors="ignore"):
            yield key


def _is_in_foreground() -> bool:
    """Tell whether the terminal is ours: a job in the background would be stopped for asking."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False

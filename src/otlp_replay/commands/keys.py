"""Keys that are pressed while something runs, one at a time and without Enter."""

import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import anyio

from otlp_capture.cli.asking import is_interactive

_AT_ONCE = 64


def has_keys(*, as_json: bool) -> bool:
    """Tell whether somebody at a terminal may press keys."""
    return is_interactive(as_json=as_json) and _is_in_foreground()


class Keyboard:
    """A terminal that hands over each key when it is pressed, for as long as that is wanted.

    Ctrl-C and Ctrl-Z stay signals.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._before = descriptor, termios.tcgetattr(descriptor)

    def take(self) -> None:
        """Let it hand over single keys, where it is ours."""
        if _is_in_foreground():
            tty.setcbreak(self._descriptor, termios.TCSANOW)

    def restore(self) -> None:
        """Let it be as it was at first."""
        termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)


@contextmanager
def single_keys(*, wanted: bool) -> Generator[Keyboard | None]:
    """Let the terminal hand over single keys, and be as it was afterwards.

    Where it is not *wanted*, nothing happens. What the block gets is for those who leave without
    ending it, or for a while.
    """
    if not wanted:
        yield None
        return
    keyboard = Keyboard(sys.stdin.fileno())
    try:
        keyboard.take()
        yield keyboard
    finally:
        keyboard.restore()


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

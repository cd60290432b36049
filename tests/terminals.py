"""A command at a terminal of its own: what it shows is read, and keys are pressed."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.clocks import HANGS_AFTER_S
from tests.command_line import COMMAND, Shell

_TAKE = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
_START = _TAKE + "os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A terminal, and the command that has it.

    Attributes:
        process: the command.
        before: how the terminal was set before it began.
    """

    def __init__(self, shell: Shell, arguments: tuple[str, ...]) -> None:
        self._leader, self._follower = pty.openpty()
        self._shown = b""
        self.before = self.settings
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, COMMAND, *arguments],
            cwd=shell.folder,
            env=shell.environment(TERM="xterm"),
            stdin=self._follower,
            stdout=subprocess.PIPE,
            stderr=self._follower,
            text=True,
        )

    @property
    def settings(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._follower)

    def press(self, keys: str) -> None:
        """Press keys, of which some make signals."""
        os.write(self._leader, keys.encode())

    def shows(self, text: str) -> None:
        """Wait until it shows a text, which it has not been seen to show before."""
        while text.encode() not in self._shown:
            self._shown += os.read(self._leader, 4096)
        self._shown = self._shown.partition(text.encode())[2]

    def end(self) -> tuple[int, str]:
        """Wait for the command to end, and return its code and its results."""
        stdout, _ = self.process.communicate(timeout=HANGS_AFTER_S)
        return self.process.returncode, stdout

    def close(self) -> None:
        """End the command, if need be, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._leader)
        os.close(self._follower)


@contextmanager
def at_terminal(shell: Shell, *arguments: str) -> Generator[Terminal]:
    """Run `otlp-capture` at a terminal; it is killed if it has not ended."""
    terminal = Terminal(shell, arguments)
    try:
        yield terminal
    finally:
        terminal.close()

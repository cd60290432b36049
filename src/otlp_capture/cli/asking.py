"""Questions at a terminal, which Ctrl-C ends as it ends everything else."""

import sys
from typing import ClassVar

import anyio
import attrs

from otlp_capture.cli.terminal import people, plain
from otlp_capture.result import Failure, Outcome, Success


@attrs.frozen
class ConfirmationNeeded:
    """Something has to be confirmed, and nobody is at a terminal to do so."""

    what: str
    instead: str = "--yes"
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is to be confirmed, and how."""
        return f"{self.what} has to be confirmed. Run it at a terminal, or give {self.instead}."


def is_interactive(*, as_json: bool) -> bool:
    """Tell whether there is somebody to ask."""
    return not as_json and sys.stdin.isatty() and people.is_terminal


async def confirmed(
    question: str, *, what: str, as_json: bool, instead: str = "--yes"
) -> Outcome[bool, ConfirmationNeeded]:
    """Ask *question* at the terminal; only `y` and `yes` say yes.

    Fails with:
        ConfirmationNeeded: there is no terminal.
    """
    if not is_interactive(as_json=as_json):
        return Failure(ConfirmationNeeded(what, instead))
    people.print(plain(f"{question} [y/N] "), end="", soft_wrap=True)
    await anyio.wait_readable(sys.stdin)
    answer = sys.stdin.readline().strip().lower()
    return Success(answer in {"y", "yes"})

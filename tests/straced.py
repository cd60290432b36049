"""Processes under strace: what they ask of the system, and what it is made to refuse."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<rest>.*)")


@cache
def why_not() -> str | None:
    """Say why strace cannot be used here; None where it can."""
    if shutil.which("strace") is None:
        return "strace is missing: install it (Debian, Ubuntu, Fedora: the package strace)"
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"strace may not trace here: {tried.stderr.strip()[:300]}"
    return None


@attrs.define
class Call:
    """A system call: the lines of the trace where it began and where it returned.

    Attributes:
        end: None while it has not returned.
    """

    name: str
    text: str
    begin: int
    end: int | None = None

    @property
    def is_good(self) -> bool:
        """Whether it returned without an error."""
        return self.end is not None and " = -1 " not in self.text


def calls(trace: Path) -> Iterator[Call]:
    """Read a trace that `strace -f -o` wrote, in the order in which calls began."""
    open_calls: dict[str, Call] = {}
    found: list[Call] = []
    for number, line in enumerate(trace.read_text("latin-1").splitlines()):
        parts = _LINE.fullmatch(line)
        if parts is None:
            continue
        pid, rest = parts["pid"], parts["rest"]
        if (resumed := _RESUMED.fullmatch(rest)) is not None:
            call = open_calls.pop(pid)
            call.text, call.end = call.text + resumed["rest"], number
        elif (begun := _CALL.fullmatch(rest)) is not None:
            call = Call(begun["name"], begun["rest"], number)
            found.append(call)
            if rest.endswith("<unfinished ...>"):
                open_calls[pid] = call
            else:
                call.end = number
    yield from found

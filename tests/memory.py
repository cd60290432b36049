"""How much memory some code takes, measured in a process of its own."""

import subprocess
import sys
from typing import Final

from tests.clocks import HANGS_AFTER_S

_SCRIPT: Final = """
def peak():
    # The high-water mark, reset by writing 5 to clear_refs: what went before must not hide it.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

{before}
open("/proc/self/clear_refs", "w").write("5")
began_with = peak()
{measured}
print((peak() - began_with) // 1024)
"""


def mebibytes_for(measured: str, *, before: str) -> int:
    """Run *before*, then *measured*, and say by how many MiB the latter raised the memory."""
    script = _SCRIPT.format(before=before, measured=measured)
    run = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
    )
    assert run.returncode == 0, run.stderr
    return int(run.stdout.split()[-1])

"""Which road requests take, and who decides."""

import os
import subprocess
import sys

import pytest

from tests.roads import compiled_walk

PROGRAM = """
from otlp_capture import otlp
from otlp_capture.otlp.kernel.choice import describe_choice
print(describe_choice())
assert otlp.scan(b"", "logs").unwrap().record_count == 0
"""
WITHOUT_THE_EXTENSION = """
import sys
sys.modules["otlp_capture.otlp.kernel.walk"] = None
"""


def run(program: str, chosen: str | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ}
    environment.pop("OTLP_CAPTURE_KERNEL", None)
    if chosen is not None:
        environment["OTLP_CAPTURE_KERNEL"] = chosen
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("chosen", [None, "", "compiled"])
def test_the_extension_runs_where_it_is_built(chosen: str | None) -> None:
    compiled_walk()

    assert run(PROGRAM, chosen).stdout == "compiled\n"


def test_a_variable_leaves_it_out() -> None:
    assert run(PROGRAM, "python").stdout == "Python (OTLP_CAPTURE_KERNEL=python)\n"


def test_everything_works_where_it_is_not_built() -> None:
    done = run(WITHOUT_THE_EXTENSION + PROGRAM, None)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Python (the extension is not built)\n"


def test_whoever_demands_it_is_told_that_it_is_missing() -> None:
    done = run(WITHOUT_THE_EXTENSION + PROGRAM, "compiled")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: OTLP_CAPTURE_KERNEL is 'compiled', and the extension is not built: "
        "install a C compiler, and then otlp-capture again"
    )


def test_another_value_is_refused_with_those_that_are_allowed() -> None:
    done = run(PROGRAM, "fast")

    assert done.stderr.splitlines()[-1] == (
        "ImportError: OTLP_CAPTURE_KERNEL is 'fast'; allowed: python, compiled, or nothing at all"
    )


def test_the_command_says_which_road_requests_take() -> None:
    program = "import sys; sys.argv[1:] = ['--version']; from otlp_capture.cli import main; main()"

    assert run(program, "python").stdout.endswith("(wire: Python (OTLP_CAPTURE_KERNEL=python))\n")

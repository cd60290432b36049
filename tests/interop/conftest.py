"""What the interop tests share: the collector that was built for them, and a recording."""

import os
import sys
from pathlib import Path

import pytest

from tests.command_line import Shell
from tests.interop.collector import Collector
from tests.interop.recording import ORIGINAL

_PROGRAM = Path(__file__).parents[1] / "programs" / "observed_program.py"


@pytest.fixture(scope="session")
def collector() -> Collector:
    """Find the collector; `nox -s interop` builds it and says where it is."""
    return named_by("OTLP_CAPTURE_COLLECTOR")


@pytest.fixture(scope="session")
def collector_to_s3() -> Collector:
    """Find the collector that has the awss3 exporter, likewise."""
    return named_by("OTLP_CAPTURE_S3_COLLECTOR")


def named_by(variable: str) -> Collector:
    program = os.environ.get(variable)
    if program is None:
        pytest.skip(f"{variable} names no collector: `nox -s interop` builds one")
    return Collector(Path(program))


@pytest.fixture(scope="session")
def phoenix_python() -> Path:
    """Find a Python that has Arize Phoenix; `nox -s interop` installs it and says where it is."""
    python = os.environ.get("OTLP_CAPTURE_PHOENIX")
    if python is None:
        pytest.skip("OTLP_CAPTURE_PHOENIX names no Python with Phoenix: `nox -s interop` has one")
    return Path(python)


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Record a program that exports some of everything, as session `original` of a folder."""
    shell = Shell(tmp_path_factory.mktemp("interop"))
    seen = shell.folder / "seen"
    seen.mkdir()
    run = shell.run(
        *("record", "--session", ORIGINAL, "--json", "--"), sys.executable, str(_PROGRAM), str(seen)
    )
    assert run.code == 0, run.stderr
    return shell

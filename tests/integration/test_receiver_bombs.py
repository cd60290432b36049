"""What gzip bombs cost a process that serves, over each transport."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from grpc import StatusCode

from tests.bombs import bomb
from tests.clocks import HANGS_AFTER_S
from tests.export_requests import PROTOBUF, REQUESTS, RESOURCE_EXHAUSTED, TRACES, told
from tests.grpc_calls import OK, calling
from tests.raw_http import ask, post

pytestmark = pytest.mark.anyio

AT_ONCE = 6
ALLOWED_KIB = 300 * 1024


@contextmanager
def serving(folder: Path) -> Generator[tuple[int, int, int]]:
    """Run `otlp-capture serve`; tell its ports for HTTP and gRPC, and its process id."""
    command = [sys.executable, "-c", "from otlp_capture.cli import main; main()", "serve"]
    options = ["--session", "s", "--store", f"file:{folder}", "--json"]
    ports = ["--http-port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(
        [*command, *options, *ports], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stderr is not None
            announced = json.loads(process.stderr.readline())
            http, grpc = announced["listening"], announced["listeningGrpc"]
            yield int(http.rpartition(":")[2]), int(grpc.rpartition(":")[2]), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(HANGS_AFTER_S) == 0


def peak_kib(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


async def test_over_http(tmp_path: Path) -> None:
    attack = post("/v1/traces", bomb(1024), PROTOBUF, "Content-Encoding: gzip")
    answers: list[tuple[int, int]] = []

    with serving(tmp_path) as (port, _, pid):
        assert (await ask(port, TRACES)).status == 200
        before = peak_kib(pid)

        async def send() -> None:
            answers.append(told(await ask(port, attack)))

        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(send)

        assert answers == [(413, RESOURCE_EXHAUSTED)] * AT_ONCE
        assert peak_kib(pid) - before < ALLOWED_KIB


async def test_over_grpc(tmp_path: Path) -> None:
    attack = bomb(1024)
    codes: list[StatusCode] = []

    with serving(tmp_path) as (_, port, pid):
        async with calling(port) as calls:
            assert (await calls.export("traces", REQUESTS["traces"])).code is OK.code
            before = peak_kib(pid)

            async def send() -> None:
                codes.append((await calls.export("traces", attack)).code)

            async with anyio.create_task_group() as tasks:
                for _ in range(AT_ONCE):
                    tasks.start_soon(send)

        assert codes == [StatusCode.RESOURCE_EXHAUSTED] * AT_ONCE
        assert peak_kib(pid) - before < ALLOWED_KIB

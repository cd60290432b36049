"""A disk that is really full: clients are told to come again, and are taken when there is room."""

import http.client
import resource
import subprocess
from collections.abc import Generator
from pathlib import Path
from signal import SIGTERM
from typing import Any, Final

import pytest

from otlp_capture.otlp import Signal
from tests.clocks import HANGS_AFTER_S
from tests.lives import Journal, check_session, lives
from tests.small_requests import small_request

DISK_BYTES: Final = 2 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """Mount a small file system, where that is allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs")
    try:
        mounted = subprocess.run(
            ["mount", *options, str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()[:200]}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class Client:
    """Sends requests that do not compress, and notes what it is told."""

    def __init__(self, port: int) -> None:
        self.journal = Journal()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS_AFTER_S)

    def send(self, size: int) -> tuple[int, str | None]:
        signal: Signal = "logs"
        number = self.journal.sent.total()
        with Path("/dev/urandom").open("rb") as noise:
            request = small_request(signal, text=f"{number} {noise.read(size // 2).hex()}")
        self.journal.number(signal, request)
        headers = {"Content-Type": "application/x-protobuf"}
        self._connection.request("POST", f"/v1/{signal}", request, headers)
        answer = self._connection.getresponse()
        answer.read()
        self.journal.answered(signal, request, answer.status)
        return answer.status, answer.headers.get("Retry-After")

    def send_until_refused(self, size: int) -> None:
        told: tuple[int, str | None] = (200, None)
        while told[0] == 200:
            told = self.send(size)
        assert told == (503, "1")

    def close(self) -> None:
        self._connection.close()


class TestFullDisk:
    def test_requests_are_refused_while_it_is_full_and_none_is_lost(self, small_disk: Path) -> None:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(DISK_BYTES // 2))
        life: dict[str, Any] = {"store": f"file://{small_disk}/store", "session": "s"}
        with lives() as running:
            running.begin({**life, "settings": {"publish_bytes": 100_000}})
            client = Client(running.told()["port"])
            client.send_until_refused(30_000)
            assert client.send(30_000) == (503, "1")
            full = client.journal.statuses[200]
            ballast.unlink()
            assert client.send(30_000) == (200, None)
            client.close()
            running.signal(SIGTERM)
            told = running.over()

        assert full > 5
        assert told == {"ended": full + 1, "exit": 0}
        check_session(small_disk / "store", "s", client.journal)

    def test_a_file_that_may_not_grow_is_ended_and_another_begun(self, tmp_path: Path) -> None:
        life: dict[str, Any] = {"store": f"file://{tmp_path}/store", "session": "s"}
        with lives() as running:
            running.begin({**life, "settings": {"publish_bytes": 10 << 20}})
            client = Client(running.told()["port"])
            assert running.pid is not None
            # The kernel refuses what would make a file larger than this, as a quota does.
            _, hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (200_000, hard))
            client.send_until_refused(30_000)
            refused = client.journal.statuses[503]
            assert client.send(30_000) == (200, None)
            client.close()
            running.signal(SIGTERM)
            told = running.over()

        assert refused == 1
        assert told == {"ended": client.journal.statuses[200], "exit": 0}
        check_session(tmp_path / "store", "s", client.journal)

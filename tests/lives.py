"""Serving processes that are killed, and clients that remember what they were promised."""

import contextlib
import gzip
import http.client
import json
import os
import random
import signal as signals
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from otlp_capture.otlp import SIGNALS, Signal
from tests.clocks import HANGS_AFTER_S
from tests.receiving import members
from tests.small_requests import small_request

PROGRAM: Final = Path(__file__).with_name("programs") / "serving_in_forks.py"
_TEXT: Final = "".join(random.Random(1).choices("0123456789abcdef", k=400_000))

Kept = Counter[tuple[Signal, bytes]]


class Lives:
    """A process that forks serving processes, one at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]", channel: socket.socket) -> None:
        self._process, self._channel = process, channel
        self._unread = b""
        self.pid: int | None = None

    def begin(self, life: Mapping[str, Any]) -> None:
        """Fork a serving process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(life).encode() + b"\n")
        self._process.stdin.flush()
        self.pid = self.told()["pid"]

    def told(self) -> dict[str, Any]:
        """Return the next that is said, by the fork or about it."""
        while b"\n" not in self._unread:
            piece = self._channel.recv(4096)
            assert piece, "the forking process says nothing any more"
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def signal(self, number: signals.Signals) -> None:
        """Send a signal to the fork. It is not reaped before `over` has read of its end."""
        assert self.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def over(self) -> dict[str, Any]:
        """Wait for the end of the fork, and return all that it said until then."""
        said: dict[str, Any] = {}
        while "exit" not in said:
            said |= self.told()
        self.pid = None
        return said


@contextmanager
def lives(*under: str, environment: Mapping[str, str] | None = None) -> Generator[Lives]:
    """Run the forking process for the time of a `with`, *under* another program."""
    ours, theirs = socket.socketpair()
    ours.settimeout(HANGS_AFTER_S)
    process = subprocess.Popen(
        [*under, sys.executable, str(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=theirs.fileno(),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
    )
    theirs.close()
    running = Lives(process, ours)
    try:
        yield running
    finally:
        ours.close()
        if running.pid is not None:
            running.signal(signals.SIGKILL)
        process.communicate(timeout=HANGS_AFTER_S)


@attrs.define
class Journal:
    """What clients know of a session.

    Attributes:
        sent: requests that went out, if only in part.
        acknowledged: those whose answer was a success.
        statuses: all answers.
    """

    sent: Kept = attrs.Factory(Counter)
    acknowledged: Kept = attrs.Factory(Counter)
    statuses: Counter[int] = attrs.Factory(Counter)
    _lock: threading.Lock = attrs.Factory(threading.Lock)

    def number(self, signal: Signal, request: bytes) -> None:
        """Note that a request goes out."""
        with self._lock:
            self.sent[signal, request] += 1

    def answered(self, signal: Signal, request: bytes, status: int) -> None:
        """Note its answer."""
        with self._lock:
            self.statuses[status] += 1
            if status == 200:
                self.acknowledged[signal, request] += 1

    def check(self, kept: Kept) -> None:
        """Hold what a session has against what its clients know."""
        lost, invented = self.acknowledged - kept, kept - self.sent
        assert not lost, f"{lost.total()} of {self.acknowledged.total()} acknowledged are lost"
        assert not invented, f"{invented.total()} were never sent, or are there twice"


def client(port: int, journal: Journal, seed: int, ends: threading.Event) -> None:
    """Send requests of all signals and sizes until the server is gone."""
    chosen = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS_AFTER_S)
    number = 0
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        while not ends.is_set():
            number += 1
            signal = chosen.choice(SIGNALS)
            size = chosen.choice([0, 0, 0, 0, 100, 3_000, 40_000, 200_000])
            start = chosen.randrange(200_000)
            text = f"{seed}.{number} {_TEXT[start : start + size]}"
            request = small_request(signal, text=text)
            headers = {"Content-Type": "application/x-protobuf"}
            body = request
            if chosen.random() < 0.4:
                body, headers["Content-Encoding"] = gzip.compress(request, 1), "gzip"
            journal.number(signal, request)
            connection.request("POST", f"/v1/{signal}", body, headers)
            answer = connection.getresponse()
            answer.read()
            journal.answered(signal, request, answer.status)


@contextmanager
def clients(port: int, journal: Journal, seed: int, count: int = 3) -> Generator[None]:
    """Let clients send for the time of a `with`; they end at once when the server does."""
    ends = threading.Event()
    threads = [
        threading.Thread(target=client, args=(port, journal, seed * 10 + each, ends))
        for each in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()


def kept_in(store: Path, session_id: str) -> Kept:
    """Read what a session has with zlib alone: each gzip member is a request."""
    kept: Kept = Counter()
    for path in (store / "sessions" / session_id / "raw").rglob("*.otlp.gz"):
        signal: Any = path.name.partition("-")[0]
        kept.update((signal, request) for request in members(path.read_bytes()))
    return kept


def check_session(store: Path, session_id: str, journal: Journal) -> None:
    """Hold an ended session against the journal of its clients, and its counters against it."""
    kept = kept_in(store, session_id)
    journal.check(kept)
    assert set(journal.statuses) <= {200, 503}
    document = store / "sessions" / session_id / "metadata.json"
    metadata: dict[str, Any] = json.loads(document.read_bytes())
    counts: Counter[Signal] = Counter()
    for (signal, _), count in kept.items():
        counts[signal] += count
    told = {each: metadata[f"captured{each.capitalize()}"] for each in SIGNALS}
    assert (metadata["status"], told) == ("completed", {each: counts[each] for each in SIGNALS})


def pause(seconds: float) -> None:
    """Let a moment of chance come; nothing is waited for."""
    time.sleep(seconds)

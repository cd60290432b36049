"""What a serving process asks of the system: no answer leaves before its request is on the disk."""

import http.client
import re
import threading
from pathlib import Path
from signal import SIGTERM
from typing import Final

import pytest

from otlp_capture.otlp import SIGNALS
from tests.clocks import HANGS_AFTER_S
from tests.lives import lives
from tests.small_requests import small_request
from tests.straced import Call, calls, why_not

CLIENTS: Final = 4
REQUESTS: Final = 12
WATCHED: Final = (
    "write,writev,pwritev,pwritev2,pwrite64,sendto,sendmsg,recvfrom,recvmsg,read,"
    "fdatasync,fsync,openat,rename,renameat,renameat2"
)
MARK: Final = re.compile(r"mark-\d\d-\d\d-end")
DESCRIPTOR: Final = re.compile(r"\d+<[^>]*>")


def send(port: int, client: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS_AFTER_S)
    for number in range(REQUESTS):
        signal = SIGNALS[(client + number) % 3]
        text = f"mark-{client:02}-{number:02}-end" + "x" * (37 * number)
        headers = {"Content-Type": "application/x-protobuf"}
        connection.request("POST", f"/v1/{signal}", small_request(signal, text=text), headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


def descriptor(call: Call) -> str:
    found = DESCRIPTOR.match(call.text)
    return found[0] if found else ""


class TestOrderOfSystemCalls:
    def test_each_success_leaves_after_a_sync_that_began_when_its_frame_was_written(
        self, tmp_path: Path
    ) -> None:
        if (reason := why_not()) is not None:
            pytest.skip(reason)
        trace = tmp_path / "trace"
        under = ("strace", "-f", "-qq", "-y", "-s", "8192", "-e", f"trace={WATCHED}")
        settings = {"publish_after_s": 0.05, "publish_bytes": 3_000}
        life = {"store": f"file://{tmp_path}/store", "session": "s", "settings": settings}
        with lives(*under, "-o", str(trace)) as running:
            running.begin({**life, "compresses": False})
            port = running.told()["port"]
            threads = [threading.Thread(target=send, args=(port, n)) for n in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            running.signal(SIGTERM)
            assert running.over() == {"ended": CLIENTS * REQUESTS, "exit": 0}

        check_order(list(calls(trace)))


def check_order(seen: list[Call]) -> None:
    """Find for each answer the write and the sync that it may rely on."""
    asked: dict[str, str] = {}
    written: dict[str, Call] = {}
    syncs: dict[str, list[Call]] = {}
    answered: set[str] = set()
    for call in seen:
        where = descriptor(call)
        marks = MARK.findall(call.text)
        if call.name in {"recvfrom", "recvmsg", "read"} and marks and "socket" in where.lower():
            (asked[where],) = marks
        elif call.name in {"write", "writev"} and "/.spool/segments/" in where:
            assert call.is_good
            written.update(dict.fromkeys(marks, call))
        elif call.name in {"fdatasync", "fsync"} and call.is_good:
            syncs.setdefault(where, []).append(call)
        elif "HTTP/1.1 200" in call.text and call.name in {"sendto", "sendmsg", "write", "writev"}:
            frame = written[asked[where]]
            assert any(
                frame.end is not None
                and sync.end is not None
                and frame.end < sync.begin
                and sync.end < call.begin
                for sync in syncs.get(descriptor(frame), ())
            ), f"{asked[where]} is answered at line {call.begin} before it is synced"
            answered.add(asked.pop(where))
    assert len(answered) == CLIENTS * REQUESTS

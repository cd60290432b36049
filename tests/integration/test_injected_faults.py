"""A serving process that is killed, or refused something, at each system call that keeps requests.

strace counts the calls of each thread: N is 1, 2, … until a run ends in which nothing was injected.
The session `crash` of nox runs this; it takes minutes.
"""

import http.client
import itertools
from collections.abc import Generator
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Final

import pytest

from otlp_capture.otlp import SIGNALS
from tests.clocks import HANGS_AFTER_S
from tests.disks import scratch
from tests.lives import Journal, Lives, check_session, lives
from tests.small_requests import small_request
from tests.straced import why_not

pytestmark = pytest.mark.crash

REQUESTS: Final = 15
MOST: Final = 400
"""No run has so many calls; each N is one run."""

SOON: Final = {
    "publish_bytes": 4_000,
    "publish_after_s": 0.05,
    "checkpoint_interval_s": 0.05,
    "idle_checkpoint_interval_s": 0.1,
}
CALLS: Final = (
    "writev",
    "fdatasync",
    "fsync",
    "?rename,?renameat,renameat2",
    "?mkdir,mkdirat",
    "?unlink,unlinkat",
    "pwrite64",
)
HOWS: Final = ("signal=KILL", "error=EIO", "error=ENOSPC")
INJECTIONS: Final = [
    *itertools.product(CALLS, HOWS),
    # Its errors would hit what wakes the loop at a signal, too: that file is nobody's loss.
    ("write", "signal=KILL"),
]


@pytest.fixture(scope="module")
def recovering() -> Generator[Lives]:
    with lives() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    if (reason := why_not()) is not None:
        pytest.fail(reason)


def send_all(port: int, journal: Journal) -> None:
    """Send requests one after the other, until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS_AFTER_S)
    headers = {"Content-Type": "application/x-protobuf"}
    try:
        for number in range(REQUESTS):
            signal = SIGNALS[number % 3]
            text = f"{number} " + "".join(map(str, range(200 * (number % 4))))
            request = small_request(signal, text=text)
            journal.number(signal, request)
            connection.request("POST", f"/v1/{signal}", request, headers)
            answer = connection.getresponse()
            answer.read()
            journal.answered(signal, request, answer.status)
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def live(call: str, how: str, number: int, folder: Path, journal: Journal) -> bool:
    """Serve under strace, and tell whether anything was injected."""
    trace = folder / "trace"
    under = ("strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}")
    with lives(*under, "-e", f"inject={call}:{how}:when={number}") as running:
        running.begin({"store": f"file://{folder}/store", "session": "s", "settings": SOON})
        told = running.told()
        if "port" in told:
            send_all(told["port"], journal)
            running.signal(SIGTERM)
        if "exit" not in told:
            told |= running.over()
    return told["exit"] == -SIGKILL or "(INJECTED)" in trace.read_text("latin-1")


def recover(folder: Path, recovering: Lives, journal: Journal) -> None:
    life: dict[str, Any] = {"store": f"file://{folder}/store", "session": "s", "settings": SOON}
    recovering.begin({**life, "stops": True})
    told = recovering.over()
    assert told["exit"] == 0
    if "ended" in told:
        check_session(folder / "store", "s", journal)
    else:  # it did not come to begin
        assert not journal.acknowledged, told


class TestInjected:
    @pytest.mark.parametrize(("call", "how"), INJECTIONS)
    def test_what_was_acknowledged_is_held_whichever_call_it_hits(
        self, recovering: Lives, call: str, how: str, request: pytest.FixtureRequest
    ) -> None:
        step = request.config.getoption("--crash-step")
        for number in itertools.count(1, step):
            journal = Journal()
            with scratch() as folder:
                is_injected = live(call, how, number, folder, journal)
                recover(folder, recovering, journal)
            if not is_injected:
                break
            assert number < MOST
        assert journal.statuses == {200: REQUESTS}
        assert number > 1

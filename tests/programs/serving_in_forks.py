"""Serves one session a life: each life is a fork of this process, which has imported everything.

It reads one line of JSON for each life from its standard input: `store`, a URL; `session`; `spool`,
a folder or null; `settings`, of the capture; `compresses`, whether the session does; `stops`,
whether the life only ends the session. It answers in lines of JSON, on a socket that is its
standard output: `{"pid": …}` as soon as the
life begins, `{"port": …}` once it listens and records (or `{"failed": …}` where it cannot),
`{"ended": …}` where the session has ended, and `{"exit": …}` when the life is over, however that
came. SIGTERM ends the session.
"""

import json
import os
import signal
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp.web  # noqa: F401 - loaded once, before the forks
import anyio

import otlp_capture.receiver.exchange  # noqa: F401 - the same
from otlp_capture.capture import (
    CaptureConfig,
    CaptureSettings,
    OtlpCaptureService,
    OtlpCaptureServiceTag,
    SessionEnded,
    capture_service,
)
from otlp_capture.clock import SystemClock
from otlp_capture.layer import open_runtime, wire
from otlp_capture.receiver import HttpReceiverSettings, open_http_receiver
from otlp_capture.result import Failure, or_raise
from otlp_capture.sessions import SessionAlreadyExists
from otlp_capture.storage import storage_from_url

if os.environ.get("SERVES_S3"):
    import aiobotocore.session  # noqa: F401 - the same


@cache
def channel() -> socket.socket:
    """Return standard output, which is sent to: the calls that write are those of the service."""
    return socket.socket(fileno=1)


def say(**fields: Any) -> None:
    channel().sendall(json.dumps(fields).encode() + b"\n")


async def serve(life: dict[str, Any]) -> None:
    spool = None if life.get("spool") is None else Path(life["spool"])
    settings = CaptureSettings(spool_directory=spool, **life["settings"])
    layer = wire(or_raise(storage_from_url(life["store"])), capture_service(settings), SystemClock)
    with anyio.open_signal_receiver(signal.SIGTERM) as interrupts:
        async with open_runtime(layer, OtlpCaptureServiceTag) as opened:
            (capture,) = or_raise(opened)
            if not life.get("stops") and not await _received(capture, life, interrupts):
                return
            stopped = await capture.stop_capture(life["session"])
            if isinstance(stopped, Failure):
                say(failed=stopped.failure().message)
            else:
                say(ended=stopped.unwrap().captured_requests)


async def _received(capture: OtlpCaptureService, life: dict[str, Any], interrupts: Any) -> bool:
    """Receive until interrupted; False where the session cannot be had."""
    session_id = life["session"]
    config = CaptureConfig(
        session_id=session_id, created_by="tests", compression_enabled=life.get("compresses", True)
    )
    async with open_http_receiver(capture, session_id, HttpReceiverSettings(port=0)) as opened:
        taken = await capture.start_capture(config)
        if isinstance(taken, Failure) and isinstance(taken.failure(), SessionAlreadyExists):
            taken = await capture.resume_capture(session_id)
        if isinstance(taken, Failure):
            has_ended = isinstance(taken.failure(), SessionEnded)
            if not has_ended:
                say(failed=taken.failure().message)
            return has_ended
        say(port=or_raise(opened).port)
        await anext(interrupts)
        return True


def main() -> None:
    for line in sys.stdin:
        life = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                anyio.run(serve, life)
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        say(pid=pid)
        _, status = os.waitpid(pid, 0)
        say(exit=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()

"""Take in a request from a file, as a capture does, and print what became of it and what it cost.

Usage: refuse_request.py FILE CONTENT-ENCODING [BYTES]. With BYTES, each beginning of the file up to
that length is taken in by itself, and what became of the last is printed.
"""

import json
import sys
import time
from pathlib import Path

from otlp_capture.capture.intake import ClientRequest, prepare
from otlp_capture.otlp import DEFAULT_LIMITS, scan
from otlp_capture.sessions import Arrival


def peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def main(file: str, content_encoding: str, cut_up_to: str = "") -> None:
    scan(b"", "traces")
    # Writing 5 resets the peak to what is in use.
    Path("/proc/self/clear_refs").write_text("5")
    idle = peak_bytes()

    body = Path(file).read_bytes()
    ends = range(1, int(cut_up_to) + 1) if cut_up_to else [len(body)]
    began = time.process_time()
    for end in ends:
        came = ClientRequest(body[:end], "traces", "protobuf", content_encoding)
        outcome = prepare(came, Arrival(1, 1), DEFAULT_LIMITS, None, is_compressed=True)
    took = time.process_time() - began
    name = type(outcome.failure()).__name__
    sys.stdout.write(json.dumps([name, peak_bytes() - idle, took]))


if __name__ == "__main__":
    main(*sys.argv[1:])

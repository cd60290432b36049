"""Writes a ledger until it is killed, and tells after each call how far it is.

Usage: python write_ledger.py PATH; each event is one byte of standard output once its intent is
written, and another once its result is.
"""

import os
import sys
from itertools import count
from pathlib import Path

from otlp_capture.result import or_raise
from otlp_replay.deliveries import open_ledger, replay_identity
from tests.observed import event, settled


def main(path: str) -> None:
    identity = replay_identity({"limit": 1})
    ledger = or_raise(open_ledger(Path(path), replay_id="killed", identity=identity))
    for number in count():
        ledger.intend(event(number))
        os.write(1, b"i")
        ledger.settle(settled(number))
        os.write(1, b"r")


if __name__ == "__main__":
    main(sys.argv[1])

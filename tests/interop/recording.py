"""The recording that the collector is sent, and what must be said of what arrives."""

from otlp_capture.otlp import SIGNALS, Signal
from tests.command_line import Shell
from tests.receiving import members

ORIGINAL = "original"
"""The session that holds it."""


def replay(shell: Shell, url: str) -> None:
    """Send the recording, all of which the collector takes."""
    sent = shell.run("replay", ORIGINAL, "--to", url, "--speed", "max", "--json")
    assert sent.code == 0, sent.stderr


def assert_equal(shell: Shell, session: str) -> None:
    """Say that a session holds the records of the recording, and all of them."""
    compared = shell.run("diff", ORIGINAL, session, "--shift", "none", "--json")
    counts = {name: compared.result[name] for name in ("equal", "recordsA", "recordsB")}
    assert counts == {"equal": True, "recordsA": 144, "recordsB": 144}, compared.stdout


def requests_of(shell: Shell, session: str) -> list[tuple[Signal, bytes]]:
    """Read what a session holds by zlib alone."""
    folder = shell.folder / "otlp-data" / "sessions" / session / "raw"
    return [
        (signal, request)
        for signal in SIGNALS
        for path in sorted(folder.rglob(f"{signal}-*.otlp.gz"))
        for request in members(path.read_bytes())
    ]

"""What requests that are made to hurt cost a capture, on both roads, from idle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from isal import isal_zlib

from tests.roads import compiled_walk
from tests.strategies import any_value_bytes, length_delimited, varint

MIB = 1 << 20
PROGRAM = Path(__file__).parents[1] / "programs/refuse_request.py"


@pytest.fixture(params=["compiled", "python"])
def road(request: pytest.FixtureRequest) -> str:
    if request.param == "compiled":
        compiled_walk()
    return str(request.param)


def took_in(road: str, *arguments: str) -> str:
    """Take a file in, in a process of its own; say how it was refused.

    That it stays below 64 MiB is asserted here, for all of them.
    """
    run = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True,
        check=True,
        env={**os.environ, "OTLP_CAPTURE_KERNEL": road},
        text=True,
        timeout=600,
    )
    name, peak_bytes, _ = json.loads(run.stdout)
    assert peak_bytes < 64 * MIB
    return str(name)


def span_with(value: bytes) -> bytes:
    """A request of one span with one attribute."""
    attribute = length_delimited(1, b"key") + length_delimited(2, value)
    return length_delimited(
        1, length_delimited(2, length_delimited(2, length_delimited(9, attribute)))
    )


def test_20_mib_of_empty_spans(road: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    spans = b"\x12\0" * (10 * MIB - 8)
    body.write_bytes(length_delimited(1, length_delimited(2, spans)))

    assert took_in(road, str(body), "identity") == "RequestTooLarge"


def test_a_gzip_bomb_of_1_gib(road: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    stream = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    zeros = bytes(MIB)
    body.write_bytes(b"".join([*(stream.compress(zeros) for _ in range(1024)), stream.flush()]))

    assert took_in(road, str(body), "gzip") == "RequestTooLarge"


@pytest.mark.parametrize("depth", [33, 10_000])
def test_a_deep_any_value(road: str, tmp_path: Path, depth: int) -> None:
    body = tmp_path / "body"
    body.write_bytes(span_with(any_value_bytes(depth, "array")))

    assert took_in(road, str(body), "identity") == "InvalidRequest"


def test_a_varint_that_is_cut_at_each_of_its_bytes(road: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    number = varint(4 << 3) + b"\xff" * 9 + b"\x01"
    body.write_bytes(number)

    assert took_in(road, str(body), "identity", str(len(number) - 1)) == "InvalidRequest"


def test_a_valid_request_that_ends_in_a_fault(road: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    spans = length_delimited(2, length_delimited(5, b"n" * 30)) * 100_000
    body.write_bytes(length_delimited(1, length_delimited(2, spans)) + b"\x80")

    assert took_in(road, str(body), "identity") == "InvalidRequest"

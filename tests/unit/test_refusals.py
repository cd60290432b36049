"""What the log says of strangers, however often they come."""

import logging

import pytest

from otlp_capture.receiver.refusals import QUIET_S, EarlyRefusals, address_of
from tests.clocks import settled, skip

pytestmark = pytest.mark.anyio


async def test_the_first_is_told_at_once_and_the_rest_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    early = EarlyRefusals()
    for number in range(10_000):
        early.tell("CredentialUnknown" if number % 2 else "CredentialMissing", f"192.0.2.{number}")

    assert caplog.messages == ["Refused: CredentialMissing 1; the last from 192.0.2.0"]

    skip(QUIET_S)
    await settled()
    assert caplog.messages[1:] == [
        "Refused: CredentialMissing 4999, CredentialUnknown 5000; the last from 192.0.2.9999"
    ]
    early.end()
    assert len(caplog.messages) == 2
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_after_a_quiet_while_the_next_is_told_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    early = EarlyRefusals()
    early.tell("One", "::1")
    skip(QUIET_S)
    await settled()
    early.tell("Other", "::1")

    assert caplog.messages == [
        "Refused: One 1; the last from ::1",
        "Refused: Other 1; the last from ::1",
    ]
    early.end()


async def test_at_the_end_nothing_is_left_untold(caplog: pytest.LogCaptureFixture) -> None:
    early = EarlyRefusals()
    for _ in range(3):
        early.tell("One", "::1")
    early.end()
    skip(QUIET_S)
    await settled()

    assert caplog.messages == [
        "Refused: One 1; the last from ::1",
        "Refused: One 2; the last from ::1",
    ]


def test_an_address_is_told_without_its_port() -> None:
    names = [("192.0.2.7", 40312), ("::1", 1, 0, 0), None, "", b"\x00abstract"]

    assert [address_of(name) for name in names] == [
        "192.0.2.7",
        "::1",
        *["an unknown address"] * 3,
    ]

"""What the errors of a replay say."""

from typing import get_args

import pytest

from otlp_capture.capture import InvalidConfig, StorageFailure
from otlp_capture.result import Fault
from otlp_capture.sending import TargetNotAllowed
from otlp_capture.sessions import (
    InvalidSessionId,
    LoadError,
    MetadataCorrupted,
    ReadError,
    SegmentCorrupted,
    SessionNotFound,
)
from otlp_capture.storage import StorageUnreachable
from otlp_replay.deliveries import (
    LedgerDamaged,
    LedgerExists,
    LedgerInUse,
    LedgerNotFound,
    LedgerOfAnother,
    LedgerUnusable,
)
from otlp_replay.errors import (
    DataCorrupted,
    DecompressionFailure,
    IngestionFailure,
    ReplayAlreadyExists,
    ReplayCancelled,
    ReplayError,
    ReplayInterrupted,
    ReplayNotFound,
    ReplayNotSteerable,
    TargetTooSlow,
    as_replay_error,
)
from otlp_replay.selection import NothingSelected

UNREACHABLE = StorageUnreachable("memory:", "unplugged")
METADATA = MetadataCorrupted("sessions/a/metadata.json", "no JSON")
CONTENT = SegmentCorrupted("sessions/a/raw/x", 7, "no OTLP", "content")
COMPRESSION = SegmentCorrupted("sessions/a/raw/x", 7, "wrong CRC", "compression")

ERRORS: list[ReplayError] = [
    InvalidConfig("max_in_flight", 0, "it is 1 or more"),
    InvalidSessionId("../a"),
    SessionNotFound("a"),
    DataCorrupted("a", CONTENT),
    DecompressionFailure("a", COMPRESSION),
    IngestionFailure("http://localhost:4318", "connection refused"),
    ReplayNotFound("a"),
    ReplayAlreadyExists("a"),
    ReplayNotSteerable("a", "go on", "it has ended"),
    ReplayInterrupted("a"),
    ReplayCancelled("a"),
    TargetTooSlow("http://localhost:4318", 2.5, 1),
    NothingSelected("there are no logs", "there are traces"),
    StorageFailure("a", UNREACHABLE),
    LedgerNotFound("replay.ledger"),
    LedgerExists("replay.ledger", "r1"),
    LedgerOfAnother("replay.ledger", "r1", ("loops",)),
    LedgerInUse("replay.ledger"),
    LedgerDamaged("replay.ledger", "no header"),
    LedgerUnusable("replay.ledger", "no room"),
    TargetNotAllowed("http://prod:4318", "prod", "10.0.0.7", ()),
]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidSessionId("a..b"), InvalidSessionId("a..b")),
        (SessionNotFound("a"), SessionNotFound("a")),
        (METADATA, DataCorrupted("a", METADATA)),
        (CONTENT, DataCorrupted("a", CONTENT)),
        (COMPRESSION, DecompressionFailure("a", COMPRESSION)),
        (UNREACHABLE, StorageFailure("a", UNREACHABLE)),
    ],
)
def test_an_error_of_the_session_is_said_in_the_words_of_a_replay(
    error: LoadError | ReadError, said: ReplayError
) -> None:
    assert as_replay_error("a", error) == said


def test_each_error_is_a_fault_that_says_what_it_is_about() -> None:
    assert {type(error) for error in ERRORS} == set(get_args(ReplayError))
    assert all(isinstance(error, Fault) for error in ERRORS)
    assert IngestionFailure("http://localhost:4318", "connection refused").message == (
        "http://localhost:4318 takes nothing: connection refused. The replay broke off; "
        "check that an OTLP endpoint listens there, and keeps up."
    )
    assert DataCorrupted("a", CONTENT).message == f"Session 'a': {CONTENT.message}"
    assert DecompressionFailure("a", COMPRESSION).message == f"Session 'a': {COMPRESSION.message}"
    assert all("'a'" in error.message for error in ERRORS[6:11])

"""What is imported can be redacted, as what is recorded."""

from pathlib import Path
from typing import Any

import pytest
from returns.result import Failure

from otlp_capture import otlp
from otlp_capture.interchange import EntryBroken, ImportReport, LeftOut, Watcher, import_file
from otlp_capture.otlp import PLACES, SIGNALS, Signal
from otlp_capture.result import Outcome, or_raise
from otlp_capture.storage import S3Storage
from tests.captures import held, indexed
from tests.clocks import START, VirtualClock
from tests.redactions import full_request, redactor, with_attributes
from tests.sessions import opened_memory
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

MASK = {"name": "secrets", "on": list(PLACES), "pattern": "S3CRET", "action": "mask"}
GROWING = {**MASK, "pattern": "x", "replacement": "#" * 256}


async def imported(
    storage: S3Storage, folder: Path, *requests: tuple[Signal, bytes], **options: Any
) -> Outcome[ImportReport, Any]:
    path = folder / "file.jsonl"
    lines = [or_raise(otlp.encode(request, signal, "json")) for signal, request in requests]
    path.write_bytes(b"\n".join(lines))
    return await import_file(storage, VirtualClock(START), path, "s", **options)


@pytest.mark.parametrize("signal", SIGNALS)
async def test_a_secret_is_not_in_the_session(tmp_path: Path, signal: Signal) -> None:
    secret = full_request(signal, "S3CRET-canary")
    async with opened_memory() as storage:
        or_raise(await imported(storage, tmp_path, (signal, secret), redactor=redactor(MASK)))

        (kept,) = await held(storage)

    assert b"S3CRET" not in kept.request
    assert b"***-canary" in kept.request


async def test_frames_say_which_requests_were_changed(tmp_path: Path) -> None:
    plain, secret = (small_request("logs", text=text) for text in ("plain", "S3CRET"))
    uses = redactor(MASK)
    async with opened_memory() as storage:
        or_raise(
            await imported(storage, tmp_path, ("logs", plain), ("logs", secret), redactor=uses)
        )

        kept = await held(storage)
        (segment,) = (await indexed(storage)).segments
        content = or_raise(await storage.retrieve_raw_data(segment.key))

    assert [each.request for each in kept] == [plain, small_request("logs", text="***")]
    offsets = segment.frames.column("offset")
    flags = [content[content.index(b"OC", offset) + 5] for offset in offsets]
    assert flags == [0, 2]
    assert uses.counts == {("secrets", "mask"): 1}


async def test_only_what_is_taken_is_counted(tmp_path: Path) -> None:
    """The time of a first request without one is looked for in those behind it."""
    secret = small_request("logs", text="S3CRET", time=0)
    timed = small_request("logs", text="S3CRET", time=START)
    uses = redactor(MASK)
    async with opened_memory() as storage:
        or_raise(
            await imported(storage, tmp_path, ("logs", secret), ("logs", timed), redactor=uses)
        )

    assert uses.counts == {("secrets", "mask"): 2}


async def test_what_cannot_be_redacted_is_not_imported(tmp_path: Path) -> None:
    plain = small_request("logs", text="plain")
    grown = with_attributes("logs", *((f"a{number}", "x" * 60_000) for number in range(3)))
    uses = redactor(GROWING)
    left: list[LeftOut] = []
    requests: list[tuple[Signal, bytes]] = [("logs", plain), ("logs", grown)]
    async with opened_memory() as storage:
        failed = await imported(storage, tmp_path, *requests, redactor=uses)
        left_over = [each async for each in storage.list_objects("")]
        watcher = Watcher(left_out=left.append)
        report = await imported(
            storage, tmp_path, *requests, redactor=uses, skip_invalid=True, watcher=watcher
        )
        kept = await held(storage)

    error = failed.failure()
    assert isinstance(failed, Failure)
    assert isinstance(error, EntryBroken)
    assert error.place == "line 2"
    assert error.reason.startswith("The request could not be redacted and was not kept: masks")
    assert left_over == []
    assert or_raise(report).skipped == 1
    assert left == [error]
    assert [each.request for each in kept] == [plain]

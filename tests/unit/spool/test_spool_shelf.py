"""What a ring keeps, moves and removes."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from otlp_capture.result import or_raise
from otlp_capture.sessions import SegmentIndex, spool_name
from otlp_capture.spool import FileSegment, MovedSegment, Shelf, SpoolClaim, SpoolFolder
from otlp_capture.storage import S3Storage
from tests.clocks import VirtualClock
from tests.sessions import opened_memory
from tests.spools import BROKEN, SystemCalls, new_frame

pytestmark = pytest.mark.anyio


@pytest.fixture
async def storage() -> AsyncIterator[S3Storage]:
    async with opened_memory() as opened:
        yield opened


def claim_of(folder: Path, name: str = "r") -> SpoolClaim:
    claim = or_raise(SpoolFolder(folder).claim(name))
    assert claim is not None
    return claim


def sealed(claim: SpoolClaim) -> tuple[FileSegment, SegmentIndex]:
    segment = FileSegment(claim, new_frame())
    segment.append([new_frame()])
    return segment, segment.seal()


async def test_what_makes_room_is_gone_when_that_was_waited_for(tmp_path: Path) -> None:
    """Also where the task that removes it is cancelled, as at the end of a ring."""
    claim, expired = claim_of(tmp_path), list[SegmentIndex]()
    async with anyio.create_task_group() as tasks:
        shelf = Shelf(claim, tasks, VirtualClock(), 60.0, 1_000, expired.append)
        segment, index = sealed(claim)
        assert shelf.take(index.size_bytes)
        shelf.put(segment, index)
        assert shelf.take(1_000)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            or_raise(await shelf.hurry())

    assert expired == [index]
    assert claim.names() == []


async def test_a_damaged_tail_that_could_not_be_cut_off_is_cut_off_when_it_moves(
    tmp_path: Path, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, session = claim_of(tmp_path), claim_of(tmp_path, "s")
    segment = FileSegment(ring, new_frame())
    segment.append([new_frame(1)])
    calls = SystemCalls(monkeypatch, "fdatasync", "ftruncate")
    calls.fail("fdatasync", BROKEN)
    with pytest.raises(OSError, match="Input"):
        segment.append([new_frame(2)])
    calls.fail("ftruncate", BROKEN)
    index = segment.seal()
    segment.close()
    path = ring.folder / spool_name(index.key)
    assert path.stat().st_size > index.size_bytes

    moved = MovedSegment(session, path, index)
    or_raise(await moved.publish(storage))
    moved.close()

    assert or_raise(await storage.retrieve_raw_data(index.key)) == new_frame(1).member

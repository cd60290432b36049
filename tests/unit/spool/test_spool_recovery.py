"""What is left of a process that died: claimed, cut, published, or kept aside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.layer import open_runtime, stub
from otlp_capture.result import or_raise
from otlp_capture.sessions import key_of_spool_name, spool_name
from otlp_capture.spool import SpoolClaim, SpoolFolder, open_spool, publish_leftovers, quarantine
from otlp_capture.storage import S3StorageTag, local_storage, memory_storage
from tests.clocks import VirtualClock
from tests.faulty_storage import FaultyStorage
from tests.sessions import opened_memory
from tests.spools import new_frame, writing

pytestmark = pytest.mark.anyio

KEY = "sessions/s/raw/2025-11-23/01/logs-1763861000000-x.otlp.gz"
MEMBERS = [new_frame(number).member for number in range(3)]


@pytest.fixture
async def storage() -> AsyncIterator[FaultyStorage]:
    async with opened_memory() as opened:
        yield FaultyStorage(opened)


@pytest.fixture
def spool(tmp_path: Path) -> SpoolFolder:
    return SpoolFolder(tmp_path)


def claimed(spool: SpoolFolder, session_id: str = "s") -> SpoolClaim:
    claim = or_raise(spool.claim(session_id))
    assert claim is not None
    return claim


def leave(claim: SpoolClaim, content: bytes, key: str = KEY) -> Path:
    path = claim.folder / spool_name(key)
    path.write_bytes(content)
    return path


class TestClaims:
    def test_a_session_is_claimed_once(self, spool: SpoolFolder) -> None:
        claim = claimed(spool)

        assert spool.claim("s") == Success(None)
        assert or_raise(spool.claim("other")) is not None
        claim.release()
        assert or_raise(spool.claim("s")) is not None

    def test_a_signature_tells_who_had_it(self, spool: SpoolFolder) -> None:
        first = claimed(spool)
        first.sign()
        first.release()
        second = claimed(spool)

        assert (first.last_recorder_id, second.last_recorder_id) == (None, first.recorder_id)
        assert first.recorder_id != second.recorder_id

    def test_a_folder_with_something_in_it_is_not_removed(self, spool: SpoolFolder) -> None:
        claim = claimed(spool)
        path = leave(claim, MEMBERS[0])
        claim.remove()

        assert path.read_bytes() == MEMBERS[0]
        path.unlink()
        claimed(spool).remove()
        assert spool.session_ids() == []

    def test_a_lock_on_a_folder_that_was_removed_is_none(
        self, spool: SpoolFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import fcntl  # noqa: PLC0415 - what is interrupted

        first, lock = claimed(spool), fcntl.flock
        removed: list[bool] = []

        def interrupted(descriptor: int, operation: int) -> None:
            if not removed:
                removed.append(True)
                first.remove()
            lock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", interrupted)
        second = claimed(spool)

        assert removed == [True]
        assert second.folder.is_dir()
        assert spool.claim("s") == Success(None)


class TestPublishing:
    async def test_whole_frames_are_published_under_their_key(
        self, storage: FaultyStorage, spool: SpoolFolder
    ) -> None:
        claim = claimed(spool)
        leave(claim, b"".join(MEMBERS))

        found = or_raise(await publish_leftovers(storage, spool, claim))

        assert (found.segments, found.requests, found.dropped_bytes) == (1, 3, 0)
        assert await storage.retrieve_raw_data(KEY) == Success(b"".join(MEMBERS))
        assert claim.names() == []

    @given(cut=st.integers(0, sum(map(len, MEMBERS))), zeros=st.integers(0, 50))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    async def test_a_torn_tail_is_cut_off_and_nothing_before_it(
        self, tmp_path: Path, cut: int, zeros: int
    ) -> None:
        spool = SpoolFolder(tmp_path)
        claim = claimed(spool)
        leave(claim, b"".join(MEMBERS)[:cut] + bytes(zeros))
        content = b"".join(MEMBERS)[:cut] + bytes(zeros)
        # A frame that ends in zeros can be completed by them.
        whole = max(n for n in range(4) if content.startswith(b"".join(MEMBERS[:n])))

        async with opened_memory() as storage:
            found = or_raise(await publish_leftovers(storage, spool, claim))
            stored = (await storage.retrieve_raw_data(KEY)).value_or(b"")

        claim.release()
        assert stored == b"".join(MEMBERS[:whole])
        assert found.requests == whole
        assert found.dropped_bytes == len(content) - len(stored)

    async def test_what_lies_behind_a_damage_is_kept_aside(
        self, storage: FaultyStorage, spool: SpoolFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        claim = claimed(spool)
        broken = MEMBERS[1][:-1] + bytes([MEMBERS[1][-1] ^ 1])
        leave(claim, MEMBERS[0] + broken + MEMBERS[2])

        found = or_raise(await publish_leftovers(storage, spool, claim))

        assert await storage.retrieve_raw_data(KEY) == Success(MEMBERS[0])
        (aside,) = found.quarantined
        assert aside.read_bytes() == broken + MEMBERS[2]
        assert str(aside) in caplog.text

    async def test_what_is_no_segment_is_kept_aside(
        self, storage: FaultyStorage, spool: SpoolFolder
    ) -> None:
        claim = claimed(spool)
        (claim.folder / "notes.txt").write_bytes(b"mine")

        found = or_raise(await publish_leftovers(storage, spool, claim))

        assert [path.read_bytes() for path in found.quarantined] == [b"mine"]
        assert claim.names() == []

    async def test_a_segment_that_somebody_has_is_left_alone(
        self, storage: FaultyStorage, tmp_path: Path
    ) -> None:
        async with writing(storage, tmp_path, VirtualClock()) as at_work:
            or_raise(await at_work.writer.append(new_frame(0)))

            found = or_raise(await publish_leftovers(storage, SpoolFolder(tmp_path), at_work.claim))

            assert (found.segments, found.quarantined) == (0, ())
            assert [*at_work.files.values()] == [new_frame(0).member]

    async def test_what_has_left_is_told_also_where_the_rest_stays(
        self, storage: FaultyStorage, spool: SpoolFolder
    ) -> None:
        claim = claimed(spool)
        leave(claim, MEMBERS[0])
        leave(claim, MEMBERS[1], KEY.replace("-x", "-y"))
        storage.fail("publish_file", passing=1)
        left = list[int]()

        failed = await publish_leftovers(storage, spool, claim, left=left.append)
        assert failed == Failure(storage.error)
        assert sum(left) == len(MEMBERS[0])
        or_raise(await publish_leftovers(storage, spool, claim, left=left.append))
        assert sum(left) == len(MEMBERS[0]) + len(MEMBERS[1])

    async def test_it_is_done_again_where_the_store_said_no(
        self, storage: FaultyStorage, spool: SpoolFolder
    ) -> None:
        claim = claimed(spool)
        leave(claim, MEMBERS[0])
        storage.fail("publish_file")

        assert await publish_leftovers(storage, spool, claim) == Failure(storage.error)
        assert or_raise(await publish_leftovers(storage, spool, claim)).requests == 1

    def test_what_belongs_to_no_session_is_kept_aside(
        self, spool: SpoolFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        claim = claimed(spool)
        leave(claim, MEMBERS[0])

        (aside,) = or_raise(quarantine(spool, claim))

        assert aside.read_bytes() == MEMBERS[0]
        assert aside.is_relative_to(spool.quarantine)
        assert "belongs to no session" in caplog.text
        assert claim.names() == []


class TestWhereItIs:
    async def test_a_directory_has_it_inside(self, tmp_path: Path) -> None:
        async with open_runtime(local_storage(tmp_path / "store"), S3StorageTag) as opened:
            (storage,) = or_raise(opened)

            spool = or_raise(open_spool(storage, tmp_path / "elsewhere"))

        assert spool is not None
        assert spool.root == tmp_path / "store" / ".spool"

    async def test_memory_has_none(self) -> None:
        async with open_runtime(memory_storage(), S3StorageTag) as opened:
            assert open_spool(or_raise(opened)[0]) == Success(None)

    def test_each_bucket_has_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

        stores = [
            stub(S3StorageTag, name=name, spool_directory=None)
            for name in ("s3://a", "s3://b", "s3://a")
        ]

        spools = [or_raise(open_spool(store)) for store in stores]

        roots = [spool.root for spool in spools if spool is not None]
        assert roots[0] == roots[2] != roots[1]
        assert all(root.parent == tmp_path / "otlp-capture" / "spool" for root in roots)

    def test_a_folder_that_cannot_be_made_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "segments").write_bytes(b"in the way")

        error = SpoolFolder(tmp_path).claim("s").failure()

        assert str(tmp_path) in error.message


@given(
    st.sampled_from(["traces", "metrics", "logs"]),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
)
def test_names_in_a_spool_tell_the_key(signal: str, session_id: str) -> None:
    key = f"sessions/{session_id}/raw/2025-11-23/01/{signal}-1763861000000-a_b.otlp.gz"

    assert "/" not in spool_name(key)
    assert key_of_spool_name(session_id, spool_name(key)) == key


@pytest.mark.parametrize("name", ["owner", "x", "2025_11", "2025-11-23_01_spans-1-x.otlp.gz"])
def test_other_names_tell_none(name: str) -> None:
    assert key_of_spool_name("s", name) is None

"""After a power loss at any moment all that was acknowledged is there, and nothing else is."""

import asyncio
import errno
import os
import random
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure

from otlp_capture.capture import CaptureConfig, CaptureSettings, OtlpCaptureService
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import SIGNALS
from otlp_capture.result import or_raise
from otlp_capture.sessions import SessionNotFound, load_session
from otlp_capture.spool.claims import claim
from otlp_capture.storage import S3Storage, S3StorageTag, local_storage
from tests.captures import crashing_capture, held, opened_capture, recounted
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.disks import (
    FATES,
    Disk,
    Effect,
    Fate,
    Said,
    Tree,
    never_synced,
    plant,
    scratch,
    tree_after,
)
from tests.small_requests import small_request

CONFIG: Final = CaptureConfig(session_id="s", created_by="tests")
SOON: Final = CaptureSettings(publish_bytes=2_000, publish_after_s=5.0)
ORPHANED_S: Final = 61.0
LIVES: Final = 4
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL


class Recorder:
    """A few processes that record a session, one after the other, on a disk that is watched."""

    def __init__(self, disk: Disk, seed: int) -> None:
        self.disk, self.chosen = disk, random.Random(seed)
        self.clock = VirtualClock()
        self.number = 0

    async def run(self) -> None:
        for life in range(LIVES):
            async with open_runtime(local_storage(self.disk.root), S3StorageTag) as opened:
                (storage,) = or_raise(opened)
                async with crashing_capture(storage, self.clock, SOON) as service:
                    await self.record(service, life)

    async def record(self, service: OtlpCaptureService, life: int) -> None:
        if life == 0:
            or_raise(await service.start_capture(CONFIG))
        else:
            or_raise(await service.resume_capture("s"))
        self.disk.say("begun")
        async with anyio.create_task_group() as tasks:
            for _ in range(self.chosen.randrange(2, 6)):
                for _ in range(self.chosen.randrange(1, 5)):
                    tasks.start_soon(self.send, service)
                if self.chosen.random() < 0.5:
                    await settled()
                if self.chosen.random() < 0.4:
                    await self.clock.advance(self.chosen.choice([1.0, 5.0, 11.0]))
        if life == LIVES - 1:
            or_raise(await service.stop_capture("s"))
            self.disk.say("ended")

    async def send(self, service: OtlpCaptureService) -> None:
        self.number += 1
        signal = self.chosen.choice(SIGNALS)
        text = f"{self.number} " + "".join(
            self.chosen.choices("0123456789abcdef", k=self.chosen.choice([0, 10, 400, 3_000]))
        )
        request = small_request(signal, text=text)
        self.disk.say(("sent", signal, request))
        or_raise(await service.capture_otlp_data("s", request, signal))
        self.disk.say(("acknowledged", signal, request))


@cache
def recorded(seed: int) -> tuple[Effect, ...]:
    """Record what happens on the disk in the life of a session."""
    with scratch() as folder:
        disk = Disk(folder)
        with disk.watched():
            bounded(Recorder(disk, seed).run())
        return tuple(disk.effects)


def bounded(work: Any) -> Any:
    async def run() -> Any:
        with anyio.fail_after(HANGS_AFTER_S):
            return await work

    return asyncio.run(run())


def facts(effects: tuple[Effect, ...], kind: str) -> Counter[Any]:
    said = (each.fact for each in effects if isinstance(each, Said))
    return Counter(fact[1:] for fact in said if isinstance(fact, tuple) and fact[0] == kind)


async def check(storage: S3Storage, before: tuple[Effect, ...]) -> None:
    """Let a new process end the session, and hold it against what was said *before*."""
    clock = VirtualClock()
    await clock.advance(3_600.0 + ORPHANED_S)
    begun, ended = (Said(fact) in before for fact in ("begun", "ended"))
    acknowledged = facts(before, "acknowledged")
    async with opened_capture(storage, clock, SOON) as service:
        stopped = await service.stop_capture("s")
        await settled()
        if isinstance(stopped, Failure):
            assert isinstance(stopped.failure(), SessionNotFound), stopped
            assert not begun
            assert not acknowledged
            return
        if ended:
            assert stopped.unwrap().end_reason == "stopped"
    kept = Counter((each.signal, each.request) for each in await held(storage))
    assert not acknowledged - kept
    assert not kept - facts(before, "sent")
    metadata = or_raise(await load_session(storage, "s")).metadata
    assert metadata == await recounted(storage, metadata)
    assert metadata.status == "completed"


class TestPowerLoss:
    @settings(max_examples=150)
    @given(seed=st.integers(0, 3), data=st.data())
    def test_what_was_acknowledged_before_it_is_in_the_session(
        self, seed: int, data: st.DataObject
    ) -> None:
        effects = recorded(seed)
        before = effects[: data.draw(st.integers(0, len(effects)), label="effects before")]
        tree = tree_after(
            before,
            lambda least, most: data.draw(st.integers(least, most), label="names kept"),
            lambda: data.draw(st.sampled_from(FATES), label="fate of a write"),
        )

        async def recover(root: Path) -> None:
            async with open_runtime(local_storage(root), S3StorageTag) as opened:
                (storage,) = or_raise(opened)
                await check(storage, before)

        with scratch() as folder:
            plant(tree, folder)
            with never_synced():
                bounded(recover(folder))

    def test_a_folder_is_claimed_for_good_though_who_made_it_died_at_once(
        self, tmp_path: Path
    ) -> None:
        disk = Disk(tmp_path)
        with disk.watched():
            os.mkdir(tmp_path / "s")  # noqa: PTH102 - it is what is watched
            claimed = claim(tmp_path / "s", "s")
            assert claimed is not None
            claimed.release()

        assert "s" in tree_after(disk.effects, min, lambda: "lost")


class TestTheModel:
    def left(self, disk: Disk, *, names_kept: Any, fate: Fate) -> Tree:
        return tree_after(disk.effects, names_kept, lambda: fate)

    def test_what_is_synced_stays_and_of_the_rest_anything_may_be(self, tmp_path: Path) -> None:
        disk = Disk(tmp_path)
        with disk.watched():
            synced, unsynced = (os.open(tmp_path / name, NEW) for name in ("synced", "unsynced"))
            for descriptor in (synced, unsynced):
                os.write(descriptor, b"first ")
            os.fdatasync(synced)
            os.fsync(folder := os.open(tmp_path, os.O_RDONLY))
            os.mkdir(tmp_path / "late")  # noqa: PTH102 - it is what is watched
            for descriptor in (synced, unsynced):
                os.write(descriptor, b"second")
            for descriptor in (synced, unsynced, folder):
                os.close(descriptor)

        assert self.left(disk, names_kept=max, fate="kept") == {
            "synced": b"first second",
            "unsynced": b"first second",
            "late": None,
        }
        assert self.left(disk, names_kept=min, fate="lost") == {
            "synced": b"first ",
            "unsynced": b"",
        }
        assert self.left(disk, names_kept=min, fate="zeros") == {
            "synced": b"first " + bytes(6),
            "unsynced": bytes(12),
        }
        assert self.left(disk, names_kept=min, fate="torn") == {
            "synced": b"first sec",
            "unsynced": b"fir" + bytes(3) + b"sec",
        }

    def test_a_file_that_moves_is_never_nowhere(self, tmp_path: Path) -> None:
        disk = Disk(tmp_path)
        with disk.watched():
            for name in ("from", "to"):
                os.mkdir(tmp_path / name)  # noqa: PTH102 - it is what is watched
            os.close(os.open(tmp_path / "from/a", NEW))
            source, root = (os.open(tmp_path / name, os.O_RDONLY) for name in ("from", ""))
            for descriptor in (source, root):
                os.fsync(descriptor)
            os.rename(tmp_path / "from/a", tmp_path / "to/b")  # noqa: PTH104 - it is watched
            before = self.left(disk, names_kept=min, fate="kept")
            os.fsync(source)
            for descriptor in (source, root):
                os.close(descriptor)

        assert before == {"from": None, "from/a": b"", "to": None}
        assert self.left(disk, names_kept=min, fate="kept") == before
        assert self.left(disk, names_kept=max, fate="kept") == {
            "from": None,
            "to": None,
            "to/b": b"",
        }

    def test_a_sync_after_one_that_failed_says_nothing(self, tmp_path: Path) -> None:
        disk = Disk(tmp_path)
        disk.faults = {2: errno.EIO}
        with disk.watched():
            descriptor = os.open(tmp_path / "a", NEW)
            os.write(descriptor, b"lost")
            with pytest.raises(OSError, match=r"Errno 5"):
                os.fsync(descriptor)
            os.fsync(descriptor)
            os.close(descriptor)

        assert self.left(disk, names_kept=max, fate="lost") == {"a": b""}
        assert disk.failed == [("fsync", errno.EIO)]

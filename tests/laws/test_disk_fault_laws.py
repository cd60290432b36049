"""A disk that is full or fails: no answer promises what is not kept, and the service goes on."""

import asyncio
import errno
from collections import Counter
from typing import Any, Final

import anyio
import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Success

from otlp_capture.capture import (
    CaptureConfig,
    CaptureSettings,
    OtlpCaptureService,
)
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import or_raise
from otlp_capture.sessions import load_session
from otlp_capture.storage import S3StorageTag, local_storage
from tests.captures import held, opened_capture, recounted
from tests.clocks import HANGS_AFTER_S, VirtualClock, settled
from tests.disks import Disk, scratch
from tests.small_requests import small_request

CONFIG: Final = CaptureConfig(session_id="s", created_by="tests")
SOON: Final = CaptureSettings(publish_bytes=1_500, publish_after_s=5.0)
ROUNDS: Final = 8
CALLS: Final = 160
"""More than a run has; what is beyond its end does not fail."""

faults = st.dictionaries(
    st.integers(0, CALLS),
    st.sampled_from([errno.ENOSPC, errno.EIO, errno.EMFILE]),
    min_size=1,
    max_size=6,
)
floods = st.builds(
    lambda first, length, code: dict.fromkeys(range(first, first + length), code),
    st.integers(0, CALLS),
    st.integers(1, 60),
    st.sampled_from([errno.ENOSPC, errno.EIO, errno.EMFILE]),
)


@attrs.define
class Ledger:
    """What was sent, and what became of it."""

    received: Counter[tuple[Signal, bytes]] = attrs.Factory(Counter)
    acknowledged: Counter[tuple[Signal, bytes]] = attrs.Factory(Counter)
    refused: Counter[tuple[Signal, bytes]] = attrs.Factory(Counter)

    async def send(self, service: OtlpCaptureService, signal: Signal, size: int) -> Any:
        text = f"{self.received.total()} {'x' * size}"
        request = small_request(signal, text=text)
        self.received[signal, request] += 1
        outcome = await service.capture_otlp_data("s", request, signal)
        kind = self.acknowledged if isinstance(outcome, Success) else self.refused
        kind[signal, request] += 1
        return outcome


async def live(disk: Disk, wrong: dict[int, int], *, ends_in_trouble: bool) -> None:
    ledger, clock = Ledger(), VirtualClock()
    async with open_runtime(local_storage(disk.root), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        async with opened_capture(storage, clock, SOON) as service:
            or_raise(await service.start_capture(CONFIG))
            disk.faults = {disk.calls + number: code for number, code in wrong.items()}
            for number in range(ROUNDS):
                async with anyio.create_task_group() as tasks:
                    for signal in SIGNALS:
                        tasks.start_soon(ledger.send, service, signal, 300 * (number % 3))
                await clock.advance(3.0)
            if ends_in_trouble:
                await service.stop_capture("s")
            disk.faults = {}
            if not ends_in_trouble:
                for signal in SIGNALS:
                    or_raise(await ledger.send(service, signal, 10))
            # Whatever failed to be published is tried again, at once or by and by.
            or_raise(await service.stop_capture("s"))
            await settled()
            kept = Counter((each.signal, each.request) for each in await held(storage))
            metadata = or_raise(await load_session(storage, "s")).metadata
            assert metadata == await recounted(storage, metadata)
            assert metadata.status == "completed"
    assert not ledger.acknowledged - kept
    assert not kept - ledger.received
    stored_unacknowledged = kept - ledger.acknowledged
    assert stored_unacknowledged <= ledger.refused
    assert ledger.received == ledger.acknowledged + ledger.refused
    assert metadata.captured_requests == (
        ledger.acknowledged.total() + stored_unacknowledged.total()
    )


class TestFaultsOfADisk:
    @settings(max_examples=150)
    @given(wrong=faults | floods, ends_in_trouble=st.booleans())
    def test_an_answer_is_a_success_only_where_the_request_is_kept(
        self, *, wrong: dict[int, int], ends_in_trouble: bool
    ) -> None:
        async def bounded(disk: Disk) -> None:
            with anyio.fail_after(HANGS_AFTER_S):
                await live(disk, wrong, ends_in_trouble=ends_in_trouble)

        with scratch() as folder:
            disk = Disk(folder)
            with disk.watched():
                asyncio.run(bounded(disk))

"""What a comparison refuses, what it says of unfinished sessions, and what it leaves behind."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from otlp_capture.capture import InvalidConfig
from otlp_capture.otlp import DropAttribute, SetAttribute
from otlp_capture.result import Failure, or_raise
from otlp_capture.storage import S3Storage
from otlp_replay.verify import (
    ComparisonTooLarge,
    FieldCounts,
    NoScratchSpace,
    RemappedIds,
    ShiftMode,
    tally,
    verify,
)
from tests.sessions import START, arriving, opened_memory, write_session
from tests.unit.test_verify import counts, logs, spans

pytestmark = pytest.mark.anyio

TINY = 1 << 16


@pytest.fixture
async def storage() -> AsyncIterator[S3Storage]:
    async with opened_memory() as opened:
        many = [logs(*((f"{number} {place}", START) for place in range(9))) for number in range(99)]
        await write_session(opened, "many", arriving(many))
        await write_session(opened, "other", arriving(many[1:]))
        await write_session(opened, "first", arriving(many[:1]))
        yield opened


class TestScratch:
    async def test_what_does_not_fit_into_memory_goes_through_a_file_that_is_gone_after(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        before = set(Path("/proc/self/fd").iterdir())

        found = or_raise(
            await verify(storage, "many", "other", memory_bytes=TINY, temporary_folder=tmp_path)
        )

        assert counts(found) == (9, 0, 0, 0)
        assert list(tmp_path.iterdir()) == []
        assert set(Path("/proc/self/fd").iterdir()) == before

    async def test_no_room_for_the_file_is_an_error(
        self, storage: S3Storage, tmp_path: Path
    ) -> None:
        nowhere = tmp_path / "nowhere"

        found = await verify(storage, "many", "other", memory_bytes=TINY, temporary_folder=nowhere)

        assert found == Failure(NoScratchSpace(nowhere, "No such file or directory"))
        assert str(nowhere) in found.failure().message

    async def test_a_full_disk_is_an_error(self, storage: S3Storage) -> None:
        full = Path("/dev/full")

        found = await verify(storage, "many", "other", memory_bytes=TINY, temporary_folder=full)

        assert isinstance(found.failure(), NoScratchSpace)

    async def test_requests_that_cannot_be_paired_in_memory_are_an_error(
        self, storage: S3Storage
    ) -> None:
        found = await verify(storage, "many", "other", shift="per-request", memory_bytes=TINY)

        assert found == Failure(ComparisonTooLarge((99 + 98) * 9 * 128, TINY))
        assert "memory_bytes" in found.failure().message


class TestSessions:
    async def test_several_are_one_recording_together(self, storage: S3Storage) -> None:
        found = or_raise(await verify(storage, "many", ("first", "other"), shift="none"))

        assert found.equal
        assert (found.requests_a, found.requests_b) == (99, 99)

    async def test_one_that_is_still_recorded_is_told(self, storage: S3Storage) -> None:
        await write_session(storage, "live", arriving([logs(("x", START))]), status="active")

        found = or_raise(await verify(storage, "live", "live"))

        assert (found.equal, found.active) == (True, ("live",))
        assert found.to_json()["active"] == ["live"]


class TestFields:
    async def test_differences_are_summed_up_by_field(
        self, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await write_session(storage, "a", arriving([spans("x", "y", "z"), logs(("up", START))]))
        b = [spans("X", "Y", "z", start=START), logs(("up", START), severity="INFO")]
        await write_session(storage, "b", arriving(b))

        found = or_raise(await verify(storage, "a", "b"))
        monkeypatch.setattr(tally, "MOST_EXAMINED", 1)
        less = or_raise(await verify(storage, "a", "b"))

        row = FieldCounts(signal="traces", service="cart", field="spans.name", changed=2)
        assert found.by_field == (row,)
        assert [(each.field, each.changed) for each in less.by_field] == [
            (None, 1),
            ("spans.name", 1),
        ]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"memory_bytes": 1}, "memory_bytes"),
        ({"remapped": RemappedIds(1, loops=0)}, "remapped.loops"),
        ({"remapped": RemappedIds(1, copies=-1)}, "remapped.copies"),
        ({"shift": "constant", "shift_ns": (1, 2)}, "shift_ns"),
        ({"shift": "constant", "shift_ns": 1 << 64}, "shift_ns"),
        ({"shift": "constant", "shift_ns": -(1 << 64)}, "shift_ns"),
        ({"shift": "constant", "shift_ns": 1.5}, "shift_ns"),
        ({"shift": "constant", "shift_ns": True}, "shift_ns"),
        ({"mutations": [DropAttribute("x", cast("Any", "span_name"))]}, "mutations.on"),
        ({"mutations": [SetAttribute("x", 1 << 63, "span")]}, "mutations.value"),
        ({"mutations": [SetAttribute("x", cast("Any", None), "span")]}, "mutations.value"),
        ({"mutations": [DropAttribute(cast("Any", 1), "span")]}, "mutations"),
        ({"mutations": ["x"]}, "mutations"),
    ],
)
async def test_what_cannot_be_declared_is_refused(
    storage: S3Storage, asked: dict[str, Any], field: str
) -> None:
    found = await verify(storage, "many", "other", **asked)

    assert isinstance(found.failure(), InvalidConfig)
    assert cast("InvalidConfig", found.failure()).field == field


@pytest.mark.parametrize("side", ["session_a", "session_b"])
@pytest.mark.parametrize("ids", [(), ("many", "many")])
async def test_a_side_is_some_sessions_each_once(
    storage: S3Storage, side: str, ids: tuple[str, ...]
) -> None:
    sides: dict[str, Any] = {"session_a": "many", "session_b": "other", side: ids}

    found = await verify(storage, **sides)

    assert cast("InvalidConfig", found.failure()).field == side


@pytest.mark.parametrize("shift_ns", [1 - (1 << 64), (1 << 64) - 1, -START])
async def test_the_longest_shifts_can_be_declared(storage: S3Storage, shift_ns: int) -> None:
    found = or_raise(
        await verify(storage, "first", "first", shift="constant", shift_ns=shift_ns, max_examples=1)
    )

    assert (found.changed, found.shift.ns) == (9, shift_ns)
    assert found.differences[0].field is not None


class TestWatching:
    @pytest.mark.parametrize("shift", ["none", "auto", "per-request"])
    async def test_what_was_read_is_told_until_all_is(
        self, storage: S3Storage, shift: ShiftMode
    ) -> None:
        told: list[tuple[int, int]] = []

        or_raise(
            await verify(
                storage,
                "many",
                "other",
                shift=shift,
                watch=lambda done, expected: told.append((done, expected)),
            )
        )

        assert told[0][1] == 99 + 98
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1] > 99 + 98

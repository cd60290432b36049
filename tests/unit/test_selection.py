"""What people write for moments and parts, and what a selection reads of a session."""

from collections import Counter

import attrs
import pytest

from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Success, or_raise
from otlp_capture.sessions import RequestReader, SegmentCorrupted, SessionIndex, index_session
from otlp_capture.storage import S3Storage
from otlp_replay import ReplayConfig
from otlp_replay.selection import (
    After,
    At,
    NothingSelected,
    Selection,
    Shard,
    Stretch,
    Window,
    arrivals_of,
    check_selection,
    parse_moment,
    parse_shard,
    selection_of,
)
from tests.faulty_storage import FaultyStorage
from tests.sessions import SECOND, START, Recorded, write_session
from tests.strategies import REQUEST_TYPES

SESSION = "selected"
START_TEXT = "2025-11-23T01:23:20"


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            (f"{START_TEXT}Z", At(START)),
            (f"{START_TEXT}z", At(START)),
            (START_TEXT, At(START)),
            (f" {START_TEXT}.5Z ", At(START + SECOND // 2)),
            (f"{START_TEXT}.000000001Z", At(START + 1)),
            ("2025-11-23 02:23:20+01:00", At(START)),
            ("2025-11-23T01:23Z", At(START - 20 * SECOND)),
            ("2025-11-23", At(START - 5_000 * SECOND)),
            (str(START), At(START)),
            ("0", After(0)),
            ("90s", After(90 * SECOND)),
            ("+2m", After(120 * SECOND)),
            ("2min", After(120 * SECOND)),
            ("1h 30m", After(5_400 * SECOND)),
            ("1.5s", After(1_500_000_000)),
            ("0.1ms", After(100_000)),
            ("3us", After(3_000)),
            ("3µs", After(3_000)),
            ("7ns", After(7)),
            ("1d", After(86_400 * SECOND)),
            ("-30s", After(-30 * SECOND)),
        ],
    )
    def test_a_moment_is_read_as_people_write_it(self, text: str, moment: At | After) -> None:
        assert parse_moment(text) == Success(moment)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "it is neither a time nor a duration"),
            ("tomorrow", "it is neither a time nor a duration"),
            ("10 parsecs", "it is neither a time nor a duration"),
            ("90", "a duration needs a unit, such as 90s"),
            ("-5", "a duration needs a unit, such as -5s"),
            ("1763861000", "a duration needs a unit, such as 1763861000s"),
            ("9" * 19, "it is later than the year 2262"),
            ("-0s", "the end itself is meant where nothing is said, and 0 is the first arrival"),
            ("999999d", "it is longer than 292 years"),
            ("1969-12-31", "it is not between the years 1970 and 2262"),
            ("2025-11-23T01:23.5Z", "a fraction stands behind seconds"),
            ("2025-02-30", "day is out of range for month"),
        ],
    )
    def test_what_is_no_moment_is_refused_with_what_is_one(self, text: str, reason: str) -> None:
        refused = parse_moment(text).failure()

        assert refused.reason == reason
        assert refused.message.startswith(f"{text!r} is no moment of a session: {reason}. Write ")

    def test_a_window_is_placed_by_the_first_and_the_last_arrival(self) -> None:
        assert Window().over(100, 200) == Stretch()
        assert Window(After(0), After(60)).over(100, 200) == Stretch(100, 160)
        assert Window(After(-60), None).over(100, 200) == Stretch(140, None)
        assert Window(At(3), At(4)).over(100, 200) == Stretch(3, 4)

    def test_a_stretch_holds_its_start_and_not_its_end(self) -> None:
        assert [Stretch(2, 4).holds(arrival) for arrival in range(1, 5)] == [
            False,
            True,
            True,
            False,
        ]
        assert Stretch().holds(0)


class TestShards:
    @pytest.mark.parametrize("count", [1, 4, 1_000])
    def test_parts_are_counted_from_one_and_written_as_they_are_read(self, count: int) -> None:
        for number in {1, count}:
            assert parse_shard(f"{number}/{count}") == Success(Shard(number - 1, count))
            assert str(Shard(number - 1, count)) == f"{number}/{count}"

    @pytest.mark.parametrize("text", ["0/4", "5/4"])
    def test_a_part_that_is_not_there_is_refused_with_those_that_are(self, text: str) -> None:
        assert parse_shard(text).failure().message == (
            f"{text!r} is no part of a replay: parts are counted from 1, so those of 4 are "
            f"1/4 to 4/4."
        )

    @pytest.mark.parametrize(
        "text", ["", "2", "1/0", "a/b", "-1/4", "1/99999999999", "1/9999999999"]
    )
    def test_what_is_no_part_is_refused_with_an_example(self, text: str) -> None:
        assert "write it as 1/4, the first of four" in parse_shard(text).failure().message


def request_of(signal: Signal, service: str | None) -> bytes:
    request = REQUEST_TYPES[signal]()
    container = getattr(request, f"resource_{'spans' if signal == 'traces' else signal}").add()
    if service is not None:
        container.resource.attributes.add(key="service.name").value.string_value = service
    if signal == "traces":
        container.scope_spans.add().spans.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    elif signal == "metrics":
        container.scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=1)
    else:
        container.scope_logs.add().log_records.add(severity_text="info")
    return bytes(request.SerializeToString())


def recorded(seconds: int, signal: Signal = "traces", service: str | None = "cart") -> Recorded:
    return Recorded(signal, request_of(signal, service), START + seconds * SECOND)


async def indexed(storage: S3Storage, requests: list[Recorded]) -> SessionIndex:
    await write_session(storage, SESSION, requests, requests_per_segment=2)
    return or_raise(await index_session(storage, SESSION))


async def arrivals_read(storage: FaultyStorage, selection: Selection) -> list[int]:
    """Read what is selected, and return when it arrived, in seconds after the start."""
    index = or_raise(await index_session(storage, SESSION))
    storage.read.clear()
    reader = RequestReader(storage)
    return [
        (or_raise(read).frame.received_unix_nano - START) // SECOND
        async for read in reader.read_all(selection.frames(index))
    ]


@pytest.mark.anyio
class TestWhatIsRead:
    async def test_a_window_reads_only_its_segments(self, memory: S3Storage) -> None:
        storage = FaultyStorage(memory)
        await indexed(memory, [recorded(at) for at in range(20)])

        window = Window(After(5 * SECOND), After(9 * SECOND))
        assert await arrivals_read(storage, Selection(window=window)) == [5, 6, 7, 8]

        assert len(storage.read) == len(set(storage.read)) == 3

    async def test_the_end_of_a_session_reads_only_its_segments(self, memory: S3Storage) -> None:
        storage = FaultyStorage(memory)
        await indexed(memory, [recorded(at) for at in range(20)])

        window = Window(start=After(-3 * SECOND))
        assert await arrivals_read(storage, Selection(window=window)) == [16, 17, 18, 19]

        assert len(storage.read) == 2

    async def test_a_service_reads_only_its_segments(self, memory: S3Storage) -> None:
        storage = FaultyStorage(memory)
        services = ["cart"] * 6 + ["checkout"] * 6
        await indexed(memory, [recorded(at, "logs", name) for at, name in enumerate(services)])

        assert await arrivals_read(storage, Selection(services=("ch*",))) == list(range(6, 12))

        assert len(storage.read) == 3

    async def test_signals_read_only_their_segments(self, memory: S3Storage) -> None:
        storage = FaultyStorage(memory)
        await indexed(memory, [recorded(at, SIGNALS[at % 3]) for at in range(12)])

        assert await arrivals_read(storage, Selection(signals=("logs",))) == [2, 5, 8, 11]

        assert len(storage.read) == 2

    async def test_a_pattern_that_means_no_name_reads_all_that_may_have_none(
        self, memory: S3Storage
    ) -> None:
        requests = [recorded(0, service=None), recorded(1), recorded(2), recorded(3)]
        index = await indexed(memory, requests)

        assert Selection(services=("*",)).segments(index) == index
        assert Selection(services=("cart",)).segments(index) == index
        assert Selection(services=("other",)).segments(index).segments == ()

    async def test_the_window_is_that_of_all_signals(self, memory: S3Storage) -> None:
        index = await indexed(memory, [recorded(0, "metrics"), recorded(5), recorded(9)])

        selection = Selection(signals=("traces",), window=Window(end=After(6 * SECOND)))

        assert [ref.frame.received_unix_nano for ref in selection.frames(index)] == [
            START + 5 * SECOND
        ]


@pytest.mark.anyio
class TestDamage:
    async def test_a_damaged_segment_stays_where_it_may_hold_what_is_selected(
        self, memory: S3Storage
    ) -> None:
        sound = await indexed(memory, [recorded(at) for at in range(8)])
        damages = tuple(SegmentCorrupted(each.key, 7, "torn") for each in sound.segments)
        index = attrs.evolve(sound, damages=damages)
        before_four = Window(end=After(4 * SECOND))

        of_others = Selection(services=("other",)).segments(index)
        early = Selection(window=before_four).segments(index)
        late = Selection(window=Window(start=After(7 * SECOND))).segments(index)

        assert of_others == late == index
        assert early == SessionIndex(sound.segments[:2], damages[:2])
        assert Selection(signals=("logs",)).segments(index) == SessionIndex(())


@pytest.mark.anyio
class TestSessionsThatAreMerged:
    async def test_they_have_one_clock(self, memory: S3Storage) -> None:
        await write_session(memory, "one", [recorded(0), recorded(3)])
        await write_session(memory, "two", [recorded(10), recorded(13)])
        one, two = [or_raise(await index_session(memory, name)) for name in ("one", "two")]

        selection = Selection(window=Window(After(2 * SECOND), After(-1 * SECOND)))

        assert selection.resolved(one, two) == Selection(
            window=Window(At(START + 2 * SECOND), At(START + 12 * SECOND))
        )
        assert arrivals_of(one, two) == (START, START + 13 * SECOND)
        assert arrivals_of() is None
        assert selection.resolved() == selection


@pytest.mark.anyio
class TestCheckSelection:
    async def test_what_selects_something_comes_back_on_the_wall_clock(
        self, memory: S3Storage
    ) -> None:
        index = await indexed(memory, [recorded(0), recorded(5)])
        selection = Selection(window=Window(After(SECOND)))

        assert check_selection(selection, index) == Success(selection.resolved(index))
        assert check_selection(selection) == Success(selection)

    async def test_what_selects_nothing_says_what_there_is(self, memory: S3Storage) -> None:
        index = await indexed(memory, [recorded(0), recorded(5, service="checkout")])
        cases = {
            Selection(window=Window(After(9 * SECOND))): NothingSelected(
                "the window is from 2025-11-23T01:23:29.000000000Z",
                "arrivals are from 2025-11-23T01:23:20.000000000Z to "
                "2025-11-23T01:23:25.000000000Z",
            ),
            Selection(services=("car", "frontend")): NothingSelected(
                "no service is named like car, frontend", "there are cart, checkout"
            ),
            Selection(signals=("logs", "metrics")): NothingSelected(
                "there are no logs, metrics", "there are traces"
            ),
        }

        found = {selection: check_selection(selection, index) for selection in cases}

        assert found == {selection: Failure(error) for selection, error in cases.items()}
        assert all(
            error.message.startswith("Nothing would be replayed: ") for error in cases.values()
        )


class TestSelectionOf:
    def test_a_configuration_says_all_of_it(self) -> None:
        config = ReplayConfig(
            session_id="s",
            replay_metrics=False,
            filter_services=("cart",),
            replay_from=After(1),
            replay_until=At(2),
            trace_share=0.5,
            shard=Shard(1, 3),
        )

        assert selection_of(config) == Selection(
            signals=("traces", "logs"),
            services=("cart",),
            window=Window(After(1), At(2)),
            trace_share=0.5,
            shard=Shard(1, 3),
        )
        whole = selection_of(ReplayConfig(session_id="s"))
        assert (whole, whole.narrows, whole.cuts_traces) == (Selection(), False, False)

    @pytest.mark.parametrize(
        ("selection", "narrows", "cuts_traces"),
        [
            (Selection(services=("cart",)), True, True),
            (Selection(window=Window(start=After(1))), False, True),
            (Selection(trace_share=0.5), True, False),
            (Selection(shard=Shard(0, 2)), True, False),
            (Selection(signals=("logs",)), False, False),
        ],
    )
    def test_it_says_whether_it_changes_requests_and_cuts_traces(
        self, selection: Selection, *, narrows: bool, cuts_traces: bool
    ) -> None:
        assert (selection.narrows, selection.cuts_traces) == (narrows, cuts_traces)


def test_a_share_holds_about_its_part_of_the_metrics_requests_of_a_shard() -> None:
    request = request_of("metrics", "cart")
    selections = [Selection(shard=Shard(index, 4)) for index in range(4)]

    owners = Counter(
        index
        for sequence in range(2_000)
        for index, selection in enumerate(selections)
        if not selection.narrow(request, "metrics", sequence).unwrap().is_filtered_out
    )

    assert owners.total() == 2_000
    assert all(400 < count < 600 for count in owners.values())

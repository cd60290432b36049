"""Files of requests behind their lengths."""

import io

from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from otlp_capture.otlp import FramingError, read_framed


def framed(payloads: list[bytes]) -> bytes:
    return b"".join(len(each).to_bytes(4, "big") + each for each in payloads)


class Trickle(io.BytesIO):
    """A file that gives a byte at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 1))


@given(st.lists(st.binary(max_size=20)))
def test_what_was_framed_is_read(payloads: list[bytes]) -> None:
    expected = [Success(each) for each in payloads]

    assert list(read_framed(io.BytesIO(framed(payloads)))) == expected
    assert list(read_framed(Trickle(framed(payloads)))) == expected


@given(st.lists(st.binary(max_size=20), min_size=1), st.data())
def test_a_torn_tail_loses_nothing_before_it(payloads: list[bytes], data: st.DataObject) -> None:
    whole = framed(payloads)
    cut = data.draw(st.integers(0, len(whole) - 1))

    outcomes = list(read_framed(io.BytesIO(whole[:cut])))

    intact = [each.unwrap() for each in outcomes if isinstance(each, Success)]
    errors = [each.failure() for each in outcomes if isinstance(each, Failure)]
    assert intact == payloads[: len(intact)]
    assert [each.offset for each in errors] == [len(framed(intact))] * (cut > len(framed(intact)))


def test_a_frame_longer_than_allowed_is_not_read() -> None:
    file = io.BytesIO(framed([b"ab"]) + b"\xff\xff\xff\xff")

    assert list(read_framed(file, max_frame_bytes=2)) == [
        Success(b"ab"),
        Failure(FramingError(6, "it claims 4,294,967,295 bytes where 2 are allowed")),
    ]


def test_the_error_says_what_is_intact() -> None:
    (outcome,) = read_framed(io.BytesIO(b"\0\0\0\5abc"))

    assert outcome.failure().message == (
        "The frame at byte 0 cannot be read: the file ends after 3 of its 5 bytes. "
        "Every frame before it is intact."
    )


def test_a_torn_length_is_an_error() -> None:
    assert list(read_framed(io.BytesIO(b"\0\0"))) == [
        Failure(FramingError(0, "the file ends 2 bytes into the length"))
    ]

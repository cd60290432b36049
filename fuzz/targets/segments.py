"""Segments that anything may have happened to: read to the first damage."""

from itertools import pairwise
from typing import Final
from zlib import crc32

from fuzz.mutations import mutate_bytes
from fuzz.seeds import captured_texts, drawn_requests
from fuzz.target import Target
from otlp_capture import otlp
from otlp_capture.deflate import deflate, header, trailer
from otlp_capture.otlp import SIGNALS, Signal
from otlp_capture.result import Failure, Success
from otlp_capture.sessions import Arrival, encode_frame, encode_frame_stored, index_frames
from otlp_capture.sessions.frame_reading import open_frame, read_frames

_KEY: Final = "key"
_FALLBACK_NS: Final = 7
_FRAMES: Final = 3
_ENCODERS: Final = (encode_frame, encode_frame_stored)
_HEADER: Final = bytes.fromhex("1f8b0806")
_EXTRA_AT, _U16 = 10, 2


def _seeds() -> list[bytes]:
    frames: list[bytes] = []
    for place, (signal, request) in enumerate(drawn_requests()):
        facts = otlp.scan(request, signal)
        if isinstance(facts, Success):
            encode = _ENCODERS[place % len(_ENCODERS)]
            frames.append(encode(request, facts.unwrap(), Arrival(place + 1, place)))
    foreign = [header() + deflate(text) + trailer(text) for text in captured_texts()]
    members = [*frames, *foreign]
    return [b"".join(members[at : at + _FRAMES]) for at in range(0, len(members), _FRAMES)]


def _check(segment: bytes) -> None:
    for signal in SIGNALS:
        _check_reading(segment, signal)
        _check_reading(_with_sound_headers(segment), signal)


def _check_reading(segment: bytes, signal: Signal) -> None:
    found = list(index_frames(_KEY, segment, signal, _FALLBACK_NS))
    assert all(isinstance(each, Success) for each in found[:-1]), "it goes on behind a damage"
    frames = [each.unwrap() for each in found if isinstance(each, Success)]
    ends = [frame.offset + frame.size_bytes for frame in frames]
    assert [frame.offset for frame in frames] == [0, *ends][: len(frames)], "there are gaps"
    assert all(one < other for one, other in pairwise([0, *ends])), "it stands still"
    assert isinstance(found[-1], Failure) if found and ends[-1:] != [len(segment)] else True
    sound = 0
    for frame, end in zip(frames, ends, strict=True):
        opened = open_frame(_KEY, memoryview(segment)[frame.offset : end], frame, signal)
        if isinstance(opened, Failure):
            assert opened.failure().message
            break
        sound += 1
    read = list(read_frames(_KEY, segment, signal, _FALLBACK_NS))
    assert sum(isinstance(each, Success) for each in read) == sound


def _with_sound_headers(segment: bytes) -> bytes:
    """Give each header as ours a right CRC, so that what it says is believed."""
    mended = bytearray(segment)
    start = segment.find(_HEADER)
    while start >= 0:
        size_at = start + _EXTRA_AT
        size = int.from_bytes(segment[size_at : size_at + _U16], "little")
        end = size_at + _U16 + size
        if end + _U16 <= len(mended):
            mended[end : end + _U16] = (crc32(mended[start:end]) & 0xFFFF).to_bytes(2, "little")
        start = segment.find(_HEADER, start + 1)
    return bytes(mended)


TARGET: Final = Target(_seeds, mutate_bytes, _check)

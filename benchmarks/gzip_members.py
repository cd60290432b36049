"""Compressing and inflating: isal, and what the library makes of it, beside zlib."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from isal import igzip_lib

from benchmarks.harness import Case, Way
from benchmarks.requests import Sample
from otlp_capture.deflate import deflate, inflate
from otlp_capture.otlp import DEFAULT_LIMITS

_ZLIB_LEVELS: Final = (1, 6)
_ISAL_LEVELS: Final = (0, 1, 2, 3)
_CLIENT_LEVEL: Final = 6
_RAW, _GZIP = -15, 31


def compressing(samples: Iterable[Sample]) -> Iterator[Case]:
    """Yield a case for each sample; each way is named with the size that it comes to."""
    for each in samples:
        request = each.request
        roads: dict[str, Callable[[], bytes]] = {
            f"zlib level {level}": partial(zlib.compress, request, level, _RAW)
            for level in _ZLIB_LEVELS
        }
        for level in _ISAL_LEVELS:
            roads[f"isal level {level}"] = partial(igzip_lib.compress, request, level)
        roads["deflate.deflate"] = partial(deflate, request)
        ways = [
            Way(f"{name}, to {100 * len(road()) / len(request):.1f} %", road)
            for name, road in roads.items()
        ]
        yield Case("compress", each.name, len(request), ways)


def inflating(samples: Iterable[Sample]) -> Iterator[Case]:
    """Yield a case for each sample, as a client compressed it; speeds count what comes out."""
    for each in samples:
        body, size = zlib.compress(each.request, _CLIENT_LEVEL, _GZIP), len(each.request)
        flag, window = igzip_lib.DECOMP_GZIP, igzip_lib.MAX_HIST_BITS
        limit = DEFAULT_LIMITS.max_bytes
        ways = [
            Way("zlib, unbounded", partial(zlib.decompress, body, _GZIP, size)),
            Way("isal, unbounded", partial(igzip_lib.decompress, body, flag, window, size)),
            Way("deflate.inflate, bounded", partial(inflate, body, max_bytes=limit)),
        ]
        yield Case("inflate", each.name, size, ways)

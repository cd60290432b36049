"""What the path of a file says: its signal, its time, and whether it is wanted at all.

The collector's awss3 exporter writes `{prefix}/{partition}/{file_prefix}{signal}_{unique}.{ext}`,
its partition by strftime in the exporter's own time zone, which the path does not tell.
Source: opentelemetry-collector-contrib, exporter/awss3exporter.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

from otlp_capture.interchange.errors import PartitionFormatInvalid
from otlp_capture.otlp import SIGNALS, Signal, is_signal
from otlp_capture.result import Failure, Outcome, Success

_SIGNAL: Final = f"(?P<signal>{'|'.join(SIGNALS)})"
_OF_AWSS3: Final = re.compile(
    rf".*{_SIGNAL}_(?P<unique>[A-Za-z0-9-]+)(?:\.(?:json|binpb))?(?:\.(?:gz|zst))?"
)
_WORD: Final = re.compile(rf"(?<![a-z]){_SIGNAL[:-1]}|trace|metric|log)(?![a-z])", re.IGNORECASE)
_ENDINGS: Final = re.compile(
    r".+\.(?:json|jsonl|ndjson|otlp|binpb|pb|bin|proto)(?:\.(?:gz|gzip|zst|zstd))?", re.IGNORECASE
)
_DEFAULT_FORMATS: Final = (
    "year=%Y/month=%m/day=%d/hour=%H/minute=%M",
    "year=%Y/month=%m/day=%d/hour=%H",
    "year=%Y/month=%m/day=%d",
    "%Y/%m/%d/%H/%M",
    "%Y/%m/%d/%H",
    "%Y/%m/%d",
    "%Y-%m-%d/%H/%M",
    "%Y-%m-%d/%H",
    "%Y-%m-%d",
)
_LONGHANDS: Final = {"%F": "%Y-%m-%d", "%R": "%H:%M", "%T": "%H:%M:%S"}
_DIRECTIVES: Final = {
    "%Y": r"(?P<year>\d{4})",
    "%m": r"(?P<month>\d{2})",
    "%d": r"(?P<day>\d{2})",
    "%H": r"(?P<hour>\d{2})",
    "%M": r"(?P<minute>\d{2})",
    "%S": r"(?P<second>\d{2})",
    "%s": r"(?P<epoch>\d{1,11})",
    "%%": "%",
}
_NANOSECONDS: Final = 1_000_000_000


def signal_of_path(path: str) -> Signal | None:
    """Return the signal that a file's name says, or else the nearest of its folders.

    >>> signal_of_path("lab/logs-of/traces_1234.binpb"), signal_of_path("Metrics/2026.pb")
    ('traces', 'metrics')
    >>> signal_of_path("catalogue/dialogs.pb") is None
    True
    """
    *folders, name = path.split("/")
    exported = _OF_AWSS3.fullmatch(name)
    if exported is not None and is_signal(signal := exported["signal"]):
        return signal
    for segment in (name, *reversed(folders)):
        words = [match["signal"] for match in _WORD.finditer(segment)]
        if words:
            word = words[-1].lower()
            return next(signal for signal in SIGNALS if signal.startswith(word))
    return None


def is_wanted(path: str, patterns: Sequence[str]) -> bool:
    """Say whether a file of a tree is to be imported.

    Args:
        path: the file's, inside the tree.
        patterns: of names, or with a slash of whole paths; none: by the usual endings, and what the
            awss3 exporter writes without one.

    >>> is_wanted("a/traces_81.json.gz", ()), is_wanted("README.md", ())
    (True, False)
    """
    name = path.rpartition("/")[2]
    if not patterns:
        return bool(_ENDINGS.fullmatch(name) or _OF_AWSS3.fullmatch(name))
    return any(fnmatchcase(path if "/" in each else name, each) for each in patterns)


def partition_time_unix_nano(path: str, partition_format: str | None) -> int | None:
    """Return when the partition begins that the folders of *path* name, taken as UTC.

    Args:
        path: a file's.
        partition_format: the exporter's `s3_partition_format`; the usual ones where not given.

    >>> partition_time_unix_nano("p/year=2026/month=11/day=24/hour=15/minute=03/logs_1.json", None)
    1795532580000000000
    """
    for each in _DEFAULT_FORMATS if partition_format is None else (partition_format,):
        found = _pattern(each).fullmatch(path)
        if found is not None and (time := _time(found.groupdict())) is not None:
            return time
    return None


def check_partition_format(partition_format: str) -> Outcome[None, PartitionFormatInvalid]:
    """See whether times can be read back from what a format writes.

    Fails with:
        PartitionFormatInvalid: it holds what cannot be read back, or no date.

    >>> check_partition_format("%Y/week-%U").failure().reason
    'it holds %U'
    """
    written = _spelled_out(partition_format)
    for directive in re.findall(r"%.?", written):
        if directive not in _DIRECTIVES:
            return Failure(PartitionFormatInvalid(partition_format, f"it holds {directive}"))
    if "%s" not in written and not {"%Y", "%m", "%d"} <= set(re.findall(r"%.", written)):
        return Failure(PartitionFormatInvalid(partition_format, "it holds no whole date"))
    return Success(None)


def _spelled_out(partition_format: str) -> str:
    for short, long in _LONGHANDS.items():
        partition_format = partition_format.replace(short, long)
    return partition_format.strip("/")


@cache
def _pattern(partition_format: str) -> re.Pattern[str]:
    seen: set[str] = set()
    written = ""
    for part in re.split(r"(%.)", _spelled_out(partition_format)):
        if part in seen:
            written += f"(?P={_DIRECTIVES[part][4:].partition('>')[0]})"
            continue
        written += _DIRECTIVES.get(part, re.escape(part))
        if part in _DIRECTIVES and part != "%%":
            seen.add(part)
    return re.compile(rf"(?:.*/)?{written}/.*", re.DOTALL)


def _time(found: dict[str, str]) -> int | None:
    if "epoch" in found:
        return int(found["epoch"]) * _NANOSECONDS
    numbers = {name: int(text) for name, text in found.items()}
    try:
        began = datetime(**numbers, tzinfo=UTC)
    except ValueError:
        return None
    return max(int(began.timestamp()), 0) * _NANOSECONDS

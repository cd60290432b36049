"""The comparison under one shift of each loop: sorted rows, read side by side."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Final

import anyio.to_thread
import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_replay.errors import ReplayError
from otlp_replay.verify.contents import Contents
from otlp_replay.verify.matching import Leftovers, aligned, named_differences, repeated_rows
from otlp_replay.verify.reading import Source, into_rows, read_requests
from otlp_replay.verify.rows import SortedRows, digest_of, group_of, moved, time_of
from otlp_replay.verify.shifts import Group, find_shifts
from otlp_replay.verify.tally import Tally

_PARTS: Final = 4
_MOST_TIMES: Final = 1 << 20
"""How many times of one content vote for a shift."""


@attrs.frozen
class Memory:
    """What a comparison may take.

    Attributes:
        files: closes its files.
        most_bytes: how much memory, in bytes.
        directory: where its files are; None: where temporary files go.
    """

    files: ExitStack
    most_bytes: int
    directory: Path | None

    def rows(self, parts: int) -> SortedRows:
        """Return a place for rows that takes one of *parts* of the memory."""
        return SortedRows(self.files, self.most_bytes // parts, self.directory)


@attrs.frozen
class Rows:
    """The records of one side."""

    contents: Contents
    rows: SortedRows


@attrs.frozen
class Compared:
    """What a comparison by records found: the differences, and how much later each loop is."""

    a: Contents
    b: Contents
    tally: Tally
    shifts: tuple[int, ...]


async def read_rows(
    source: Source, memory: Memory, wanted: bytearray | None
) -> Outcome[Rows, ReplayError]:
    """Read the records of a source into sorted rows.

    Args:
        source: what to read.
        memory: what that may take.
        wanted: by the number of a request, whether to read it; None: all.

    Raises:
        OSError: there is no room for a file.

    Fails with:
        DataCorrupted, DecompressionFailure: a session is damaged.
        StorageFailure: a store did not answer well.
    """
    read = Rows(Contents(), memory.rows(_PARTS))
    take = into_rows(read.contents, read.rows)
    done = await read_requests(source, take, wanted=wanted)
    if isinstance(done, Failure):
        return done
    await anyio.to_thread.run_sync(read.rows.set_aside)
    return Success(read)


def compare_rows(
    a: Rows, b: Rows, shifts: Sequence[int], memory: Memory, max_examples: int
) -> Compared:
    """Compare the records of two sides, each loop of A moved by its shift.

    Raises:
        OSError: there is no room for a file.
    """
    apart = set_apart(a, b, shifts, memory, max_examples)
    apart.name()
    return apart.compared


@attrs.frozen
class Apart:
    """Two sides whose equal records were set against each other."""

    compared: Compared
    left: Leftovers

    def name(self) -> None:
        """Count what is left, as changed where two are one by name."""
        shifts = self.compared.shifts
        found = named_differences(self.left, lambda one, _: shifts[one.group])
        self.compared.tally.add(found)


def set_apart(a: Rows, b: Rows, shifts: Sequence[int], memory: Memory, max_examples: int) -> Apart:
    """Set equal records against each other, each loop of A moved by its shift.

    Raises:
        OSError: there is no room for a file.
    """
    tally = Tally(a.contents, b.contents, max_examples)
    left = Leftovers(memory.rows(4 * _PARTS), memory.rows(4 * _PARTS))
    tally.add(repeated_rows(_moved_by_loop(a.rows, shifts, memory), b.rows, left))
    return Apart(Compared(a.contents, b.contents, tally, tuple(shifts)), left)


def shifts_of_rows(a: Rows, b: Rows, loops: int) -> tuple[int, ...]:
    """Return the shift of each loop under which the most records are equal."""

    def groups() -> Iterator[Group]:
        for _, same_a, same_b in aligned(a.rows, b.rows, digest_of):
            first_b = next(same_b, None)
            if first_b is None:
                continue
            times: list[array[int]] = [array("Q") for _ in range(loops)]
            for row in same_a:
                loop, time = group_of(row), time_of(row)
                if time and len(times[loop]) < _MOST_TIMES:
                    times[loop].append(time)
            if any(times):
                yield times, _times((first_b,), same_b)

    return find_shifts(groups, loops)


def _times(*rows: Iterable[bytes]) -> "array[int]":
    set_times = filter(None, map(time_of, chain(*rows)))
    return array("Q", islice(set_times, _MOST_TIMES))


def _moved_by_loop(rows: SortedRows, shifts: Sequence[int], memory: Memory) -> Iterable[bytes]:
    """Return the rows at the times at which they have to arrive, sorted."""
    if len(set(shifts)) == 1:
        # In rows of one digest either all times are set or none: one shift keeps them in order.
        return (moved(row, shifts[0]) for row in rows)
    again = memory.rows(_PARTS)
    again.extend(moved(row, shifts[group_of(row)]) for row in rows)
    return again

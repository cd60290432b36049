"""Where an export goes: one stream, one file, or a folder with a file for each signal."""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import attrs

from otlp_capture.interchange.deflating import Compression
from otlp_capture.interchange.output import STDOUT, Draft, Output, OutputError, look, unwritable
from otlp_capture.otlp import Signal
from otlp_capture.result import Failure, Outcome, Success


@attrs.frozen
class ExportedFile:
    """A file that was written.

    Attributes:
        path: where it is.
        requests: how many it holds.
        size_bytes: how long it is.
    """

    path: str
    requests: int
    size_bytes: int


class Outputs(Protocol):
    """What an export writes to. Its methods block."""

    def of(self, signal: Signal) -> Output:
        """Return where requests of *signal* go.

        Raises:
            OSError: it cannot be created.
        """
        ...

    def publish(self) -> Outcome[tuple[ExportedFile, ...], OutputError]:
        """Finish what was written; of files, show all of them under their names.

        Fails with:
            OutputExists: another file has taken a name meanwhile.
            OutputUnwritable: something cannot be written.
        """
        ...

    def close(self) -> None:
        """Leave nothing behind that is not whole."""
        ...


class OneStream:
    """An open descriptor, which stays open."""

    def __init__(self, descriptor: int, compression: Compression | None) -> None:
        self._output = Output(descriptor, compression)

    def of(self, signal: Signal) -> Output:
        """Return the only output."""
        del signal
        return self._output

    def publish(self) -> Outcome[tuple[ExportedFile, ...], OutputError]:
        """End the stream.

        Fails with:
            OutputUnwritable: nobody takes it.
        """
        try:
            self._output.finish()
        except OSError as error:
            return Failure(unwritable(STDOUT, error))
        return Success((_exported(STDOUT, self._output),))

    def close(self) -> None:
        """Leave it open."""


class Files:
    """Files by signal, of which those without requests are not written, unless there is but one.

    Args:
        paths: where requests of each signal go.
        compression: how files are compressed.
        is_over: whether they may take the places of others. Then a file of a signal of which there
            is no request goes, too: what is there afterwards is the export.
    """

    def __init__(
        self, paths: Mapping[Signal, Path], compression: Compression | None, *, is_over: bool
    ) -> None:
        self._paths, self._is_over = paths, is_over
        self._compression: Compression | None = compression
        self._drafts: dict[Path, Draft] = {}

    def of(self, signal: Signal) -> Output:
        """Return where requests of *signal* go, and begin the file with the first of them."""
        path = self._paths[signal]
        if path not in self._drafts:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._drafts[path] = Draft(path, self._compression)
        return self._drafts[path].output

    def publish(self) -> Outcome[tuple[ExportedFile, ...], OutputError]:
        """Make all files durable, and then visible.

        Fails with:
            OutputExists: another file has taken a name meanwhile.
            OutputUnwritable: something cannot be written.
        """
        if len(set(self._paths.values())) == 1:
            self.of(next(iter(self._paths)))
        reached: list[Path] = []
        try:
            for draft in self._drafts.values():
                draft.finish()
            for path, draft in self._drafts.items():
                reached.append(path)
                draft.publish(is_over=self._is_over)
            self._remove_others()
        except OSError as error:
            if not self._is_over:
                _remove(reached[:-1])
            return Failure(unwritable(reached[-1] if reached else self._any_path(), error))
        written = [path for path in dict.fromkeys(self._paths.values()) if path in self._drafts]
        return Success(tuple(_exported(str(p), self._drafts[p].output) for p in written))

    def close(self) -> None:
        """Remove what has no name yet."""
        for draft in self._drafts.values():
            draft.close()

    def _any_path(self) -> Path:
        return next(iter(self._drafts))

    def _remove_others(self) -> None:
        if self._is_over:
            _remove(path for path in self._paths.values() if path not in self._drafts)


def check_paths(paths: Iterable[Path], *, is_over: bool) -> Outcome[None, OutputError]:
    """See whether files can be written, as far as looking tells.

    Fails with:
        OutputExists: one is there, and it may not be overwritten.
        OutputUnwritable: something that is no file has the name.
    """
    for path in paths:
        looked = look(path, is_over=is_over)
        if isinstance(looked, Failure):
            return looked
    return Success(None)


def _exported(path: str, output: Output) -> ExportedFile:
    return ExportedFile(path, output.requests, output.size_bytes)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

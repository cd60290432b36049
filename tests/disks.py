"""A folder whose file-system calls are seen: they can be made to fail, and power can be lost.

`Disk.watched()` puts itself between the functions of the module `os` and their callers. What
happens below its root is noted in one order; `tree_after()` tells what a power loss at some moment
leaves of it, by what POSIX promises: what was synced is there; of the rest anything may be, except
that names of one directory come to the disk in their order, and that a rename is whole.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs
import pytest

Fate = Literal["kept", "lost", "torn", "zeros"]
FATES: Final[tuple[Fate, ...]] = ("kept", "lost", "torn", "zeros")


@attrs.frozen
class Named:
    """A file or a directory got a name."""

    directory: int
    name: str
    node: int
    is_directory: bool


@attrs.frozen
class Unnamed:
    """A name was removed."""

    directory: int
    name: str


@attrs.frozen
class Moved:
    """A file got another name in place of its own."""

    directory: int
    name: str
    target: int
    new_name: str
    node: int


@attrs.frozen
class Wrote:
    """Bytes were written."""

    node: int
    offset: int
    data: bytes


@attrs.frozen
class Cut:
    """A file was cut."""

    node: int
    size: int


@attrs.frozen
class Synced:
    """A file's content, or a directory's names, are on the disk."""

    node: int


@attrs.frozen
class SyncFailed:
    """They may be or not, and a later sync says nothing of what was written before."""

    node: int


@attrs.frozen
class Said:
    """A test notes that something happened by now."""

    fact: Any


Effect: TypeAlias = Named | Unnamed | Moved | Wrote | Cut | Synced | SyncFailed | Said
Tree: TypeAlias = dict[str, bytes | None]
"""Files with their content, and directories: None."""


class Disk:
    """What happens below a folder, which is empty at first.

    Args:
        root: the folder.

    Attributes:
        effects: what happened, in its order.
        faults: which call is to fail next, counted from 0, and with which error.
        calls: how many calls there were that can fail.
        failed: those that did, with the error.
    """

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self.effects: list[Effect] = []
        self.faults: Mapping[int, int] = {}
        self.calls = 0
        self.failed: list[tuple[str, int]] = []
        self.broken: set[int] = set()
        self._children: dict[int, dict[str, int]] = {0: {}}
        self._next = 1
        self._nodes: dict[int, int] = {}
        self._lock = threading.RLock()
        self._real: dict[str, Callable[..., Any]] = {}

    def say(self, fact: Any) -> None:
        """Note what happened by now."""
        with self._lock:
            self.effects.append(Said(fact))

    @contextmanager
    def watched(self) -> Generator[None]:
        """See all calls for the time of a `with`."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _WATCHED:
                self._real[name] = getattr(os, name)
                patch.setattr(os, name, getattr(self, f"_{name}"))
            yield

    def _place(self, path: Any, dir_fd: int | None) -> tuple[int, str] | None:
        """Return the directory and the name that *path* is about; None where it is elsewhere."""
        text = os.fspath(path) if not isinstance(path, int) else ""
        if not isinstance(text, str) or not text:
            return None
        if os.path.isabs(text):  # noqa: PTH117 - it may be no path
            if not text.startswith(f"{self.root}/"):
                return None
            node, parts = 0, text.removeprefix(f"{self.root}/").split("/")
        elif dir_fd is not None and dir_fd in self._nodes:
            node, parts = self._nodes[dir_fd], text.split("/")
        else:
            return None
        for part in parts[:-1]:
            found = self._children.get(node, {}).get(part)
            if found is None:
                return None
            node = found
        return node, parts[-1]

    def _may_fail(self, call: str) -> OSError | None:
        number = self.calls
        self.calls += 1
        code = self.faults.get(number)
        if code is None:
            return None
        self.failed.append((call, code))
        return OSError(code, os.strerror(code))

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        with self._lock:
            place = self._place(path, dir_fd)
            is_root = not isinstance(path, int) and os.fspath(path) == self.root
            creates = (
                place is not None
                and bool(flags & os.O_CREAT)
                and place[1] not in self._children[place[0]]
            )
            if place is not None and (fault := self._may_fail("create" if creates else "open")):
                raise fault
            descriptor: int = self._real["open"](path, flags, mode, dir_fd=dir_fd)
            if is_root:
                self._nodes[descriptor] = 0
            elif place is not None:
                if creates:
                    self._name(*place, is_directory=False)
                node = self._children.get(place[0], {}).get(place[1])
                if node is not None:
                    self._nodes[descriptor] = node
            return descriptor

    def _name(self, directory: int, name: str, *, is_directory: bool) -> None:
        node, self._next = self._next, self._next + 1
        self._children[directory][name] = node
        if is_directory:
            self._children[node] = {}
        self.effects.append(Named(directory, name, node, is_directory))

    def _close(self, descriptor: int) -> None:
        with self._lock:
            self._nodes.pop(descriptor, None)
            self._real["close"](descriptor)

    def _write(self, descriptor: int, data: Any) -> int:
        return self._writev(descriptor, [data], "write")

    def _writev(self, descriptor: int, pieces: Sequence[Any], call: str = "writev") -> int:
        with self._lock:
            node = self._nodes.get(descriptor)
            if node is None:
                plain = pieces[0] if call == "write" else pieces
                written: int = self._real[call](descriptor, plain)
                return written
            data = b"".join(pieces)
            offset = os.lseek(descriptor, 0, os.SEEK_CUR)
            fault = self._may_fail(call)
            if fault is not None:
                data = data[: len(data) // 2]
            if data:
                assert self._real["write"](descriptor, data) == len(data)
                self.effects.append(Wrote(node, offset, data))
            if fault is not None:
                raise fault
            return len(data)

    def _pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        with self._lock:
            node = self._nodes.get(descriptor)
            if node is not None:
                if fault := self._may_fail("pwrite"):
                    raise fault
                self.effects.append(Wrote(node, offset, bytes(data)))
            written: int = self._real["pwrite"](descriptor, data, offset)
            return written

    def _ftruncate(self, descriptor: int, size: int) -> None:
        with self._lock:
            node = self._nodes.get(descriptor)
            if node is not None and (fault := self._may_fail("ftruncate")):
                raise fault
            self._real["ftruncate"](descriptor, size)
            if node is not None:
                self.effects.append(Cut(node, size))

    def _fsync(self, descriptor: int) -> None:
        self._sync(descriptor, "fsync")

    def _fdatasync(self, descriptor: int) -> None:
        self._sync(descriptor, "fdatasync")

    def _sync(self, descriptor: int, call: str) -> None:
        with self._lock:
            node = self._nodes.get(descriptor)
            if node is None:
                self._real[call](descriptor)
                return
            is_file = node not in self._children
            if fault := self._may_fail(call):
                self.effects.append(SyncFailed(node))
                if is_file:
                    self.broken.add(node)
                raise fault
            assert not (call == "fdatasync" and node in self.broken), "a failed sync is tried again"
            self.effects.append(Synced(node))

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        with self._lock:
            place = self._place(path, dir_fd)
            if place is not None and (fault := self._may_fail("mkdir")):
                raise fault
            self._real["mkdir"](path, mode, dir_fd=dir_fd)
            if place is not None:
                self._name(*place, is_directory=True)

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove_name("unlink", path, dir_fd)

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove_name("rmdir", path, dir_fd)

    def _remove_name(self, call: str, path: Any, dir_fd: int | None) -> None:
        with self._lock:
            place = self._place(path, dir_fd)
            if place is not None and (fault := self._may_fail(call)):
                raise fault
            self._real[call](path, dir_fd=dir_fd)
            if place is not None:
                del self._children[place[0]][place[1]]
                self.effects.append(Unnamed(*place))

    def _rename(
        self, old: Any, new: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        with self._lock:
            source, target = self._place(old, src_dir_fd), self._place(new, dst_dir_fd)
            if source is None or target is None:
                self._real["rename"](old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
                return
            if fault := self._may_fail("rename"):
                raise fault
            self._real["rename"](old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            node = self._children[source[0]].pop(source[1])
            self._children[target[0]][target[1]] = node
            self.effects.append(Moved(*source, *target, node))


_WATCHED: Final = (
    *("open", "close", "write", "writev", "pwrite", "ftruncate", "fsync", "fdatasync"),
    *("mkdir", "unlink", "rmdir", "rename"),
)


def tree_after(
    effects: Iterable[Effect],
    names_kept: Callable[[int, int], int],
    fate_of: Callable[[], Fate],
) -> Tree:
    """Tell what a power loss leaves after *effects*.

    Args:
        effects: what happened until then.
        names_kept: chooses how many changes of a directory are on the disk, between two numbers.
        fate_of: chooses what becomes of each write that was not synced.
    """
    names: dict[int, list[Effect]] = {0: []}
    synced: dict[int, int] = {}
    contents: dict[int, list[_Change]] = {}
    for effect in effects:
        match effect:
            case Named(directory, _, node, is_directory):
                names[directory].append(effect)
                if is_directory:
                    names[node] = []
                else:
                    contents[node] = []
            case Unnamed(directory, _):
                names[directory].append(effect)
            case Moved(directory, _, target, _, _):
                names[directory].append(effect)
                if target != directory:
                    names[target].append(effect)
            case Wrote(node, _, _) | Cut(node, _):
                contents[node].append(_Change(effect))
            case Synced(node):
                synced[node] = len(names.get(node, ()))
                for change in contents.get(node, ()):
                    change.is_certain |= not change.is_doubtful
            case SyncFailed(node):
                for change in contents.get(node, ()):
                    change.is_doubtful |= not change.is_certain
    kept = {
        node: changes[: names_kept(synced.get(node, 0), len(changes))]
        for node, changes in names.items()
    }
    tree: Tree = {}
    _grow(tree, "", 0, _children(kept), {n: _content(c, fate_of) for n, c in contents.items()})
    return tree


@attrs.define
class _Change:
    """A change of a file's content, and whether it is on the disk."""

    effect: Wrote | Cut
    is_certain: bool = False
    is_doubtful: bool = False


def _children(kept: Mapping[int, Sequence[Effect]]) -> dict[int, dict[str, int]]:
    arrived = {
        id(each) for node, changes in kept.items() for each in changes if _goes_to(each, node)
    }
    children: dict[int, dict[str, int]] = {}
    for node, changes in kept.items():
        inside: dict[str, int] = {}
        for change in changes:
            match change:
                case Named(_, name, child):
                    inside[name] = child
                case Unnamed(_, name):
                    inside.pop(name, None)
                case Moved(source, name, target, new_name, child):
                    # It is never nowhere: it leaves the one directory when it is in the other.
                    if source == node and id(change) in arrived:
                        inside.pop(name, None)
                    if target == node:
                        inside[new_name] = child
        children[node] = inside
    return children


def _goes_to(change: Effect, node: int) -> bool:
    return isinstance(change, Moved) and change.target == node


def _content(changes: Iterable[_Change], fate_of: Callable[[], Fate]) -> bytes:
    content = bytearray()
    for change in changes:
        fate = "kept" if change.is_certain else fate_of()
        if fate == "lost":
            continue
        if isinstance(change.effect, Cut):
            del content[change.effect.size :]
            content.extend(bytes(change.effect.size - len(content)))
            continue
        data = change.effect.data
        if fate == "torn":
            data = data[: len(data) // 2]
        if fate == "zeros":
            data = bytes(len(data))
        offset = change.effect.offset
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data
    return bytes(content)


def _grow(
    tree: Tree,
    path: str,
    node: int,
    children: Mapping[int, Mapping[str, int]],
    contents: Mapping[int, bytes],
) -> None:
    for name, child in children[node].items():
        if child in children:
            tree[f"{path}{name}"] = None
            _grow(tree, f"{path}{name}/", child, children, contents)
        else:
            tree[f"{path}{name}"] = contents[child]


@contextmanager
def scratch() -> Generator[Path]:
    """Make a folder for the time of a `with`: in memory where the system has such a place."""
    memory = Path("/dev/shm")
    is_there = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(dir=memory if is_there else None) as folder:
        yield Path(folder)


@contextmanager
def never_synced() -> Generator[None]:
    """Let syncs take no time, where no power loss is to come."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, lambda _: None)
        yield


def plant(tree: Tree, root: Path) -> None:
    """Put what is left into a folder."""
    root.mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)

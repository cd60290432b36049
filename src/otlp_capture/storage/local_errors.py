"""What a file system refuses, as the errors of a store."""

import errno
from collections.abc import Callable, Mapping
from typing import Final

from otlp_capture.storage.errors import (
    AccessDenied,
    InvalidKey,
    StorageError,
    StorageFault,
    StorageFull,
    StorageUnreachable,
)

_ErrorMaker = Callable[[str, str, str], StorageError]


def _denied(store: str, key: str, detail: str) -> StorageError:
    return AccessDenied(store, key, detail)


def _full(store: str, key: str, detail: str) -> StorageError:
    return StorageFull(store, key, detail)


def _gone(store: str, _key: str, _detail: str) -> StorageError:
    return StorageUnreachable(store, "its directory is gone")


def _too_long(_store: str, key: str, _detail: str) -> StorageError:
    return InvalidKey(key, "the file system takes no segment that long (mostly 255 bytes)")


_BY_ERRNO: Final[Mapping[int, _ErrorMaker]] = {
    errno.EACCES: _denied,
    errno.EPERM: _denied,
    errno.EROFS: _denied,
    errno.ENOSPC: _full,
    errno.EDQUOT: _full,
    errno.ENOENT: _gone,
    errno.ENAMETOOLONG: _too_long,
}


def local_error(error: OSError, store: str, key: str) -> StorageError:
    """Say as a value why a file system refused.

    Args:
        error: what it raised.
        store: how errors call what lies there.
        key: what it was about.
    """
    detail = (error.strerror or str(error)).lower()
    if (make := _BY_ERRNO.get(error.errno or 0)) is not None:
        return make(store, key, detail)
    return StorageFault(store, key, errno.errorcode.get(error.errno or 0, "OSError"), detail)

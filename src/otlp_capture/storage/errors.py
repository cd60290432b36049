"""What can go wrong with a store: one class a fact, whichever store it is.

Past 250 lines because it is a list: each class is one fact and the sentence that goes with it.
"""

from pathlib import Path
from typing import ClassVar, TypeAlias

import attrs

from otlp_capture.storage.objects import Condition, IfMatch


@attrs.frozen
class InvalidKey:
    """A key or prefix that no store takes."""

    key: str
    reason: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.key!r} cannot be a key: {self.reason}. A key is a relative path of segments "
            f"joined by '/', UTF-8, at most 1024 bytes, such as 'sessions/a/metadata.json'."
        )


@attrs.frozen
class ObjectNotFound:
    """No object has this key."""

    key: str
    store: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return f"{self.key} does not exist in {self.store}. List the store to see what does."


@attrs.frozen
class KeyConflict:
    """A directory can hold a file or a folder of one name, not both."""

    key: str
    store: str
    reason: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.key} cannot be stored in {self.store}: {self.reason}. "
            f"Choose another key, or remove what is in its way."
        )


@attrs.frozen
class PreconditionFailed:
    """The condition of a write did not hold; nothing was written."""

    key: str
    store: str
    condition: Condition

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        match self.condition:
            case IfMatch(etag):
                found = f"is no longer the object with etag {etag}"
            case _:
                found = "exists already"
        return f"{self.key} in {self.store} {found}; nothing was written. Read it again and decide."


@attrs.frozen
class ConditionsUnsupported:
    """The store ignores conditions, so a conditional write would be an unconditional one."""

    key: str
    store: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.store} does not honour If-None-Match and If-Match on writes, so {self.key} was "
            f"not written. Look before you write, or use a store that honours them."
        )


@attrs.frozen
class RangeNotSatisfiable:
    """A byte range begins at or past the end of the object."""

    key: str
    store: str
    start: int

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.key} in {self.store} has no byte {self.start}: it ends before. "
            f"Ask for its size with `head` first."
        )


@attrs.frozen
class ChecksumMismatch:
    """The bytes that arrived are not the bytes that were sent."""

    key: str
    store: str
    detail: str

    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.key} was damaged on its way from or to {self.store}: {self.detail}. "
            f"Try again; if it stays so, the stored object or the network is at fault."
        )


@attrs.frozen
class AccessDenied:
    """The store knows us and says no, or does not know us."""

    store: str
    key: str
    detail: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.store} refused access{_to(self.key)}: {self.detail}. "
            f"Check the credentials and what they may do there."
        )


@attrs.frozen
class CredentialsMissing:
    """No credentials were found to sign requests with."""

    store: str
    detail: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"No usable credentials for {self.store}: {self.detail}. Set AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        )


@attrs.frozen
class BucketNotFound:
    """The bucket does not exist."""

    bucket: str
    store: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"Bucket {self.bucket!r} of {self.store} does not exist. "
            f"Create it, or check the store's URL."
        )


@attrs.frozen
class StorageUnreachable:
    """No answer came. A write that fails so may or may not have happened."""

    store: str
    reason: str

    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"Cannot reach {self.store}: {self.reason}. "
            f"Check that it is running and that its address is right."
        )


@attrs.frozen
class StorageBusy:
    """The store asks for patience, and did so until the retries were used up."""

    store: str
    key: str
    detail: str

    retryable: ClassVar[bool] = True

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return f"{self.store} is too busy{_to(self.key)}: {self.detail}. Try again later."


@attrs.frozen
class StorageFull:
    """There is no room left, or a quota is used up."""

    store: str
    key: str
    detail: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.store} has no room for {self.key}: {self.detail}. "
            f"Free space or raise its quota."
        )


@attrs.frozen
class StorageUnusable:
    """The store cannot be opened as it is configured."""

    store: str
    reason: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.store} cannot be opened: {self.reason}. "
            f"Correct the store's URL or configuration."
        )


@attrs.frozen
class SourceUnreadable:
    """The file to be stored cannot be read; nothing was stored."""

    path: Path
    reason: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return f"{self.path} cannot be read to be stored: {self.reason}. Check the file."


@attrs.frozen
class StorageFault:
    """Any other answer of the store, with the code it gave."""

    store: str
    key: str
    code: str
    detail: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.store} answered {self.code}{_to(self.key)}: {self.detail}. "
            f"Its documentation or its log says what that means."
        )


StorageError: TypeAlias = (
    InvalidKey
    | ObjectNotFound
    | KeyConflict
    | PreconditionFailed
    | ConditionsUnsupported
    | RangeNotSatisfiable
    | ChecksumMismatch
    | AccessDenied
    | CredentialsMissing
    | BucketNotFound
    | StorageUnreachable
    | StorageBusy
    | StorageFull
    | StorageUnusable
    | SourceUnreadable
    | StorageFault
)
"""Every way in which an operation of `S3Storage` fails."""


@attrs.frozen
class InvalidStoreUrl:
    """A store URL that names no store. Its credentials, if it held any, are left out of *url*."""

    url: str
    reason: str

    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What happened, and what to do next."""
        return (
            f"{self.url!r} is no store URL: {self.reason}. "
            f"A store is `file:./otlp-data`, `memory:` or "
            f"`s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1`."
        )


def _to(key: str) -> str:
    return f" for {key}" if key else ""

"""What lies under a session's prefix, told apart by key."""

import re
from typing import Final

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    SegmentName,
    manifest_prefix,
    metadata_key,
    parse_segment_key,
    raw_prefix,
    replays_prefix,
    session_prefix,
)
from otlp_capture.storage import S3Storage, StorageError, StoredObject

_PART: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})-([0-9]{2})\.json\.gz")


@attrs.frozen
class StoredSegment:
    """A segment's object, and what its key says."""

    stored: StoredObject
    name: SegmentName


@attrs.frozen
class SessionContents:
    """The objects of a session.

    Attributes:
        metadata: its metadata document, if it has one.
        segments: by hour folder, `YYYY-MM-DD/HH`, and there by key.
        parts: the parts of its manifest, by hour folder.
        strays: objects among the manifest's that are no part of one.
        replays: fidelity certificates of its replays.
        unknown: all others.
    """

    metadata: StoredObject | None
    segments: dict[str, list[StoredSegment]]
    parts: dict[str, StoredObject]
    strays: tuple[StoredObject, ...]
    replays: tuple[StoredObject, ...]
    unknown: tuple[StoredObject, ...]

    @property
    def hours(self) -> list[str]:
        """The hours that have segments or a part of the manifest, in their order."""
        return sorted({*self.segments, *self.parts})

    @property
    def raw_size_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(each.stored.size_bytes for members in self.segments.values() for each in members)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is there."""
        named = self.metadata or self.segments or self.parts or self.strays or self.replays
        return not (named or self.unknown)


async def list_contents(
    storage: S3Storage, session_id: str
) -> Outcome[SessionContents, StorageError]:
    """List the objects of a session.

    Fails with:
        StorageError: the store did not answer well.
    """
    metadata: StoredObject | None = None
    segments: dict[str, list[StoredSegment]] = {}
    parts: dict[str, StoredObject] = {}
    strays, replays, unknown = list[StoredObject](), list[StoredObject](), list[StoredObject]()
    async for found in storage.list_objects(f"{session_prefix(session_id)}/"):
        if isinstance(found, Failure):
            return found
        stored = found.unwrap()
        name = parse_segment_key(stored.key)
        if stored.key == metadata_key(session_id):
            metadata = stored
        elif name is not None and stored.key.startswith(raw_prefix(session_id)):
            segments.setdefault(name.hour, []).append(StoredSegment(stored, name))
        elif stored.key.startswith(manifest_prefix(session_id)):
            hour = _PART.fullmatch(stored.key.removeprefix(manifest_prefix(session_id)))
            if hour is None:
                strays.append(stored)
            else:
                parts[f"{hour[1]}/{hour[2]}"] = stored
        elif _is_certificate(stored.key, session_id):
            replays.append(stored)
        else:
            unknown.append(stored)
    others = (tuple(strays), tuple(replays), tuple(unknown))
    return Success(SessionContents(metadata, segments, parts, *others))


def _is_certificate(key: str, session_id: str) -> bool:
    name = key.removeprefix(replays_prefix(session_id))
    return name != key and name.endswith(".json") and "/" not in name

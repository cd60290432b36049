"""Certificates in a store, beside the session that was replayed."""

from typing import ClassVar, TypeAlias

import attrs

from otlp_capture.result import Failure, Outcome, Success
from otlp_capture.sessions import (
    InvalidSessionId,
    LoadError,
    SessionNotFound,
    check_session_id,
    load_session,
    replay_key,
    replays_prefix,
)
from otlp_capture.storage import ObjectNotFound, S3Storage, StorageError, StoredObject
from otlp_replay.fidelity.certificate import FidelityCertificate
from otlp_replay.fidelity.document import (
    CertificateCorrupted,
    decode_certificate,
    encode_certificate,
)


@attrs.frozen
class InvalidReplayId:
    """*replay_id* cannot name a replay."""

    replay_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What was given, and what is allowed."""
        return (
            f"{self.replay_id[:200]!r} is no replay id. Use 1 to 128 letters, digits, '.', '_' "
            f"and '-', a letter or a digit first, and no '..'."
        )


@attrs.frozen
class CertificateNotFound:
    """Session *session_id* has no certificate of *replay_id*."""

    session_id: str
    replay_id: str
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """What is missing."""
        return (
            f"Session {self.session_id!r} has no certificate of a replay {self.replay_id!r}. "
            f"One is stored when a replay ends."
        )


@attrs.frozen
class StoredCertificate:
    """A certificate that lies in a store.

    Attributes:
        replay_id: of which replay.
        stored: where, how large, and when it was written.
    """

    replay_id: str
    stored: StoredObject


StoreError: TypeAlias = LoadError | InvalidReplayId
ReadCertificateError: TypeAlias = (
    InvalidSessionId | InvalidReplayId | CertificateNotFound | CertificateCorrupted | StorageError
)


async def store_certificate(
    storage: S3Storage, certificate: FidelityCertificate
) -> Outcome[StoredObject, StoreError]:
    """Store a certificate beside the first session that was replayed, over one of the same id.

    Nothing is left behind where the session is deleted meanwhile, so that its id is free again.

    Fails with:
        InvalidReplayId: nothing can be stored under the replay's id.
        InvalidSessionId, SessionNotFound, MetadataCorrupted: there is no such session (any more).
        StorageError: the store did not answer well.
    """
    session_id, replay_id = certificate.session_ids[0], certificate.replay_id
    if isinstance(check_session_id(replay_id), Failure):
        return Failure(InvalidReplayId(replay_id))
    present = await _is_kept(storage, session_id)
    if isinstance(present, Failure):
        return present
    key = replay_key(session_id, replay_id)
    stored = await storage.store_raw_data(encode_certificate(certificate), key)
    if isinstance(stored, Failure):
        return stored
    # A deletion that has listed its objects before does not know this one.
    present = await _is_kept(storage, session_id)
    if isinstance(present, Success) or not isinstance(present.failure(), SessionNotFound):
        return stored
    removed = await storage.delete_raw_data(key)
    return removed if isinstance(removed, Failure) else present


async def _is_kept(storage: S3Storage, session_id: str) -> Outcome[None, LoadError]:
    """See that a session is there, and that its deletion was not begun."""
    loaded = await load_session(storage, session_id)
    if isinstance(loaded, Failure):
        return loaded
    is_deleted = loaded.unwrap().metadata.deleting_since is not None
    return Failure(SessionNotFound(session_id)) if is_deleted else Success(None)


async def list_certificates(
    storage: S3Storage, session_id: str
) -> Outcome[tuple[StoredCertificate, ...], InvalidSessionId | StorageError]:
    """Return which certificates lie beside a session, in the order of their replays' ids.

    Ids that are made here grow with time. A session that is not there has none.

    Fails with:
        InvalidSessionId: no session can have this id.
        StorageError: the store did not answer well.
    """
    checked = check_session_id(session_id)
    if isinstance(checked, Failure):
        return checked
    found = list[StoredCertificate]()
    prefix = replays_prefix(session_id)
    async for listed in storage.list_objects(prefix):
        if isinstance(listed, Failure):
            return listed
        name, dot, ending = listed.unwrap().key.removeprefix(prefix).rpartition(".")
        if dot and ending == "json" and isinstance(check_session_id(name), Success):
            found.append(StoredCertificate(name, listed.unwrap()))
    return Success(tuple(sorted(found, key=lambda each: each.replay_id)))


async def load_certificate(
    storage: S3Storage, session_id: str, replay_id: str
) -> Outcome[FidelityCertificate, ReadCertificateError]:
    """Read the certificate of a replay.

    Fails with:
        InvalidSessionId, InvalidReplayId: nothing can have this id.
        CertificateNotFound: the session has none of this replay.
        CertificateCorrupted: it cannot be read.
        StorageError: the store did not answer well.
    """
    checked = check_session_id(session_id)
    if isinstance(checked, Failure):
        return checked
    if isinstance(check_session_id(replay_id), Failure):
        return Failure(InvalidReplayId(replay_id))
    key = replay_key(session_id, replay_id)
    document = await storage.retrieve_raw_data(key)
    if isinstance(document, Success):
        return decode_certificate(key, document.unwrap())
    if isinstance(document.failure(), ObjectNotFound):
        return Failure(CertificateNotFound(session_id, replay_id))
    return document

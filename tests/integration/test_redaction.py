"""Secrets in requests of every kind, and all that a store holds afterwards."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import anyio
import pytest
from returns.result import Failure, Success

from otlp_capture import otlp
from otlp_capture.capture import CaptureSettings
from otlp_capture.clock import SYSTEM_CLOCK
from otlp_capture.layer import open_runtime
from otlp_capture.otlp import PLACES, SIGNALS, Encoding, Limits, Signal
from otlp_capture.redaction import (
    RedactionFailed,
    Redactor,
    RuleSet,
    keeping,
    redaction_report,
)
from otlp_capture.result import or_raise
from otlp_capture.storage import S3Storage, S3StorageTag, local_storage
from tests.captures import CONFIG, held, opened_capture
from tests.redactions import full_request, redactor
from tests.small_requests import small_request

pytestmark = pytest.mark.anyio

SECRET = "S3CRET-canary"
EVERYWHERE = list(PLACES)
WAYS: dict[str, Any] = {
    "masked": {"on": EVERYWHERE, "action": "mask", "pattern": "S3CRET-[a-z]+"},
    "hashed": {"on": EVERYWHERE, "action": "hash"},
    "dropped": {"on": EVERYWHERE, "action": "drop"},
    "dropped by value": {"on": EVERYWHERE, "action": "drop", "value": "S3CRET"},
}


async def recorded(folder: Path, uses: Redactor | None, *bodies: Any) -> list[Any]:
    """Record bodies into a store in *folder*, and read back what it holds."""
    settings = CaptureSettings(linger_s=0.0, redaction=uses)
    async with open_runtime(local_storage(str(folder)), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        async with opened_capture(storage, SYSTEM_CLOCK, settings) as capture:
            or_raise(await capture.start_capture(CONFIG))
            for body, signal, encoding, content_encoding in bodies:
                or_raise(
                    await capture.capture_otlp_data(
                        "s", body, signal, encoding=encoding, content_encoding=content_encoding
                    )
                )
            or_raise(await capture.stop_capture("s"))
        return await held(storage)


def members(content: bytes) -> list[bytes]:
    """Each gzip member of a file, with its header."""
    found = []
    while content:
        inflater = zlib.decompressobj(wbits=31)
        inflater.decompress(content)
        found.append(content[: len(content) - len(inflater.unused_data)])
        content = inflater.unused_data
    return found


def stored_bytes(folder: Path) -> bytes:
    """All that lies below a folder, as it lies and decompressed."""
    pieces = []
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        pieces.append(str(path).encode())
        pieces.append(content)
        if content.startswith(b"\x1f\x8b"):
            pieces.append(gzip.decompress(content))
    return b"\n".join(pieces)


def in_encoding(request: bytes, signal: Signal, encoding: Encoding, content_encoding: str) -> Any:
    body = or_raise(otlp.encode(request, signal, encoding))
    packed = gzip.compress(body) if content_encoding == "gzip" else body
    return packed, signal, encoding, content_encoding


@pytest.mark.parametrize("way", WAYS)
async def test_a_secret_is_nowhere_in_the_store(tmp_path: Path, way: str) -> None:
    bodies = [
        in_encoding(full_request(signal, SECRET), signal, encoding, content_encoding)
        for signal in SIGNALS
        for encoding in ("protobuf", "json")
        for content_encoding in ("identity", "gzip")
    ]

    kept = await recorded(tmp_path, redactor(WAYS[way]), *bodies)

    assert len(kept) == len(bodies)
    assert b"S3CRET" not in stored_bytes(tmp_path)


async def test_without_redaction_the_same_secrets_are_found(tmp_path: Path) -> None:
    await recorded(
        tmp_path, None, in_encoding(full_request("logs", SECRET), "logs", "protobuf", "gzip")
    )

    assert SECRET.encode() in stored_bytes(tmp_path)


async def test_frames_say_whether_they_were_redacted(tmp_path: Path) -> None:
    uses = redactor({"on": "body", "action": "mask", "pattern": "S3CRET"})
    plain, secret = small_request("logs", text="plain"), small_request("logs", text="S3CRET")
    bodies = [
        in_encoding(each, "logs", "protobuf", coding)
        for coding in ("identity", "gzip")
        for each in (plain, secret)
    ]

    kept = await recorded(tmp_path, uses, *bodies)

    masked = small_request("logs", text="***")
    assert [each.request for each in kept] == [plain, masked, plain, masked]
    assert redaction_report(uses) == {"rule 1": {"mask": 2}}
    flags = [
        member[member.index(b"OC") + 5]
        for path in sorted((tmp_path / "sessions/s/raw").rglob("*.otlp.gz"))
        for member in members(path.read_bytes())
    ]
    assert sorted(flags) == [0, 2, 2, 4]


async def test_facts_are_those_of_what_is_kept(tmp_path: Path) -> None:
    uses = redactor({"on": "resource", "key": "service.name", "action": "mask", "pattern": "cart"})
    body = (small_request("logs", service="cart"), "logs", "protobuf", "identity")

    await recorded(tmp_path, uses, body)

    (path,) = (tmp_path / "sessions/s/manifest").glob("*.json.gz")
    manifest = json.loads(gzip.decompress(path.read_bytes()))
    assert [segment["services"] for segment in manifest["segments"]] == [["***"]]
    assert b"cart" not in stored_bytes(tmp_path)


class _Broken(Redactor):
    def redact(self, request: bytes, signal: Signal) -> Any:
        del request, signal
        return Failure(RedactionFailed("it is broken"))


async def test_what_cannot_be_redacted_is_refused_and_kept_nowhere(tmp_path: Path) -> None:
    settings = CaptureSettings(linger_s=0.0, redaction=_Broken(RuleSet()))
    async with open_runtime(local_storage(str(tmp_path)), S3StorageTag) as opened:
        (storage,) = or_raise(opened)
        async with opened_capture(storage, SYSTEM_CLOCK, settings) as capture:
            or_raise(await capture.start_capture(CONFIG))
            body = small_request("logs", text=SECRET)
            refused = await capture.capture_otlp_data("s", body, "logs")
            stopped = or_raise(await capture.stop_capture("s"))

        assert refused == Failure(RedactionFailed("it is broken"))
        assert stopped.captured_requests == 0
        assert await held(storage) == []
    assert SECRET.encode() not in stored_bytes(tmp_path)


async def test_what_grows_beyond_what_a_session_keeps_is_refused(
    memory: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "STORED_LIMITS", Limits(max_bytes=450))
    rule = {"on": "body", "action": "mask", "pattern": "a", "replacement": "b" * 256}
    settings = CaptureSettings(linger_s=0.0, redaction=redactor(rule))
    async with opened_capture(memory, SYSTEM_CLOCK, settings) as capture:
        or_raise(await capture.start_capture(CONFIG))
        kept, refused = [
            await capture.capture_otlp_data("s", small_request("logs", text=text), "logs")
            for text in ("a", "aa")
        ]

    assert isinstance(kept, Success)
    assert isinstance(refused.failure(), RedactionFailed)


async def test_threads_count_together() -> None:
    uses = redactor({"on": "body", "action": "drop"})
    request = small_request("logs", text="x")

    async def many() -> None:
        for _ in range(50):
            done = await anyio.to_thread.run_sync(uses.redact, request, "logs")
            assert isinstance(done, Success)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(many)

    assert redaction_report(uses) == {"rule 1": {"drop": 400}}

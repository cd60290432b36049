"""A real capture is imported, replayed into a receiver, and found equal: on real stores."""

from pathlib import Path

import attrs
import pytest

from tests.command_line import Shell
from tests.servers.s3 import S3Server

RECORDS = {"spans": 547, "dataPoints": 4551, "logRecords": 23}


@attrs.frozen
class Store:
    """A store that holds the real capture as session `original`."""

    shell: Shell
    url: str

    def arguments(self) -> list[str]:
        """Return the options by which a command finds it."""
        return ["--store", self.url]


@pytest.fixture(scope="module", params=["file", "s3"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> Store:
    """Import the capture into a store."""
    folder = tmp_path_factory.mktemp("round-trip")
    if request.param == "file":
        opened = Store(Shell(folder), f"file:{folder}/store")
    else:
        server: S3Server = request.getfixturevalue("rclone_s3")
        url = server.url(server.make_bucket(), "some/prefix")
        opened = Store(Shell(folder, server.environment), url)
    capture = shared_data / "otlp" / "otel-tui" / "test_data.json"
    imported = opened.shell.run(
        "import", str(capture), "--session", "original", "--json", *opened.arguments()
    )
    assert (imported.code, imported.stderr) == (0, "")
    document = imported.result
    assert document["recordCounts"] == RECORDS
    assert sum(document[f"captured{name}"] for name in ("Traces", "Metrics", "Logs")) == 97
    assert (document["skipped"], document["status"]) == (0, "completed")
    return opened


@pytest.mark.shared_data
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
class TestRoundTrip:
    def copy(self, store: Store, mode: str, protocol: str) -> str:
        """Replay the capture into a session of its own, and return its id."""
        name = f"{mode}-{protocol.rpartition('/')[2]}"
        options = ["--speed", "max", "--timestamps", mode, "--protocol", protocol, "--json"]
        with store.shell.serving("--session", name, *store.arguments()) as serving:
            replayed = store.shell.run(
                "replay", "original", "--to", serving.url, *options, *store.arguments()
            )
            served = serving.end()
        assert (replayed.code, replayed.stderr) == (0, "")
        nothing = {"rejected": 0, "failed": 0, "unknown": 0, "notSent": 0}
        status = replayed.result["status"]
        assert status["status"] == "completed"
        assert status["delivery"] == {"delivered": 97, **nothing}
        assert status["deliveryRecords"] == {"delivered": 5121, **nothing}
        assert (served.code, served.stderr) == (0, "")
        assert (served.result["recordCounts"], served.result["refused"]) == (RECORDS, {})
        return name

    def test_unmoved_it_is_equal(self, store: Store, protocol: str) -> None:
        name = self.copy(store, "none", protocol)

        found = store.shell.run(
            "diff", "original", name, "--shift", "none", "--json", *store.arguments()
        )

        assert (found.code, found.stderr) == (0, "")
        assert found.result["equal"]
        assert found.result["shift"] == {"mode": "none", "ns": 0, "minNs": 0, "maxNs": 0}

    def test_moved_by_a_constant_it_is_equal(self, store: Store, protocol: str) -> None:
        name = self.copy(store, "relative", protocol)

        found = [
            store.shell.run(
                "diff", "original", name, "--shift", shift, "--json", *store.arguments()
            )
            for shift in ("auto", "constant")
        ]

        assert [(run.code, run.stderr, run.result["equal"]) for run in found] == [(0, "", True)] * 2
        auto, constant = (run.result["shift"] for run in found)
        assert auto["ns"] == auto["minNs"] == auto["maxNs"] == constant["ns"] > 0

    def test_moved_request_by_request_it_is_equal(self, store: Store, protocol: str) -> None:
        name = self.copy(store, "current", protocol)

        found = store.shell.run(
            "diff", "original", name, "--shift", "per-request", "--json", *store.arguments()
        )

        assert (found.code, found.stderr) == (0, "")
        assert found.result["equal"]
        shift = found.result["shift"]
        assert shift["mode"] == "per-request"
        assert 0 < shift["minNs"] < shift["maxNs"]

"""The OpenTelemetry Collector as a process on loopback, which takes OTLP/HTTP."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from otlp_capture.otlp import SIGNALS
from tests.servers.processes import free_port, running


@attrs.frozen
class Collector:
    """A collector that was built.

    Attributes:
        program: its executable file.
    """

    program: Path

    @contextmanager
    def exporting(
        self,
        folder: Path,
        exporters: Mapping[str, Mapping[str, Any]],
        *arguments: str,
        **variables: str,
    ) -> Generator[str]:
        """Run it until the block ends, and yield where it takes OTLP/HTTP.

        At its end it exports all that it has taken. Nothing is batched: it exports each request as
        it came.

        Args:
            folder: where its configuration and its log are put.
            exporters: their settings, by name. All take all signals, but for a name that ends in
                one: `file/traces` takes traces.
            arguments: what else it is started with.
            variables: what is in its environment.
        """
        port = free_port()
        pipelines = {
            signal: {
                "receivers": ["otlp"],
                "exporters": [name for name in exporters if _takes(name, signal)],
            }
            for signal in SIGNALS
        }
        settings = {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
            "exporters": exporters,
            "service": {"telemetry": {"metrics": {"level": "none"}}, "pipelines": pipelines},
        }
        # JSON is YAML.
        (folder / "settings.yaml").write_text(json.dumps(settings))
        command = [str(self.program), "--config", str(folder / "settings.yaml"), *arguments]
        with running(command, port, folder / "log", variables):
            yield f"http://127.0.0.1:{port}"


def _takes(exporter: str, signal: str) -> bool:
    label = exporter.partition("/")[2]
    return label not in SIGNALS or label == signal

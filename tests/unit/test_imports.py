"""What an import of a package does not load."""

import subprocess
import sys

import pytest

HEAVY = (
    "aiobotocore",
    "aiohttp",
    "botocore",
    "grpc",
    "jinja2",
    "matplotlib",
    "opentelemetry.sdk",
    "typer",
    "zstandard",
)


@pytest.mark.parametrize("package", ["otlp_capture", "otlp_replay"])
def test_what_is_heavy_is_loaded_where_it_is_used(package: str) -> None:
    program = f"import sys, {package}; print([m for m in {HEAVY} if m in sys.modules])"

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout == "[]\n"

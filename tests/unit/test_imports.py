"""What `import otlp_capture` does not load."""

import subprocess
import sys

HEAVY = ("aiobotocore", "aiohttp", "botocore", "grpc", "typer", "zstandard")


def test_what_is_heavy_is_loaded_where_it_is_used() -> None:
    program = f"import sys, otlp_capture; print([m for m in {HEAVY} if m in sys.modules])"

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout == "[]\n"

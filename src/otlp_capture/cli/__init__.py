"""The command `otlp-capture`."""

from otlp_capture.cli.app import main as main

__all__ = ["main"]

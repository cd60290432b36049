"""The library's own spans and metrics: none, unless somebody gives it a place to send them to."""

from otlp_capture.telemetry.opentelemetry import telemetry_of as telemetry_of
from otlp_capture.telemetry.protocol import SILENT as SILENT
from otlp_capture.telemetry.protocol import Attributes as Attributes
from otlp_capture.telemetry.protocol import Concluded as Concluded
from otlp_capture.telemetry.protocol import Telemetry as Telemetry

__all__ = ["SILENT", "Attributes", "Concluded", "Telemetry", "telemetry_of"]

"""Servers that record what OpenTelemetry clients export."""

from otlp_capture.receiver.environment import exporter_environment as exporter_environment
from otlp_capture.receiver.http import HttpReceiver as HttpReceiver
from otlp_capture.receiver.http import open_http_receiver as open_http_receiver
from otlp_capture.receiver.settings import DEFAULT_HTTP_PORT as DEFAULT_HTTP_PORT
from otlp_capture.receiver.settings import CannotListen as CannotListen
from otlp_capture.receiver.settings import HttpReceiverSettings as HttpReceiverSettings

__all__ = [
    "DEFAULT_HTTP_PORT",
    "CannotListen",
    "HttpReceiver",
    "HttpReceiverSettings",
    "exporter_environment",
    "open_http_receiver",
]

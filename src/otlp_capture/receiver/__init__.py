"""Servers that record what OpenTelemetry clients export."""

from otlp_capture.receiver.environment import exporter_environment as exporter_environment
from otlp_capture.receiver.grpc import GrpcReceiver as GrpcReceiver
from otlp_capture.receiver.http import HttpReceiver as HttpReceiver
from otlp_capture.receiver.intake import Tally as Tally
from otlp_capture.receiver.opening import Receiver as Receiver
from otlp_capture.receiver.opening import open_http_receiver as open_http_receiver
from otlp_capture.receiver.opening import open_receiver as open_receiver
from otlp_capture.receiver.settings import DEFAULT_GRPC_PORT as DEFAULT_GRPC_PORT
from otlp_capture.receiver.settings import DEFAULT_HTTP_PORT as DEFAULT_HTTP_PORT
from otlp_capture.receiver.settings import CannotListen as CannotListen
from otlp_capture.receiver.settings import GrpcReceiverSettings as GrpcReceiverSettings
from otlp_capture.receiver.settings import HttpReceiverSettings as HttpReceiverSettings
from otlp_capture.receiver.settings import ReceiverSettings as ReceiverSettings

__all__ = [
    "DEFAULT_GRPC_PORT",
    "DEFAULT_HTTP_PORT",
    "CannotListen",
    "GrpcReceiver",
    "GrpcReceiverSettings",
    "HttpReceiver",
    "HttpReceiverSettings",
    "Receiver",
    "ReceiverSettings",
    "Tally",
    "exporter_environment",
    "open_http_receiver",
    "open_receiver",
]

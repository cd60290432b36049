"""Servers that record what OpenTelemetry clients export."""

from otlp_capture.receiver.access import AccessError as AccessError
from otlp_capture.receiver.access import AccessSettings as AccessSettings
from otlp_capture.receiver.access import ClientsUnasked as ClientsUnasked
from otlp_capture.receiver.admin import Admin as Admin
from otlp_capture.receiver.admin import AdminSettings as AdminSettings
from otlp_capture.receiver.admin import open_admin as open_admin
from otlp_capture.receiver.credentials import TOKEN_VARIABLE as TOKEN_VARIABLE
from otlp_capture.receiver.credentials import InvalidCredential as InvalidCredential
from otlp_capture.receiver.environment import exporter_environment as exporter_environment
from otlp_capture.receiver.exposure import ExposureRefused as ExposureRefused
from otlp_capture.receiver.files import FileUnreadable as FileUnreadable
from otlp_capture.receiver.grpc import GrpcReceiver as GrpcReceiver
from otlp_capture.receiver.http import HttpReceiver as HttpReceiver
from otlp_capture.receiver.intake import Tally as Tally
from otlp_capture.receiver.opening import Receiver as Receiver
from otlp_capture.receiver.opening import ReceiverError as ReceiverError
from otlp_capture.receiver.opening import open_http_receiver as open_http_receiver
from otlp_capture.receiver.opening import open_receiver as open_receiver
from otlp_capture.receiver.settings import DEFAULT_GRPC_PORT as DEFAULT_GRPC_PORT
from otlp_capture.receiver.settings import DEFAULT_HTTP_PORT as DEFAULT_HTTP_PORT
from otlp_capture.receiver.settings import CannotListen as CannotListen
from otlp_capture.receiver.settings import GrpcReceiverSettings as GrpcReceiverSettings
from otlp_capture.receiver.settings import HttpReceiverSettings as HttpReceiverSettings
from otlp_capture.receiver.settings import ReceiverSettings as ReceiverSettings
from otlp_capture.receiver.standing import ring_document as ring_document
from otlp_capture.receiver.tls import TlsFileInvalid as TlsFileInvalid
from otlp_capture.receiver.tls import TlsFiles as TlsFiles
from otlp_capture.receiver.tls import TlsKeyEncrypted as TlsKeyEncrypted
from otlp_capture.receiver.tls import TlsKeyMismatch as TlsKeyMismatch

__all__ = [
    "DEFAULT_GRPC_PORT",
    "DEFAULT_HTTP_PORT",
    "TOKEN_VARIABLE",
    "AccessError",
    "AccessSettings",
    "Admin",
    "AdminSettings",
    "CannotListen",
    "ClientsUnasked",
    "ExposureRefused",
    "FileUnreadable",
    "GrpcReceiver",
    "GrpcReceiverSettings",
    "HttpReceiver",
    "HttpReceiverSettings",
    "InvalidCredential",
    "Receiver",
    "ReceiverError",
    "ReceiverSettings",
    "Tally",
    "TlsFileInvalid",
    "TlsFiles",
    "TlsKeyEncrypted",
    "TlsKeyMismatch",
    "exporter_environment",
    "open_admin",
    "open_http_receiver",
    "open_receiver",
    "ring_document",
]

"""How requests reach a target: one attempt, its answer, and when it is worth another."""

from otlp_capture.sending.answers import Accepted as Accepted
from otlp_capture.sending.answers import Answer as Answer
from otlp_capture.sending.answers import NoAnswer as NoAnswer
from otlp_capture.sending.answers import Obstacle as Obstacle
from otlp_capture.sending.answers import Refused as Refused
from otlp_capture.sending.answers import Unreadable as Unreadable
from otlp_capture.sending.answers import kept_back as kept_back
from otlp_capture.sending.delivery import Courier as Courier
from otlp_capture.sending.delivery import Delivery as Delivery
from otlp_capture.sending.delivery import DeliveryOutcome as DeliveryOutcome
from otlp_capture.sending.delivery import reason_of as reason_of
from otlp_capture.sending.endpoint import SIGNAL_PLACE as SIGNAL_PLACE
from otlp_capture.sending.endpoint import Compression as Compression
from otlp_capture.sending.endpoint import Endpoint as Endpoint
from otlp_capture.sending.endpoint import SendingProtocol as SendingProtocol
from otlp_capture.sending.endpoint import base_url as base_url
from otlp_capture.sending.endpoint import is_bearer_token as is_bearer_token
from otlp_capture.sending.endpoint import is_endpoint_url as is_endpoint_url
from otlp_capture.sending.grpc import open_grpc_transport as open_grpc_transport
from otlp_capture.sending.http import open_http_transport as open_http_transport
from otlp_capture.sending.opening import open_transport as open_transport
from otlp_capture.sending.parcel import Parcel as Parcel
from otlp_capture.sending.resolving import DEFAULT_GRPC_PORT as DEFAULT_GRPC_PORT
from otlp_capture.sending.resolving import Place as Place
from otlp_capture.sending.resolving import Unresolved as Unresolved
from otlp_capture.sending.resolving import check_target as check_target
from otlp_capture.sending.resolving import place_of as place_of
from otlp_capture.sending.retrying import RetryPolicy as RetryPolicy
from otlp_capture.sending.targets import WHAT_IS_ALLOWED as WHAT_IS_ALLOWED
from otlp_capture.sending.targets import AllowedTarget as AllowedTarget
from otlp_capture.sending.targets import InvalidAllowedTarget as InvalidAllowedTarget
from otlp_capture.sending.targets import TargetNotAllowed as TargetNotAllowed
from otlp_capture.sending.targets import is_loopback as is_loopback
from otlp_capture.sending.targets import parse_allowed_target as parse_allowed_target
from otlp_capture.sending.throttling import retry_after_s as retry_after_s
from otlp_capture.sending.tls import ClientTls as ClientTls
from otlp_capture.sending.tls import ClientTlsInvalid as ClientTlsInvalid
from otlp_capture.sending.tls import load_client_tls as load_client_tls
from otlp_capture.sending.transport import Transport as Transport

__all__ = [
    "DEFAULT_GRPC_PORT",
    "SIGNAL_PLACE",
    "WHAT_IS_ALLOWED",
    "Accepted",
    "AllowedTarget",
    "Answer",
    "ClientTls",
    "ClientTlsInvalid",
    "Compression",
    "Courier",
    "Delivery",
    "DeliveryOutcome",
    "Endpoint",
    "InvalidAllowedTarget",
    "NoAnswer",
    "Obstacle",
    "Parcel",
    "Place",
    "Refused",
    "RetryPolicy",
    "SendingProtocol",
    "TargetNotAllowed",
    "Transport",
    "Unreadable",
    "Unresolved",
    "base_url",
    "check_target",
    "is_bearer_token",
    "is_endpoint_url",
    "is_loopback",
    "kept_back",
    "load_client_tls",
    "open_grpc_transport",
    "open_http_transport",
    "open_transport",
    "parse_allowed_target",
    "place_of",
    "reason_of",
    "retry_after_s",
]

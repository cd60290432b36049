"""How requests reach a target: one attempt, its answer, and when it is worth another."""

from otlp_capture.sending.answers import Accepted as Accepted
from otlp_capture.sending.answers import Answer as Answer
from otlp_capture.sending.answers import NoAnswer as NoAnswer
from otlp_capture.sending.answers import Refused as Refused
from otlp_capture.sending.answers import Unreadable as Unreadable
from otlp_capture.sending.delivery import Courier as Courier
from otlp_capture.sending.delivery import Delivery as Delivery
from otlp_capture.sending.delivery import DeliveryOutcome as DeliveryOutcome
from otlp_capture.sending.delivery import reason_of as reason_of
from otlp_capture.sending.endpoint import SIGNAL_PLACE as SIGNAL_PLACE
from otlp_capture.sending.endpoint import Compression as Compression
from otlp_capture.sending.endpoint import Endpoint as Endpoint
from otlp_capture.sending.endpoint import base_url as base_url
from otlp_capture.sending.endpoint import is_endpoint_url as is_endpoint_url
from otlp_capture.sending.grpc import DEFAULT_GRPC_PORT as DEFAULT_GRPC_PORT
from otlp_capture.sending.grpc import open_grpc_transport as open_grpc_transport
from otlp_capture.sending.http import open_http_transport as open_http_transport
from otlp_capture.sending.parcel import Parcel as Parcel
from otlp_capture.sending.retrying import RetryPolicy as RetryPolicy
from otlp_capture.sending.throttling import retry_after_s as retry_after_s
from otlp_capture.sending.transport import Transport as Transport

__all__ = [
    "DEFAULT_GRPC_PORT",
    "SIGNAL_PLACE",
    "Accepted",
    "Answer",
    "Compression",
    "Courier",
    "Delivery",
    "DeliveryOutcome",
    "Endpoint",
    "NoAnswer",
    "Parcel",
    "Refused",
    "RetryPolicy",
    "Transport",
    "Unreadable",
    "base_url",
    "is_endpoint_url",
    "open_grpc_transport",
    "open_http_transport",
    "reason_of",
    "retry_after_s",
]

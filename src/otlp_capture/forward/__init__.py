"""The receiver in front of real collectors: what it stores goes on to them."""

from otlp_capture.forward.destination import Destination as Destination
from otlp_capture.forward.destination import is_itself as is_itself
from otlp_capture.forward.destination import parse_destination as parse_destination
from otlp_capture.forward.errors import ForwardingLoop as ForwardingLoop
from otlp_capture.forward.errors import ForwardQueueFull as ForwardQueueFull
from otlp_capture.forward.errors import ForwardRefusal as ForwardRefusal
from otlp_capture.forward.errors import InvalidDestination as InvalidDestination
from otlp_capture.forward.errors import TargetBusy as TargetBusy
from otlp_capture.forward.errors import TargetDown as TargetDown
from otlp_capture.forward.errors import TargetRefused as TargetRefused
from otlp_capture.forward.errors import answer_to_refusal as answer_to_refusal
from otlp_capture.forward.forwarding import Forwarding as Forwarding
from otlp_capture.forward.forwarding import Verdict as Verdict
from otlp_capture.forward.forwarding import open_forwarding as open_forwarding
from otlp_capture.forward.headers import FORWARDED_HEADER as FORWARDED_HEADER
from otlp_capture.forward.headers import forwarded_by as forwarded_by
from otlp_capture.forward.model import DEFAULT_FORWARD_SETTINGS as DEFAULT_FORWARD_SETTINGS
from otlp_capture.forward.model import Answering as Answering
from otlp_capture.forward.model import ForwardCounts as ForwardCounts
from otlp_capture.forward.model import ForwardSettings as ForwardSettings
from otlp_capture.forward.model import ForwardStatus as ForwardStatus
from otlp_capture.forward.model import KeptRequest as KeptRequest
from otlp_capture.forward.model import check_forward_settings as check_forward_settings

__all__ = [
    "DEFAULT_FORWARD_SETTINGS",
    "FORWARDED_HEADER",
    "Answering",
    "Destination",
    "ForwardCounts",
    "ForwardQueueFull",
    "ForwardRefusal",
    "ForwardSettings",
    "ForwardStatus",
    "Forwarding",
    "ForwardingLoop",
    "InvalidDestination",
    "KeptRequest",
    "TargetBusy",
    "TargetDown",
    "TargetRefused",
    "Verdict",
    "answer_to_refusal",
    "check_forward_settings",
    "forwarded_by",
    "is_itself",
    "open_forwarding",
    "parse_destination",
]

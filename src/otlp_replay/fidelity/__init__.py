"""How close a replay came to its plan: the certificate, its gate, and its report."""

from otlp_replay.fidelity.certificate import FidelityCertificate as FidelityCertificate
from otlp_replay.fidelity.certificate import certificate as certificate
from otlp_replay.fidelity.distances import Distance as Distance
from otlp_replay.fidelity.document import CertificateCorrupted as CertificateCorrupted
from otlp_replay.fidelity.document import decode_certificate as decode_certificate
from otlp_replay.fidelity.document import encode_certificate as encode_certificate
from otlp_replay.fidelity.durations import duration_text as duration_text
from otlp_replay.fidelity.durations import rate_text as rate_text
from otlp_replay.fidelity.durations import size_text as size_text
from otlp_replay.fidelity.gate import CountMissed as CountMissed
from otlp_replay.fidelity.gate import Gate as Gate
from otlp_replay.fidelity.gate import GateMiss as GateMiss
from otlp_replay.fidelity.gate import NothingMeasured as NothingMeasured
from otlp_replay.fidelity.gate import TimeMissed as TimeMissed
from otlp_replay.fidelity.gate import check_gate as check_gate
from otlp_replay.fidelity.gate import misses as misses
from otlp_replay.fidelity.histogram import Distribution as Distribution
from otlp_replay.fidelity.histogram import Histogram as Histogram
from otlp_replay.fidelity.keeping import CertificateNotKept as CertificateNotKept
from otlp_replay.fidelity.keeping import keep_certificate as keep_certificate
from otlp_replay.fidelity.observing import Fidelity as Fidelity
from otlp_replay.fidelity.report import ReportError as ReportError
from otlp_replay.fidelity.report import ReportUnavailable as ReportUnavailable
from otlp_replay.fidelity.report import ReportUnwritable as ReportUnwritable
from otlp_replay.fidelity.report import check_report as check_report
from otlp_replay.fidelity.report import render_report as render_report
from otlp_replay.fidelity.report import write_report as write_report
from otlp_replay.fidelity.rows import DeliveryRow as DeliveryRow
from otlp_replay.fidelity.rows import Rates as Rates
from otlp_replay.fidelity.rows import Timing as Timing
from otlp_replay.fidelity.series import Stretch as Stretch
from otlp_replay.fidelity.storing import CertificateNotFound as CertificateNotFound
from otlp_replay.fidelity.storing import InvalidReplayId as InvalidReplayId
from otlp_replay.fidelity.storing import ReadCertificateError as ReadCertificateError
from otlp_replay.fidelity.storing import StoredCertificate as StoredCertificate
from otlp_replay.fidelity.storing import list_certificates as list_certificates
from otlp_replay.fidelity.storing import load_certificate as load_certificate
from otlp_replay.fidelity.storing import store_certificate as store_certificate
from otlp_replay.fidelity.summary import summary_lines as summary_lines

__all__ = [
    "CertificateCorrupted",
    "CertificateNotFound",
    "CertificateNotKept",
    "CountMissed",
    "DeliveryRow",
    "Distance",
    "Distribution",
    "Fidelity",
    "FidelityCertificate",
    "Gate",
    "GateMiss",
    "Histogram",
    "InvalidReplayId",
    "NothingMeasured",
    "Rates",
    "ReadCertificateError",
    "ReportError",
    "ReportUnavailable",
    "ReportUnwritable",
    "StoredCertificate",
    "Stretch",
    "TimeMissed",
    "Timing",
    "certificate",
    "check_gate",
    "check_report",
    "decode_certificate",
    "duration_text",
    "encode_certificate",
    "keep_certificate",
    "list_certificates",
    "load_certificate",
    "misses",
    "rate_text",
    "render_report",
    "size_text",
    "store_certificate",
    "summary_lines",
    "write_report",
]

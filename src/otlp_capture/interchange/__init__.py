"""Files of other tools become sessions: what the collector's file exporter writes."""

from otlp_capture.interchange.importing import ImportFailure as ImportFailure
from otlp_capture.interchange.importing import ImportReport as ImportReport
from otlp_capture.interchange.importing import import_file as import_file
from otlp_capture.interchange.source import EntryBroken as EntryBroken
from otlp_capture.interchange.source import FileUnreadable as FileUnreadable
from otlp_capture.interchange.source import SignalMissing as SignalMissing

__all__ = [
    "EntryBroken",
    "FileUnreadable",
    "ImportFailure",
    "ImportReport",
    "SignalMissing",
    "import_file",
]

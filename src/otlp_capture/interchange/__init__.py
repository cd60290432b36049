"""Files of the collector's exporters become sessions, and sessions become such files."""

from otlp_capture.interchange.documents import Choice as Choice
from otlp_capture.interchange.errors import EntryBroken as EntryBroken
from otlp_capture.interchange.errors import FileUnreadable as FileUnreadable
from otlp_capture.interchange.errors import LeftOut as LeftOut
from otlp_capture.interchange.errors import PartitionFormatInvalid as PartitionFormatInvalid
from otlp_capture.interchange.errors import PassedOver as PassedOver
from otlp_capture.interchange.errors import SignalMissing as SignalMissing
from otlp_capture.interchange.filling import ImportFailure as ImportFailure
from otlp_capture.interchange.filling import ImportReport as ImportReport
from otlp_capture.interchange.filling import Watcher as Watcher
from otlp_capture.interchange.importing import import_file as import_file
from otlp_capture.interchange.importing import import_folder as import_folder
from otlp_capture.interchange.importing import import_objects as import_objects

__all__ = [
    "Choice",
    "EntryBroken",
    "FileUnreadable",
    "ImportFailure",
    "ImportReport",
    "LeftOut",
    "PartitionFormatInvalid",
    "PassedOver",
    "SignalMissing",
    "Watcher",
    "import_file",
    "import_folder",
    "import_objects",
]

"""Files of the collector's exporters become sessions, and sessions become such files."""

from otlp_capture.interchange.documents import Choice as Choice
from otlp_capture.interchange.errors import EntryBroken as EntryBroken
from otlp_capture.interchange.errors import FileUnreadable as FileUnreadable
from otlp_capture.interchange.errors import LeftOut as LeftOut
from otlp_capture.interchange.errors import PartitionFormatInvalid as PartitionFormatInvalid
from otlp_capture.interchange.errors import PassedOver as PassedOver
from otlp_capture.interchange.errors import SignalMissing as SignalMissing
from otlp_capture.interchange.exporting import ExportConfig as ExportConfig
from otlp_capture.interchange.exporting import ExportFailure as ExportFailure
from otlp_capture.interchange.exporting import ExportReport as ExportReport
from otlp_capture.interchange.exporting import InvalidExport as InvalidExport
from otlp_capture.interchange.exporting import RequestUnwritable as RequestUnwritable
from otlp_capture.interchange.exporting import export_session as export_session
from otlp_capture.interchange.filling import ImportFailure as ImportFailure
from otlp_capture.interchange.filling import ImportReport as ImportReport
from otlp_capture.interchange.filling import Watcher as Watcher
from otlp_capture.interchange.importing import import_file as import_file
from otlp_capture.interchange.importing import import_folder as import_folder
from otlp_capture.interchange.importing import import_objects as import_objects
from otlp_capture.interchange.output import OutputExists as OutputExists
from otlp_capture.interchange.output import OutputUnwritable as OutputUnwritable
from otlp_capture.interchange.outputs import ExportedFile as ExportedFile

__all__ = [
    "Choice",
    "EntryBroken",
    "ExportConfig",
    "ExportFailure",
    "ExportReport",
    "ExportedFile",
    "FileUnreadable",
    "ImportFailure",
    "ImportReport",
    "InvalidExport",
    "LeftOut",
    "OutputExists",
    "OutputUnwritable",
    "PartitionFormatInvalid",
    "PassedOver",
    "RequestUnwritable",
    "SignalMissing",
    "Watcher",
    "export_session",
    "import_file",
    "import_folder",
    "import_objects",
]

from collections.abc import Sequence

from otlp_capture.otlp.tables import MessageTable

class JsonLayout:
    @property
    def tables(self) -> tuple[MessageTable, ...]: ...
    def __init__(self, tables: Sequence[MessageTable], requests: Sequence[int]) -> None: ...
